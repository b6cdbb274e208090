internal import CSQLite

/// A failure that SQLite reports.
package struct SQLiteFailure: Error, Sendable, CustomStringConvertible {
    /// The extended result code.
    package var code: Int32
    package var message: String
    /// The file, or the column concerned.
    package var place: String

    package init(code: Int32, message: String, place: String) {
        (self.code, self.message, self.place) = (code, message, place)
    }

    package var description: String { "\(place): SQLite: \(message)" }

    /// A file that holds something else.
    package static func notAModel(_ path: String) -> SQLiteFailure {
        SQLiteFailure(
            code: SQLITE_NOTADB, message: "not a read model of this version", place: path)
    }

    /// A value that does not have the type of its column.
    package static func mismatch(_ message: String, place: String) -> SQLiteFailure {
        SQLiteFailure(code: SQLITE_MISMATCH, message: message, place: place)
    }

    package var primaryCode: Int32 { code & 0xFF }
    package var isConstraint: Bool { primaryCode == SQLITE_CONSTRAINT }
    /// Whether a row violates the primary key.
    package var isOfKey: Bool { code == SQLITE_CONSTRAINT | 6 << 8 }
    /// Whether the file is missing, damaged, or holds no read model of this version.
    package var isOfFile: Bool {
        [SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_CANTOPEN].contains(primaryCode)
    }
    package var isFull: Bool { primaryCode == SQLITE_FULL }
    package var isBusy: Bool { primaryCode == SQLITE_BUSY || primaryCode == SQLITE_LOCKED }
    package var isInterrupted: Bool { primaryCode == SQLITE_INTERRUPT }
}

/// One connection to a database file. Used by one thread at a time.
@safe package final class SQLiteConnection: @unchecked Sendable {
    // Unchecked: its owner uses it from one thread at a time.
    package let path: String
    // Safety: open until deinit, and statements keep their connection.
    package let handle: OpaquePointer
    /// Stops statements that take too long.
    var guardian: SQLiteGuardian? {
        didSet {
            if let guardian { unsafe guardian.watch(handle) }
        }
    }

    package enum Mode: Hashable, Sendable {
        case readOnly, readWrite, create
    }

    private static let busyMilliseconds: Int32 = 5000

    package init(_ path: String, _ mode: Mode) throws(SQLiteFailure) {
        self.path = path
        _ = SQLiteMemory.isCounted
        let flags: Int32 =
            switch mode {
            case .readOnly: SQLITE_OPEN_READONLY
            case .readWrite: SQLITE_OPEN_READWRITE
            case .create: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            }
        var opened: OpaquePointer?
        // Safety: SQLite fills the pointer even if it fails, unless it runs out of memory.
        let code = unsafe sqlite3_open_v2(
            path, &opened, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        guard code == SQLITE_OK, let opened = unsafe opened else {
            let message = unsafe opened.map { unsafe String(cString: sqlite3_errmsg($0)) }
            unsafe sqlite3_close_v2(opened)
            throw SQLiteFailure(code: code, message: message ?? "out of memory", place: path)
        }
        unsafe handle = opened
        unsafe sqlite3_busy_timeout(opened, Self.busyMilliseconds)
    }

    deinit { unsafe sqlite3_close_v2(handle) }

    package func prepare(
        _ sql: String, isKept: Bool = false
    ) throws(SQLiteFailure) -> SQLiteStatement {
        var statement: OpaquePointer?
        let flags = isKept ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0
        // Safety: the text is lent for the call.
        let code = unsafe sqlite3_prepare_v3(handle, sql, -1, flags, &statement, nil)
        guard code == SQLITE_OK, let statement = unsafe statement else {
            throw failure(code, sql)
        }
        return unsafe SQLiteStatement(statement, self)
    }

    /// The first statement of a text, nil if there is none, and the text after it.
    func prepareFirst(
        _ sql: String
    ) throws(SQLiteFailure) -> (statement: SQLiteStatement?, rest: String) {
        var statement: OpaquePointer?
        var rest = ""
        // Safety: the tail points into the text that is lent, and is copied at once.
        let code = unsafe sql.withCString { text in
            var tail: UnsafePointer<CChar>?
            let code = unsafe sqlite3_prepare_v3(handle, text, -1, 0, &statement, &tail)
            if let tail = unsafe tail { rest = unsafe String(cString: tail) }
            return code
        }
        guard code == SQLITE_OK else { throw failure(code) }
        return unsafe (statement.map { unsafe SQLiteStatement($0, self) }, rest)
    }

    /// Runs statements that return no rows, one after the other.
    package func run(_ sql: String...) throws(SQLiteFailure) {
        for sql in sql { try run(all: sql) }
    }

    private func run(all sql: String) throws(SQLiteFailure) {
        // Safety: the text is lent for the call.
        let code = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw failure(code, sql) }
    }

    /// The rows of a query.
    package func rows(
        _ sql: String, _ values: [ModelValue] = []
    ) throws(SQLiteFailure) -> [[ModelValue]] {
        let statement = try prepare(sql)
        for (index, value) in values.enumerated() { try statement.bind(index + 1, value) }
        var rows: [[ModelValue]] = []
        while try statement.step() {
            rows.append((0..<statement.columnCount).map(statement.value))
        }
        return rows
    }

    package func integer(_ sql: String, _ values: [ModelValue] = []) throws(SQLiteFailure) -> Int64?
    {
        guard case .integer(let value)? = try rows(sql, values).first?.first else { return nil }
        return value
    }

    /// Rows that the last statement changed, not counting changes by triggers.
    package var changes: Int64 { unsafe sqlite3_changes64(handle) }

    package var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

    package func failure(_ code: Int32, _ sql: String = "") -> SQLiteFailure {
        SQLiteFailure(
            code: code, message: unsafe String(cString: sqlite3_errmsg(handle)), place: path)
    }
}

