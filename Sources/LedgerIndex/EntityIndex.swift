internal import Foundation
internal import GRDB
internal import GRDBSQLite
package import LedgerFormat

/// The SQLite file that answers which packets an entity has. It follows the ledger and can be
/// thrown away: `reset` and following again give the same answers.
///
/// Invariants:
///  1. `progress` names the size it reflects and the entry hash there, in the same transaction as
///     the rows up to it.
///  2. A row stands for each position below that size, and for no other.
package final class EntityIndex: Sendable {
    private let pool: DatabasePool

    /// Bumped when a table changes; an older file is made again.
    private static let formatVersion = 1

    package struct Row: Sendable {
        package var position: Position
        package var entityType: String
        package var entityID: UUID128

        package init(position: Position, entityType: String, entityID: UUID128) {
            self.position = position
            self.entityType = entityType
            self.entityID = entityID
        }
    }

    /// How far the index has followed.
    package struct Progress: Hashable, Sendable {
        package var size: LedgerSize
        /// Entry hash before `size`; the identity's digest for an empty ledger.
        package var lastHash: Digest

        package init(size: LedgerSize, lastHash: Digest) {
            self.size = size
            self.lastHash = lastHash
        }
    }

    package enum Failure: Error, Sendable, CustomStringConvertible {
        /// Not an index of this format, or its pages are damaged: make it again.
        case unusable(String)
        /// There is no room; it may be tried again.
        case noSpace(String)
        case failed(String)

        package var description: String {
            switch self {
            case .unusable(let reason): "the index is damaged: \(reason)"
            case .noSpace(let reason): "no room for the index: \(reason)"
            case .failed(let reason): "the index failed: \(reason)"
            }
        }
    }

    // MARK: Opening

    /// Opens the file at `path`, or makes it, empty and standing before position 0.
    package init(path: String, identity: Digest) throws(Failure) {
        pool = try Self.wrapping {
            var configuration = Configuration()
            configuration.prepareDatabase { db in
                // A power cut may lose the newest rows, which are then followed again, but never
                // leaves a broken file.
                try db.execute(sql: "PRAGMA synchronous = NORMAL")
                try db.execute(sql: "PRAGMA cache_size = -32768")
                // Pages that change often reach the file once in 64 MiB of log, not in four.
                try db.execute(sql: "PRAGMA wal_autocheckpoint = 16384")
            }
            return try DatabasePool(path: path, configuration: configuration)
        }
        try Self.wrapping {
            try pool.write { db in
                let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
                if version == 0, try db.tableExists("progress") == false {
                    try Self.makeTables(db, identity)
                } else if version != Self.formatVersion {
                    throw Failure.unusable("it has format version \(version)")
                }
            }
        }
    }

    /// Opens an index that is there, only to read it.
    package init(readingOnly path: String) throws(Failure) {
        pool = try Self.wrapping {
            var configuration = Configuration()
            configuration.readonly = true
            return try DatabasePool(path: path, configuration: configuration)
        }
    }

    private static func makeTables(_ db: Database, _ identity: Digest) throws {
        try db.execute(
            sql: """
                CREATE TABLE entity_types (code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
                CREATE TABLE entities (
                    type INTEGER NOT NULL, id BLOB NOT NULL, position INTEGER NOT NULL,
                    PRIMARY KEY (type, id, position)
                ) WITHOUT ROWID;
                CREATE TABLE progress (size INTEGER NOT NULL, last_hash BLOB NOT NULL);
                """)
        try db.execute(
            sql: "INSERT INTO progress VALUES (0, ?)", arguments: [identity.databaseBlob])
        try db.execute(sql: "PRAGMA user_version = \(formatVersion)")
    }

    // MARK: Following

    package func progress() throws(Failure) -> Progress {
        try Self.wrapping {
            try pool.read { db in
                guard
                    let row = try GRDB.Row.fetchOne(
                        db, sql: "SELECT size, last_hash FROM progress"),
                    let size = UInt64.fromDatabaseValue(row[0] as DatabaseValue),
                    let blob = Data.fromDatabaseValue(row[1] as DatabaseValue), blob.count == 32
                else { throw Failure.unusable("it does not say how far it goes") }
                let bytes = Array(blob)
                return Progress(
                    size: LedgerSize(size), lastHash: Digest(bytes.span))
            }
        }
    }

    /// Adds the rows of the positions up to `progress`, all or none. Sorted by entity first, so
    /// that neighbours in the tree are written together.
    package func add(_ rows: [Row], upTo progress: Progress) throws(Failure) {
        try Self.wrapping {
            try pool.write { db in
                let codes = try Self.codes(of: rows, db)
                let keys = rows.map { Key(code: codes[$0.entityType]!, $0) }.sorted(by: <)
                let insert = try db.cachedStatement(sql: "INSERT INTO entities VALUES (?, ?, ?)")
                for key in keys { try Self.insert(insert, key) }
                try db.execute(
                    sql: "UPDATE progress SET size = ?, last_hash = ?",
                    arguments: [Int64(progress.size.entries), progress.lastHash.databaseBlob])
            }
        }
    }

    /// A row as the tree has it, without references, so that sorting moves words only.
    private struct Key: Comparable {
        var code: Int64
        var id: UUID128
        var position: UInt64

        init(code: Int64, _ row: Row) {
            self.code = code
            id = row.entityID
            position = row.position.value
        }

        static func < (left: Key, right: Key) -> Bool {
            (left.code, left.id.high, left.id.low, left.position)
                < (right.code, right.id.high, right.id.low, right.position)
        }
    }

    /// One row through SQLite itself: binding through the library costs more than the insertion.
    private static func insert(_ statement: Statement, _ key: Key) throws {
        let id = (key.id.high.bigEndian, key.id.low.bigEndian)
        // Safety: the statement is used in its own transaction only, and the id, 16 bytes in
        // network order, is bound for no longer than it lives here.
        let raw = unsafe statement.sqliteStatement
        let result = unsafe withUnsafeBytes(of: id) { bytes in
            unsafe sqlite3_bind_int64(raw, 1, key.code)
            unsafe sqlite3_bind_blob(raw, 2, bytes.baseAddress, Int32(bytes.count), nil)
            unsafe sqlite3_bind_int64(raw, 3, Int64(key.position))
            let result = unsafe sqlite3_step(raw)
            unsafe sqlite3_reset(raw)
            unsafe sqlite3_clear_bindings(raw)
            return result
        }
        guard result == SQLITE_DONE else {
            throw DatabaseError(resultCode: ResultCode(rawValue: result))
        }
    }

    private static func codes(of rows: [Row], _ db: Database) throws -> [String: Int64] {
        var codes: [String: Int64] = [:]
        for row in try GRDB.Row.fetchAll(db, sql: "SELECT name, code FROM entity_types") {
            guard let name = String.fromDatabaseValue(row[0] as DatabaseValue),
                let code = Int64.fromDatabaseValue(row[1] as DatabaseValue)
            else { throw Failure.unusable("an entity type is no text") }
            codes[name] = code
        }
        for name in Set(rows.map(\.entityType)) where codes[name] == nil {
            try db.execute(sql: "INSERT INTO entity_types (name) VALUES (?)", arguments: [name])
            codes[name] = db.lastInsertedRowID
        }
        return codes
    }

    // MARK: Asking

    /// Positions of an entity's packets in ledger order, from `start` on and below `size`, at most
    /// `limit`; newest first where `isDescending`, and then `start` is the last to come.
    package func positions(
        entityType: String, entityID: UUID128, in range: Range<UInt64>, isDescending: Bool,
        limit: Int
    ) throws(Failure) -> [Position] {
        var id = [UInt8](repeating: 0, count: UUID128.byteCount)
        var span = id.mutableSpan
        entityID.store(in: &span, at: 0)
        let blob = Data(id)
        return try Self.wrapping {
            try pool.read { db in
                let sql = """
                    SELECT position FROM entities
                    WHERE type = (SELECT code FROM entity_types WHERE name = ?) AND id = ?
                        AND position >= ? AND position < ?
                    ORDER BY position \(isDescending ? "DESC" : "ASC") LIMIT ?
                    """
                return try DatabaseValue.fetchAll(
                    db.cachedStatement(sql: sql),
                    arguments: [
                        entityType, blob, Int64(clamping: range.lowerBound),
                        Int64(clamping: range.upperBound), limit,
                    ]
                ).map { value in
                    guard let position = UInt64.fromDatabaseValue(value) else {
                        throw Failure.unusable("a position is no number")
                    }
                    return Position(position)
                }
            }
        }
    }

    /// All rows in the order of positions, lent one by one until `body` returns false.
    package func eachRow(_ body: (Row) -> Bool) throws(Failure) {
        try Self.wrapping {
            try pool.read { db in
                let rows = try GRDB.Row.fetchCursor(
                    db,
                    sql: """
                        SELECT position, name, id FROM entities JOIN entity_types ON code = type
                        ORDER BY position
                        """)
                while let row = try rows.next() {
                    guard let position = UInt64.fromDatabaseValue(row[0] as DatabaseValue),
                        let name = String.fromDatabaseValue(row[1] as DatabaseValue),
                        let blob = Data.fromDatabaseValue(row[2] as DatabaseValue),
                        blob.count == UUID128.byteCount
                    else { throw Failure.unusable("a row is not what was written") }
                    let id = Array(blob)
                    let found = Row(
                        position: Position(position), entityType: name,
                        entityID: UUID128(id.span, at: 0))
                    guard body(found) else { return }
                }
            }
        }
    }

    // MARK: Errors

    private static func wrapping<Result>(
        _ body: () throws -> Result
    ) throws(Failure) -> Result {
        do { return try body() } catch let failure as Failure { throw failure } catch let error
            as DatabaseError
        {
            switch error.resultCode {
            case .SQLITE_CORRUPT, .SQLITE_NOTADB, .SQLITE_CONSTRAINT, .SQLITE_MISMATCH,
                .SQLITE_ERROR:
                throw .unusable(error.description)
            case .SQLITE_FULL: throw .noSpace(error.description)
            // What SQLite makes of a failed write or a shared-memory file that cannot grow.
            case .SQLITE_IOERR where errnoIsNoSpace: throw .noSpace(error.description)
            default: throw .failed(error.description)
            }
        } catch { throw .failed(String(describing: error)) }
    }
}
