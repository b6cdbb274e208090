internal import CSQLite

/// Bounds of the read model, each with its reason.
enum ModelLimits {
    /// Calls of functions in one statement: between two of them nothing looks at the clock.
    static let functionsMax = 500

    /// Bytes of a value. The more functions a statement calls, the shorter are the values that it
    /// may read or make, because functions read them whole.
    static func valueBytes(functions: Int) -> Int32 {
        let together = 512 << 20
        return Int32(min(max(together / max(functions, 1), 4 << 20), 64 << 20))
    }

    /// What one SQL statement of others may use (sqlite.org/limits.html). The first two bound memory;
    /// the others bound what SQLite's planner and its program may grow to, far above what people
    /// write.
    static let statement: [(limit: Int32, value: Int32)] = [
        // While the statement is prepared; then `valueBytes`.
        (SQLITE_LIMIT_LENGTH, 4 << 20), (SQLITE_LIMIT_SQL_LENGTH, 256 << 10),
        (SQLITE_LIMIT_COLUMN, 200), (SQLITE_LIMIT_EXPR_DEPTH, 100),
        (SQLITE_LIMIT_COMPOUND_SELECT, 50), (SQLITE_LIMIT_VDBE_OP, 500_000),
        (SQLITE_LIMIT_FUNCTION_ARG, 32), (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200),
        (SQLITE_LIMIT_VARIABLE_NUMBER, 1000),
        // No other database, and no further thread.
        (SQLITE_LIMIT_ATTACHED, 0), (SQLITE_LIMIT_WORKER_THREADS, 0),
    ]
}
