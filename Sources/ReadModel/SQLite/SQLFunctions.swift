internal import CPlatform
internal import CSQLite
internal import Glibc

/// The functions that untrusted SQL may call. Those of SQLite take time at most proportional to the
/// length of their arguments and their result. Ours look at the clock when they are called, and while
/// they run where that may take long.
package enum SQLFunctions {
    /// Excludes functions that reach outside the connection, that make large values out of nothing,
    /// that take longer than their arguments are long (`json_patch`), or that only report on SQLite
    /// itself. `Docs/ReadModel.md` lists them.
    package static let allowed: Set<String> = [
        "->", "->>", "abs", "avg", "ceil", "ceiling", "char", "coalesce", "concat", "concat_ws",
        "count", "cume_dist", "date", "datetime", "dense_rank", "exp", "first_value", "floor",
        "format", "glob", "group_concat", "hex", "ifnull", "iif", "instr", "json", "json_array",
        "json_array_length", "json_each", "json_extract", "json_group_array", "json_group_object",
        "json_insert", "json_object", "json_quote", "json_remove", "json_replace", "json_set",
        "json_tree", "json_type", "json_valid", "julianday", "lag", "last_value", "lead", "length",
        "like", "ln", "log", "log10", "log2", "lower", "ltrim", "max", "min", "mod", "nth_value",
        "ntile", "nullif", "octet_length", "percent_rank", "pi", "pow", "power", "printf", "quote",
        "rank", "replace", "round", "row_number", "rtrim", "sign", "sqrt", "strftime", "string_agg",
        "substr", "substring", "sum", "time", "timediff", "total", "trim", "trunc", "typeof",
        "unicode", "unixepoch", "upper",
    ]

    /// Replaces SQLite's own functions whose time grows with more than the sum of their arguments'
    /// lengths, or that a statement could call for long without SQLite asking `guardian`.
    static func register(
        in connection: SQLiteConnection, _ guardian: SQLiteGuardian
    ) throws(SQLiteFailure) {
        // The connection keeps the guardian alive as long as its functions.
        func add(
            _ name: String, _ count: Int32, _ connection: SQLiteConnection, _ function: Function
        ) throws(SQLiteFailure) {
            try unsafe self.add(name, count, connection, guardian, function)
        }
        for count: Int32 in [2, 3] {
            try unsafe add("like", count, connection) { context, count, values in
                unsafe SQLFunctions.like(context, Int(count), values!)
            }
        }
        try unsafe add("glob", 2, connection) { context, _, values in
            unsafe SQLFunctions.glob(context, values!)
        }
        try unsafe add("length", 1, connection) { context, _, values in
            unsafe SQLFunctions.length(context, values!)
        }
        try unsafe add("instr", 2, connection) { context, _, values in
            unsafe SQLFunctions.findPlace(context, values!)
        }
        try unsafe add("replace", 3, connection) { context, _, values in
            unsafe SQLFunctions.replace(context, values!)
        }
        try unsafe add("trim", 2, connection) { context, _, values in
            unsafe SQLFunctions.trim(context, values!, atStart: true, atEnd: true)
        }
        try unsafe add("ltrim", 2, connection) { context, _, values in
            unsafe SQLFunctions.trim(context, values!, atStart: true, atEnd: false)
        }
        try unsafe add("rtrim", 2, connection) { context, _, values in
            unsafe SQLFunctions.trim(context, values!, atStart: false, atEnd: true)
        }
    }

    private typealias Values = UnsafeMutablePointer<OpaquePointer?>
    private typealias Function =
        @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Void

    private static func add(
        _ name: String, _ count: Int32, _ connection: SQLiteConnection,
        _ guardian: SQLiteGuardian, _ function: Function
    ) throws(SQLiteFailure) {
        let flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS
        let code = unsafe sqlite3_create_function_v2(
            connection.handle, name, count, flags,
            Unmanaged.passUnretained(guardian).toOpaque(), function, nil, nil, nil)
        guard code == SQLITE_OK else { throw connection.failure(code) }
    }

    /// Whether the statement may go on. If not, the call fails as interrupted.
    private static func goesOn(_ context: OpaquePointer?) -> Bool {
        let guardian = unsafe Unmanaged<SQLiteGuardian>.fromOpaque(sqlite3_user_data(context)!)
            .takeUnretainedValue()
        if guardian.goesOn { return true }
        unsafe sqlite3_result_error_code(context, SQLITE_INTERRUPT)
        return false
    }

    private static func like(_ context: OpaquePointer?, _ count: Int, _ values: Values) {
        var escape: UInt32?
        if count == 3 {
            guard let text = unsafe text(values[2]) else {
                return unsafe sqlite3_result_null(context)
            }
            let scalars = unsafe String(decoding: text, as: UTF8.self).unicodeScalars
            guard scalars.count == 1 else {
                return unsafe sqlite3_result_error(
                    context, "ESCAPE expression must be a single character", -1)
            }
            escape = scalars.first!.value
        }
        unsafe match(context, values) { unsafe SQLPattern(like: $0, escape: escape) }
    }

    private static func glob(_ context: OpaquePointer?, _ values: Values) {
        unsafe match(context, values) { unsafe SQLPattern(glob: $0) }
    }

    private static func match(
        _ context: OpaquePointer?, _ values: Values,
        _ make: (UnsafeBufferPointer<UInt8>) -> SQLPattern
    ) {
        guard unsafe goesOn(context) else { return }
        guard let pattern = unsafe text(values[0]), let subject = unsafe text(values[1]) else {
            return unsafe sqlite3_result_null(context)
        }
        let most = unsafe sqlite3_limit(
            sqlite3_context_db_handle(context), SQLITE_LIMIT_LIKE_PATTERN_LENGTH, -1)
        guard pattern.count <= Int(most) else {
            return unsafe sqlite3_result_error(context, "LIKE or GLOB pattern too complex", -1)
        }
        let isMatch = unsafe make(pattern).matches(subject) { unsafe goesOn(context) }
        if let isMatch { unsafe sqlite3_result_int(context, isMatch ? 1 : 0) }
    }

    /// Characters of a text up to its first zero byte, or bytes of a blob.
    private static func length(_ context: OpaquePointer?, _ values: Values) {
        guard unsafe goesOn(context) else { return }
        switch unsafe sqlite3_value_type(values[0]) {
        case SQLITE_NULL: unsafe sqlite3_result_null(context)
        case SQLITE_BLOB:
            unsafe sqlite3_result_int64(context, Int64(sqlite3_value_bytes(values[0])))
        default:
            guard let bytes = unsafe text(values[0]) else {
                return unsafe sqlite3_result_null(context)
            }
            let text = unsafe bytes.prefix { $0 != 0 }
            let count = unsafe text.count { $0 & 0xC0 != 0x80 }
            unsafe sqlite3_result_int64(context, Int64(count))
        }
    }

    /// The bytes of an argument's text, lent by SQLite until the function returns; nil for NULL.
    private static func text(_ value: OpaquePointer?) -> UnsafeBufferPointer<UInt8>? {
        guard unsafe sqlite3_value_type(value) != SQLITE_NULL,
            let start = unsafe sqlite3_value_text(value)
        else { return nil }
        return unsafe UnsafeBufferPointer(start: start, count: Int(sqlite3_value_bytes(value)))
    }

    private static func place(
        _ needle: UnsafeBufferPointer<UInt8>, _ bytes: UnsafeBufferPointer<UInt8>, from start: Int
    ) -> Int? {
        let base = bytes.baseAddress!
        // Safety: both are lent by SQLite, and `start` is at most the count.
        let found = unsafe stardust_find(
            base + start, bytes.count - start, needle.baseAddress, needle.count)
        return unsafe found.map { unsafe $0 - UnsafePointer(base) }
    }

    private static func give(_ bytes: [UInt8], _ context: OpaquePointer?) {
        // Safety: SQLite copies the bytes within the call.
        unsafe bytes.withUnsafeBytes {
            unsafe stardust_sqlite_result_text(context!, $0.baseAddress, Int32($0.count))
        }
    }

    /// The character, counted from 1, at which the second text starts in the first; 0 if it is not
    /// in it.
    private static func findPlace(_ context: OpaquePointer?, _ values: Values) {
        guard unsafe goesOn(context) else { return }
        guard let bytes = unsafe text(values[0]), let needle = unsafe text(values[1]) else {
            return unsafe sqlite3_result_null(context)
        }
        guard let place = unsafe place(needle, bytes, from: 0) else {
            return unsafe sqlite3_result_int64(context, 0)
        }
        let characters = unsafe bytes[..<place].count { $0 & 0xC0 != 0x80 }
        unsafe sqlite3_result_int64(context, Int64(characters) + 1)
    }

    private static func replace(_ context: OpaquePointer?, _ values: Values) {
        guard unsafe goesOn(context) else { return }
        guard let bytes = unsafe text(values[0]), let old = unsafe text(values[1]),
            let new = unsafe text(values[2])
        else { return unsafe sqlite3_result_null(context) }
        guard old.count > 0 else { return unsafe sqlite3_result_value(context, values[0]) }
        let most = unsafe Int(
            sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LENGTH, -1))
        var (result, start): ([UInt8], Int) = ([], 0)
        while let place = unsafe place(old, bytes, from: start) {
            unsafe result.append(contentsOf: bytes[start..<place])
            unsafe result.append(contentsOf: new)
            start = place + old.count
            guard result.count <= most else { return unsafe sqlite3_result_error_toobig(context) }
        }
        unsafe result.append(contentsOf: bytes[start...])
        guard result.count <= most else { return unsafe sqlite3_result_error_toobig(context) }
        unsafe give(result, context)
    }

    private static func trim(
        _ context: OpaquePointer?, _ values: Values, atStart: Bool, atEnd: Bool
    ) {
        guard unsafe goesOn(context) else { return }
        guard let bytes = unsafe text(values[0]), let removed = unsafe text(values[1]) else {
            return unsafe sqlite3_result_null(context)
        }
        let characters = unsafe Set(String(decoding: removed, as: UTF8.self).unicodeScalars)
        var rest = unsafe String(decoding: bytes, as: UTF8.self).unicodeScalars[...]
        if atStart { rest = rest.drop { characters.contains($0) } }
        if atEnd {
            while let last = rest.last, characters.contains(last) { rest.removeLast() }
        }
        unsafe give(Array(String(rest).utf8), context)
    }
}