/// A prepared statement. Parameters are numbered from 1, columns from 0.
@safe package final class SQLiteStatement {
    // Safety: finalised in deinit, and the connection is kept until then.
    package let handle: OpaquePointer
    private let connection: SQLiteConnection

    fileprivate init(_ handle: OpaquePointer, _ connection: SQLiteConnection) {
        unsafe self.handle = handle
        self.connection = connection
    }

    deinit { unsafe sqlite3_finalize(handle) }

    // MARK: Parameters

    package func bind(_ index: Int, _ value: ModelValue) throws(SQLiteFailure) {
        switch value {
        case .null: try check(unsafe sqlite3_bind_null(handle, Int32(index)))
        case .integer(let value): try bind(index, value)
        case .real(let value): try bind(index, value)
        case .text(let bytes): try bind(index, text: bytes.span)
        }
    }

    package func bind(_ index: Int, _ value: Int64) throws(SQLiteFailure) {
        try check(unsafe sqlite3_bind_int64(handle, Int32(index), value))
    }

    package func bind(_ index: Int, _ value: Double) throws(SQLiteFailure) {
        try check(unsafe sqlite3_bind_double(handle, Int32(index), value))
    }

    package func bindNull(_ index: Int) throws(SQLiteFailure) {
        try check(unsafe sqlite3_bind_null(handle, Int32(index)))
    }

    /// Binds UTF-8, which is copied.
    package func bind(_ index: Int, text: Span<UInt8>) throws(SQLiteFailure) {
        // Safety: the bytes are copied within the call; an empty text still needs an address.
        let code = unsafe text.withUnsafeBufferPointer { bytes in
            var nothing: UInt8 = 0
            return if let base = bytes.baseAddress {
                unsafe stardust_sqlite_bind_text(handle, Int32(index), base, Int32(bytes.count))
            } else {
                unsafe stardust_sqlite_bind_text(handle, Int32(index), &nothing, 0)
            }
        }
        try check(code)
    }

    private func check(_ code: Int32) throws(SQLiteFailure) {
        guard code == SQLITE_OK else { throw connection.failure(code) }
    }

    // MARK: Rows

    /// Whether there is a row. A statement that failed is ready to run again.
    package func step() throws(SQLiteFailure) -> Bool {
        switch unsafe sqlite3_step(handle) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        case let code:
            let failure = connection.failure(code)
            unsafe sqlite3_reset(handle)
            throw failure
        }
    }

    /// Runs to the end and resets, ready to run again.
    package func run() throws(SQLiteFailure) {
        while try step() {}
        unsafe sqlite3_reset(handle)
    }

    package var columnCount: Int { unsafe Int(sqlite3_column_count(handle)) }

    package func name(_ column: Int) -> String {
        // Safety: SQLite's text lives until the statement is prepared again; it is copied.
        guard let text = unsafe sqlite3_column_name(handle, Int32(column)) else { return "" }
        return unsafe String(cString: text)
    }

    /// The declared type of a table's column; nil for an expression.
    package func type(_ column: Int) -> ColumnType? {
        // Safety: as for the name.
        guard let text = unsafe sqlite3_column_decltype(handle, Int32(column)) else { return nil }
        let declared = unsafe String(cString: text)
        return ColumnType(declared: declared)
    }

    /// Whether a value is a blob, or a text with U+0000, which no JSON text of ours has.
    package func isBinary(_ column: Int) -> Bool {
        let column = Int32(column)
        switch unsafe sqlite3_column_type(handle, column) {
        case SQLITE_BLOB: return true
        case SQLITE_TEXT:
            // Safety: as for the value. Text first, then count.
            guard let bytes = unsafe sqlite3_column_text(handle, column) else { return false }
            let count = Int(unsafe sqlite3_column_bytes(handle, column))
            return unsafe UnsafeBufferPointer(start: bytes, count: count).contains(0)
        default: return false
        }
    }

    package func value(_ column: Int) -> ModelValue {
        let column = Int32(column)
        switch unsafe sqlite3_column_type(handle, column) {
        case SQLITE_INTEGER: return .integer(unsafe sqlite3_column_int64(handle, column))
        case SQLITE_FLOAT: return .real(unsafe sqlite3_column_double(handle, column))
        case SQLITE_NULL: return .null
        default:
            // Safety: the bytes live until the next step; they are copied. Text first, then count.
            guard let bytes = unsafe sqlite3_column_text(handle, column) else { return .text([]) }
            let count = Int(unsafe sqlite3_column_bytes(handle, column))
            return .text(unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: count)))
        }
    }
}
