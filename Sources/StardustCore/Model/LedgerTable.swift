internal import CSQLite
package import LedgerFormat
package import LedgerIndex
package import LedgerStorage
internal import Packets
internal import Platform
package import ReadModel

/// The ledger as the table `stardust_metadata`: a virtual table that exists in a connection without
/// standing in any file. Look-ups by `stardust_id`, by entity and by `position`, also between two of
/// them, use the ledger's own indexes; everything else reads packet by packet.
package final class LedgerTable {
    fileprivate let map: LedgerMap
    fileprivate let index: TermSnapshot
    fileprivate let size: LedgerSize
    private let deadline: ContinuousClock.Instant

    /// The ledger as it stands at `size`, which `index` reflects.
    package init(
        _ map: LedgerMap, _ index: TermSnapshot, size: LedgerSize,
        until deadline: ContinuousClock.Instant
    ) {
        (self.map, self.index, self.size, self.deadline) = (map, index, size, deadline)
    }

    fileprivate var isOverTime: Bool { ContinuousClock.now > deadline }

    private static let declaration = """
        CREATE TABLE stardust_metadata (stardust_id UUID TEXT, entity_type TEXT, entity_id UUID TEXT,
        lineage JSONB TEXT, decision_chain JSONB TEXT, created_at TIMESTAMPTZ TEXT,
        position BIGINT HIDDEN, received_at TIMESTAMPTZ TEXT HIDDEN)
        """

    fileprivate enum Column: Int32 {
        case stardustID, entityType, entityID, lineage, decisionChain, createdAt
        case position, receivedAt
    }

    /// How a question is answered; what SQLite passes from planning to filtering.
    fileprivate enum Plan: Int32 {
        case scan, id, entity, position
        /// Positions from, to, or both.
        case from, upTo, between
    }

    /// What a column is compared with.
    fileprivate struct Argument {
        let text: String?
        /// Nil for what is no number.
        let number: Double?

        init(_ value: OpaquePointer?) {
            let type = unsafe sqlite3_value_type(value)
            let isNumber = type == SQLITE_INTEGER || type == SQLITE_FLOAT
            number = isNumber ? unsafe sqlite3_value_double(value) : nil
            // Safety: SQLite's text lives until the value changes; it is copied.
            text = unsafe sqlite3_value_text(value).map { unsafe String(cString: $0) }
        }

        /// A bound that is not narrower than what is asked: SQLite compares again.
        func position(_ rule: FloatingPointRoundingRule, or other: UInt64) -> UInt64 {
            guard let number else { return other }
            let whole = number.rounded(rule)
            return whole <= 0 ? 0 : UInt64(exactly: min(whole, 0x1p62)) ?? other
        }
    }

    /// Adds the table to a connection.
    package func register(in connection: SQLiteConnection) throws(SQLiteFailure) {
        // Safety: the connection takes over a retain, and releases it when it closes.
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let code = unsafe sqlite3_create_module_v2(
            connection.handle, "stardust_metadata", Self.module, context
        ) { unsafe Unmanaged<LedgerTable>.fromOpaque($0!).release() }
        guard code == SQLITE_OK else { throw connection.failure(code) }
        // Connected now: declaring its columns is more than a confined connection may do.
        _ = try connection.rows("SELECT 1 FROM stardust_metadata LIMIT 0")
    }

    // Safety: made once, never changed, never freed.
    private nonisolated(unsafe) static let module: UnsafeMutablePointer<sqlite3_module> = {
        let module = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
        unsafe module.initialize(to: sqlite3_module())
        // Without xCreate it is there by its name alone, and nobody can make another.
        unsafe module.pointee.xConnect = { database, context, _, _, table, _ in
            let code = unsafe sqlite3_declare_vtab(database, LedgerTable.declaration)
            guard code == SQLITE_OK else { return code }
            let made = UnsafeMutablePointer<Table>.allocate(capacity: 1)
            unsafe made.initialize(to: Table(base: sqlite3_vtab(), ledger: context!))
            unsafe table!.pointee = UnsafeMutableRawPointer(made).assumingMemoryBound(
                to: sqlite3_vtab.self)
            return SQLITE_OK
        }
        unsafe module.pointee.xBestIndex = { _, info in unsafe LedgerTable.plan(&info!.pointee) }
        unsafe module.pointee.xDisconnect = { table in
            unsafe UnsafeMutableRawPointer(table!).assumingMemoryBound(to: Table.self).deallocate()
            return SQLITE_OK
        }
        unsafe module.pointee.xOpen = { table, cursor in
            let ledger = unsafe UnsafeMutableRawPointer(table!).assumingMemoryBound(to: Table.self)
                .pointee.ledger
            let owner = unsafe Unmanaged<LedgerTable>.fromOpaque(ledger).takeUnretainedValue()
            let made = UnsafeMutablePointer<Handle>.allocate(capacity: 1)
            unsafe made.initialize(
                to: Handle(
                    base: sqlite3_vtab_cursor(),
                    cursor: Unmanaged.passRetained(Cursor(owner)).toOpaque()))
            unsafe cursor!.pointee = UnsafeMutableRawPointer(made).assumingMemoryBound(
                to: sqlite3_vtab_cursor.self)
            return SQLITE_OK
        }
        unsafe module.pointee.xClose = { handle in
            unsafe Unmanaged<Cursor>.fromOpaque(LedgerTable.object(handle)).release()
            unsafe UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: Handle.self)
                .deallocate()
            return SQLITE_OK
        }
        unsafe module.pointee.xFilter = { handle, plan, _, count, values in
            let arguments = (0..<Int(count)).map { unsafe Argument(values![$0]) }
            return unsafe LedgerTable.cursor(handle).filter(plan, arguments)
        }
        unsafe module.pointee.xNext = { unsafe LedgerTable.cursor($0).next() }
        unsafe module.pointee.xEof = { unsafe LedgerTable.cursor($0).isAtEnd ? 1 : 0 }
        unsafe module.pointee.xColumn = { handle, context, column in
            unsafe LedgerTable.cursor(handle).give(Column(rawValue: column), context!)
        }
        unsafe module.pointee.xRowid = { handle, rowid in
            unsafe rowid!.pointee = LedgerTable.cursor(handle).rowid
            return SQLITE_OK
        }
        return unsafe module
    }()

    /// What SQLite holds of the table, and of a cursor: its own part first.
    @unsafe private struct Table {
        var base: sqlite3_vtab
        var ledger: UnsafeMutableRawPointer
    }

    @unsafe private struct Handle {
        var base: sqlite3_vtab_cursor
        var cursor: UnsafeMutableRawPointer
    }

    private static func object(
        _ handle: UnsafeMutablePointer<sqlite3_vtab_cursor>?
    ) -> UnsafeMutableRawPointer {
        // Safety: every handle was made by xOpen.
        unsafe UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: Handle.self).pointee.cursor
    }

    private static func cursor(_ handle: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> Cursor {
        unsafe Unmanaged<Cursor>.fromOpaque(object(handle)).takeUnretainedValue()
    }

    /// Chooses by what is asked to be equal, and by bounds of the position. SQLite compares again by
    /// itself, so that a bound may be wider than what was asked.
    private static func plan(_ info: inout sqlite3_index_info) -> Int32 {
        var equal: [Column: Int] = [:]
        var (lower, upper): (Int?, Int?)
        for place in 0..<Int(unsafe info.nConstraint) {
            let constraint = unsafe info.aConstraint[place]
            guard constraint.usable != 0 else { continue }
            let column = constraint.iColumn < 0 ? .position : Column(rawValue: constraint.iColumn)
            switch (column, Int32(constraint.op)) {
            case (.position, SQLITE_INDEX_CONSTRAINT_GE), (.position, SQLITE_INDEX_CONSTRAINT_GT):
                lower = lower ?? place
            case (.position, SQLITE_INDEX_CONSTRAINT_LE), (.position, SQLITE_INDEX_CONSTRAINT_LT):
                upper = upper ?? place
            case (let column?, SQLITE_INDEX_CONSTRAINT_EQ):
                // The indexes know exact bytes only.
                let collation = unsafe String(
                    cString: unsafe sqlite3_vtab_collation(&info, Int32(place)))
                if column == .position || collation == "BINARY" { equal[column] = place }
            default: break
            }
        }
        var (plan, arguments, cost, rows): (Plan, [Int], Double, Int64) = (.scan, [], 1e9, 1 << 30)
        if let id = equal[.stardustID] {
            (plan, arguments, cost, rows) = (.id, [id], 5, 1)
        } else if let position = equal[.position] {
            (plan, arguments, cost, rows) = (.position, [position], 5, 1)
        } else if let type = equal[.entityType], let id = equal[.entityID] {
            (plan, arguments, cost, rows) = (.entity, [type, id], 50, 4)
        } else if lower != nil || upper != nil {
            plan = lower == nil ? .upTo : upper == nil ? .from : .between
            (arguments, cost, rows) = ([lower, upper].compactMap(\.self), 1e7, 1 << 20)
        }
        for (number, place) in arguments.enumerated() {
            unsafe info.aConstraintUsage[place].argvIndex = Int32(number + 1)
        }
        // Everything comes in the order of positions.
        if unsafe info.nOrderBy == 1, unsafe info.aOrderBy[0].desc == 0 {
            let column = unsafe info.aOrderBy[0].iColumn
            if column < 0 || column == Column.position.rawValue { unsafe info.orderByConsumed = 1 }
        }
        unsafe info.idxNum = plan.rawValue
        unsafe info.estimatedCost = cost
        unsafe info.estimatedRows = rows
        return SQLITE_OK
    }

    // MARK: Rows

    fileprivate final class Cursor {
        private let ledger: LedgerTable
        /// Positions that are left: found by an index, or all.
        private var found: [Position]?
        private var place: UInt64 = 0
        /// The last position of a range.
        private var last = UInt64.max
        private var record: StoredRecord?
        private var document: JSONDocument?
        private var outline: PacketOutline?

        init(_ ledger: LedgerTable) { self.ledger = ledger }

        var isAtEnd: Bool { record == nil }
        var rowid: Int64 { Int64(record?.entry.position.value ?? 0) }

        func filter(_ plan: Int32, _ arguments: [Argument]) -> Int32 {
            (found, place, last) = (nil, 0, .max)
            do throws(PacketSearch.Failure) {
                switch Plan(rawValue: plan) ?? .scan {
                case .scan: break
                case .id:
                    found = []
                    if let id = arguments[0].text.flatMap({ UUID128($0) }),
                        let position = try position(id)
                    {
                        found = [position]
                    }
                case .position, .between:
                    place = arguments[0].position(.down, or: 0)
                    last = arguments.last!.position(.up, or: .max)
                case .from: place = arguments[0].position(.down, or: 0)
                case .upTo: last = arguments[0].position(.up, or: .max)
                case .entity:
                    found = []
                    if let type = arguments[0].text,
                        let id = arguments[1].text.flatMap({ UUID128($0) })
                    {
                        let term = ledger.index.key.entity(type, id)
                        var walk = ledger.index.walk([term], in: 0..<ledger.size.entries)
                        do throws(IndexFailure) {
                            while let position = try walk.next() { found!.append(position) }
                        } catch { throw PacketSearch.Failure(error) }
                    }
                }
            } catch { return SQLITE_IOERR }
            return next()
        }

        private func position(_ id: UUID128) throws(PacketSearch.Failure) -> Position? {
            do throws(FileFailure) { return try ledger.map.position(of: id) } catch {
                throw .read(.file(error))
            }
        }

        /// Goes to the next packet that is there.
        func next() -> Int32 {
            (record, document, outline) = (nil, nil, nil)
            while true {
                let position: Position
                if let found {
                    guard place < UInt64(found.count) else { return SQLITE_OK }
                    position = found[Int(place)]
                } else {
                    guard place <= last else { return SQLITE_OK }
                    position = Position(place)
                }
                guard ledger.size.contains(position) else {
                    if found == nil { return SQLITE_OK }
                    place += 1
                    continue
                }
                place += 1
                if place.isMultiple(of: 64), ledger.isOverTime { return SQLITE_INTERRUPT }
                do throws(ReadFailure) { record = try ledger.map.read(position) } catch {
                    return SQLITE_IOERR
                }
                if record?.entry.kind == .packet { return SQLITE_OK }
                record = nil
            }
        }

        func give(_ column: Column?, _ context: OpaquePointer) -> Int32 {
            guard let record, let column else {
                unsafe sqlite3_result_null(context)
                return SQLITE_OK
            }
            let entry = record.entry
            switch column {
            case .stardustID: unsafe text("\(entry.stardustID)", context)
            case .createdAt: unsafe text("\(entry.createdAt)", context)
            case .receivedAt: unsafe text("\(entry.receivedAt)", context)
            case .position: unsafe sqlite3_result_int64(context, rowid)
            case .entityType, .entityID, .lineage, .decisionChain:
                guard let (document, outline) = parsed(record) else { return SQLITE_CORRUPT }
                switch column {
                case .entityType: unsafe text(outline.entityType, context)
                case .entityID: unsafe text("\(outline.entityID)", context)
                case .lineage: unsafe text(document.source(outline.lineage), context)
                default:
                    if let chain = outline.decisionChain {
                        unsafe text(document.source(chain), context)
                    } else {
                        unsafe sqlite3_result_null(context)
                    }
                }
            }
            return SQLITE_OK
        }

        private func parsed(_ record: StoredRecord) -> (JSONDocument, PacketOutline)? {
            if let document, let outline { return (document, outline) }
            // What was admitted parses; anything else is damage.
            guard let read = try? JSONDocument(record.payload),
                let seen = PacketOutline(read.tokens, read.bytes.span)
            else { return nil }
            (document, outline) = (read, seen)
            return (read, seen)
        }

        private func text(_ text: String, _ context: OpaquePointer) {
            unsafe self.text(Array(text.utf8)[...], context)
        }

        private func text(_ bytes: ArraySlice<UInt8>, _ context: OpaquePointer) {
            // Safety: SQLite copies the bytes within the call.
            unsafe bytes.withUnsafeBytes {
                unsafe stardust_sqlite_result_text(context, $0.baseAddress, Int32($0.count))
            }
        }
    }
}
