// SQLite as Stardust uses it, with wrappers for what Swift cannot import: variadic functions and
// constants that are casts.
#ifndef STARDUST_CSQLITE_H
#define STARDUST_CSQLITE_H
#include <sqlite3.h>

/// Sets one of the SQLITE_DBCONFIG_… options; returns SQLite's result code.
static inline int stardust_sqlite_configure(sqlite3 *database, int option, int value) {
    return sqlite3_db_config(database, option, value, (int *)0);
}

/// Reads SQLite's allocator functions; returns its result code.
static inline int stardust_sqlite_get_memory(sqlite3_mem_methods *methods) {
    return sqlite3_config(SQLITE_CONFIG_GETMALLOC, methods);
}

/// Replaces the allocator functions. Must run before SQLite is used.
static inline int stardust_sqlite_set_memory(const sqlite3_mem_methods *methods) {
    return sqlite3_config(SQLITE_CONFIG_MALLOC, methods);
}

/// Binds text. SQLite copies the bytes.
static inline int stardust_sqlite_bind_text(
    sqlite3_stmt *statement, int index, const void *bytes, int count) {
    return sqlite3_bind_text(statement, index, (const char *)bytes, count, SQLITE_TRANSIENT);
}

/// Sets the text value of a function or a column. SQLite copies the bytes.
static inline void stardust_sqlite_result_text(
    sqlite3_context *context, const void *bytes, int count) {
    sqlite3_result_text(context, (const char *)bytes, count, SQLITE_TRANSIENT);
}
#endif
