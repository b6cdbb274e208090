// SQLite as Stardust uses it, with what Swift cannot call: functions of variable arguments and
// constants that are casts.
#ifndef STARDUST_CSQLITE_H
#define STARDUST_CSQLITE_H
#include <sqlite3.h>

/// Switches one of SQLITE_DBCONFIG_…; returns SQLite's code.
static inline int stardust_sqlite_configure(sqlite3 *database, int option, int value) {
    return sqlite3_db_config(database, option, value, (int *)0);
}

/// How SQLite allocates; returns its code.
static inline int stardust_sqlite_get_memory(sqlite3_mem_methods *methods) {
    return sqlite3_config(SQLITE_CONFIG_GETMALLOC, methods);
}

/// Replaces that, before SQLite is used.
static inline int stardust_sqlite_set_memory(const sqlite3_mem_methods *methods) {
    return sqlite3_config(SQLITE_CONFIG_MALLOC, methods);
}

/// Binds bytes that SQLite copies.
static inline int stardust_sqlite_bind_text(
    sqlite3_stmt *statement, int index, const void *bytes, int count) {
    return sqlite3_bind_text(statement, index, (const char *)bytes, count, SQLITE_TRANSIENT);
}

/// Gives bytes that SQLite copies as the value of a function or a column.
static inline void stardust_sqlite_result_text(
    sqlite3_context *context, const void *bytes, int count) {
    sqlite3_result_text(context, (const char *)bytes, count, SQLITE_TRANSIENT);
}
#endif
