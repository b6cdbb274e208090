internal import CSQLite
package import Packets

/// Runs read-only SQL for an untrusted caller, on a separate connection that can do nothing but
/// read the tables, within limits on time, rows, bytes and memory.
@safe package final class SQLSandbox {
    private let connection: SQLiteConnection
    private let guardian: SQLiteGuardian

    package enum Refusal: Error {
        case notARead(String)
        case malformed(String, offset: Int?)
        case badParameters(String)
        case timeIsOver
        case tooMuchMemory
        /// There is no read model.
        case missing
        case failed(SQLiteFailure)
    }

    package struct Limits: Sendable {
        package var rows: Int
        package var bytes: Int
        package var patience: Patience

        package init(rows: Int, bytes: Int, patience: Patience) {
            (self.rows, self.bytes, self.patience) = (rows, bytes, patience)
        }
    }

    /// The state of the read model whose rows are visible here.
    package let state: ModelState

    /// `register` may add tables to the connection before it is restricted to reading.
    package init(
        _ path: String, _ limits: Limits,
        register: (SQLiteConnection) throws(SQLiteFailure) -> Void = { _ throws(SQLiteFailure) in }
    ) throws(Refusal) {
        guardian = SQLiteGuardian(limits.patience, boundsMemory: true)
        let state: ModelState?
        do throws(SQLiteFailure) {
            connection = try SQLiteConnection(path, .readOnly)
            try connection.run("PRAGMA query_only = ON", "PRAGMA temp_store = MEMORY")
            try SQLFunctions.register(in: connection, guardian)
            // Connect these now: a confined connection may not declare their columns.
            for table in ["json_each", "json_tree"] {
                _ = try connection.rows("SELECT 1 FROM \(table)('[]') LIMIT 0")
            }
            try register(connection)
            // From here on, queries see the database as of this moment.
            try connection.run("BEGIN")
            state = try ModelState(connection)
        } catch { throw .failed(error) }
        guard let state else { throw .missing }
        self.state = state
        confine()
        SQLiteMemory.bound(
            to: SQLiteGuardian.memoryBytes, for: limits.patience.deadline - .now)
    }

    // The creator releases this on the same thread, since the limit is per thread.
    deinit { SQLiteMemory.bound(to: nil) }

    private func confine() {
        let handle = unsafe connection.handle
        for (option, value) in [
            (SQLITE_DBCONFIG_DEFENSIVE, 1), (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
            (SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0), (SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
            (SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0),
        ] as [(Int32, Int32)] {
            unsafe stardust_sqlite_configure(handle, option, value)
        }
        for (limit, value) in ModelLimits.statement {
            unsafe sqlite3_limit(handle, limit, value)
        }
        connection.guardian = guardian
        unsafe sqlite3_set_authorizer(
            handle,
            { context, action, first, second, _, _ in
                switch action {
                case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
                case SQLITE_FUNCTION:
                    let name = unsafe second.map { unsafe String(cString: $0) } ?? ""
                    let guardian = unsafe Unmanaged<SQLiteGuardian>.fromOpaque(context!)
                        .takeUnretainedValue()
                    guardian.functionsCalled += 1
                    let isAllowed =
                        SQLFunctions.allowed.contains(name.lowercased())
                        && guardian.functionsCalled <= ModelLimits.functionsMax
                    return isAllowed ? SQLITE_OK : SQLITE_DENY
                default: return SQLITE_DENY
                }
            }, Unmanaged.passUnretained(guardian).toOpaque())
    }

    // MARK: Queries

    /// Answers a query by writing the members `columns`, `rows` and `cut`.
    package func answer(
        _ sql: String, _ parameters: JSONDocument?, at index: Int, _ limits: Limits,
        to json: inout JSONWriter
    ) throws(Refusal) {
        let statement = try prepare(sql)
        try bind(parameters, index, statement)
        let columns = (0..<statement.columnCount).map { (statement.name($0), statement.type($0)) }
        json.key("columns")
        json.array(columns) { $1.string($0.0) }
        json.key("rows")
        json.beginArray()
        var (rows, isCut) = (0, false)
        let start = json.bytes.count
        do throws(SQLiteFailure) {
            rows: while try statement.step() {
                guard guardian.goesOn else { throw connection.failure(SQLITE_INTERRUPT) }
                let mark = json.mark
                isCut = rows == limits.rows
                if isCut { break }
                json.beginArray()
                for (place, column) in columns.enumerated() {
                    guard !statement.isBinary(place) else {
                        throw SQLiteFailure.mismatch(
                            "\(column.0) holds bytes that are no text; hex() shows them", place: "")
                    }
                    json.value(statement.value(place), column.1)
                    isCut = json.bytes.count - start > limits.bytes
                    guard isCut else { continue }
                    // A row is returned whole or not at all.
                    json.cut(to: mark)
                    break rows
                }
                json.endArray()
                rows += 1
            }
        } catch { throw refusal(error) }
        json.endArray()
        json.member("cut", isCut)
    }

    private func prepare(_ sql: String) throws(Refusal) -> SQLiteStatement {
        let (statement, rest): (SQLiteStatement?, String)
        do throws(SQLiteFailure) { (statement, rest) = try connection.prepareFirst(sql) } catch {
            throw refusal(error)
        }
        guard let statement else { throw .malformed("there is no statement", offset: nil) }
        guard unsafe sqlite3_stmt_readonly(statement.handle) != 0, statement.columnCount > 0 else {
            throw .notARead("only statements that read are allowed")
        }
        let another: SQLiteStatement?
        do throws(SQLiteFailure) { another = try connection.prepareFirst(rest).statement } catch {
            throw refusal(error)
        }
        guard another == nil else {
            throw .malformed("only one statement is allowed", offset: nil)
        }
        let bytes = ModelLimits.valueBytes(functions: guardian.functionsCalled)
        unsafe sqlite3_limit(connection.handle, SQLITE_LIMIT_LENGTH, bytes)
        return statement
    }

    private func refusal(_ failure: SQLiteFailure) -> Refusal {
        if guardian.isOverTime { return .timeIsOver }
        if guardian.isOverMemory || failure.primaryCode == SQLITE_NOMEM { return .tooMuchMemory }
        if failure.isInterrupted { return .timeIsOver }
        switch failure.primaryCode {
        case SQLITE_AUTH, SQLITE_READONLY:
            return .notARead(
                "only statements that read, and functions that only compute, are allowed: "
                    + failure.message)
        case SQLITE_ERROR where failure.message.contains("use function"):
            return .notARead(
                guardian.functionsCalled > ModelLimits.functionsMax
                    ? "a statement may call functions \(ModelLimits.functionsMax) times"
                    : "only the functions that Docs/ReadModel.md lists are allowed: "
                        + failure.message)
        case SQLITE_ERROR where Self.isDenial(failure.message):
            return .notARead(
                "only statements that read tables, views, json_each and json_tree are allowed: "
                    + failure.message)
        case SQLITE_TOOBIG:
            return .malformed(
                "the statement or a value is too long for the limits that Docs/ReadModel.md lists; "
                    + "a long list fits in a parameter: IN (SELECT value FROM json_each(?))",
                offset: nil)
        case SQLITE_ERROR, SQLITE_MISMATCH, SQLITE_RANGE:
            let offset = unsafe sqlite3_error_offset(connection.handle)
            return .malformed(failure.message, offset: offset < 0 ? nil : Int(offset))
        default: return .failed(failure)
        }
    }

    /// SQLite does not always report a denial by the authorizer as one.
    private static func isDenial(_ message: String) -> Bool {
        message.hasPrefix("vtable constructor failed") || message.contains("not authorized")
            || message.hasPrefix("authorizer")
    }

    // MARK: Parameters

    private func bind(
        _ document: JSONDocument?, _ index: Int, _ statement: SQLiteStatement
    ) throws(Refusal) {
        let count = unsafe Int(sqlite3_bind_parameter_count(statement.handle))
        guard let document, document.tokens[index].kind != .null else {
            guard count == 0 else {
                throw .badParameters("the statement has \(count) parameters, and none was given")
            }
            return
        }
        switch document.tokens[index].kind {
        case .array:
            let values = Array(JSONChildren(document.tokens, of: index))
            guard values.count == count else {
                throw .badParameters("the statement has \(count) parameters, not \(values.count)")
            }
            for (place, value) in values.enumerated() {
                try bind(document, value, statement, place + 1)
            }
        case .object:
            for key in JSONChildren(document.tokens, of: index) {
                let name = document.bytes.span.string(document.tokens[key])
                let place = [":", "@", "$"].map {
                    unsafe Int(sqlite3_bind_parameter_index(statement.handle, $0 + name))
                }.first { $0 > 0 }
                guard let place else {
                    throw .badParameters("the statement has no parameter \(name)")
                }
                try bind(document, key + 1, statement, place)
            }
        default: throw .badParameters("parameters must be an array, or an object keyed by name")
        }
    }

    private func bind(
        _ document: JSONDocument, _ index: Int, _ statement: SQLiteStatement, _ place: Int
    ) throws(Refusal) {
        let token = document.tokens[index]
        let value: ModelValue
        switch token.kind {
        case .null: value = .null
        case .true: value = .integer(1)
        case .false: value = .integer(0)
        case .string: value = .text(document.bytes.span.text(token))
        case .number:
            let text = document.sourceText(index)
            value = Int64(text).map(ModelValue.integer) ?? .real(Double(text) ?? 0)
        case .object, .array, .key: value = .text(JSONBText.of(document, at: index))
        }
        do throws(SQLiteFailure) { try statement.bind(place, value) } catch {
            throw .failed(error)
        }
    }
}
