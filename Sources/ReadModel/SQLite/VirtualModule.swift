internal import CSQLite

extension SQLiteConnection {
    /// Adds a virtual table.
    package func add(_ table: any VirtualTable) throws(SQLiteFailure) {
        // Safety: the connection takes over a retain, and releases it when it closes.
        let context = unsafe Unmanaged.passRetained(Box(table)).toOpaque()
        let code = unsafe sqlite3_create_module_v2(
            handle, table.name, VirtualModule.module, context
        ) { unsafe Unmanaged<Box>.fromOpaque($0!).release() }
        guard code == SQLITE_OK else { throw failure(code) }
        // Connected now: declaring its columns is more than a confined connection may do.
        _ = try rows("SELECT 1 FROM \(table.name) LIMIT 0")
    }
}

/// A table behind a pointer that SQLite keeps.
private final class Box {
    let table: any VirtualTable
    init(_ table: any VirtualTable) { self.table = table }
}

/// A cursor behind a pointer that SQLite keeps.
private final class CursorBox {
    let cursor: any VirtualCursor
    init(_ cursor: any VirtualCursor) { self.cursor = cursor }
}

/// SQLite's side of virtual tables (sqlite.org/vtab.html).
private enum VirtualModule {
    /// What SQLite holds of a table, and of a cursor: its own part first.
    @unsafe private struct Table {
        var base: sqlite3_vtab
        var box: UnsafeMutableRawPointer
    }

    @unsafe private struct Handle {
        var base: sqlite3_vtab_cursor
        var box: UnsafeMutableRawPointer
    }

    // Safety: made once, never changed, never freed.
    nonisolated(unsafe) static let module: UnsafeMutablePointer<sqlite3_module> = {
        let module = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
        unsafe module.initialize(to: sqlite3_module())
        // Without xCreate the table exists by its name alone, and nobody can make another.
        unsafe module.pointee.xConnect = { database, context, _, _, result, _ in
            let box = unsafe Unmanaged<Box>.fromOpaque(context!).takeUnretainedValue()
            let code = unsafe sqlite3_declare_vtab(database, box.table.declaration)
            guard code == SQLITE_OK else { return code }
            let made = UnsafeMutablePointer<Table>.allocate(capacity: 1)
            unsafe made.initialize(to: Table(base: sqlite3_vtab(), box: context!))
            unsafe result!.pointee = UnsafeMutableRawPointer(made).assumingMemoryBound(
                to: sqlite3_vtab.self)
            return SQLITE_OK
        }
        unsafe module.pointee.xBestIndex = { table, info in
            unsafe VirtualModule.plan(VirtualModule.table(table), &info!.pointee)
            return SQLITE_OK
        }
        unsafe module.pointee.xDisconnect = { table in
            unsafe UnsafeMutableRawPointer(table!).assumingMemoryBound(to: Table.self).deallocate()
            return SQLITE_OK
        }
        unsafe module.pointee.xOpen = { table, result in
            let cursor = CursorBox(unsafe VirtualModule.table(table).open())
            let made = UnsafeMutablePointer<Handle>.allocate(capacity: 1)
            unsafe made.initialize(
                to: Handle(
                    base: sqlite3_vtab_cursor(), box: Unmanaged.passRetained(cursor).toOpaque()))
            unsafe result!.pointee = UnsafeMutableRawPointer(made).assumingMemoryBound(
                to: sqlite3_vtab_cursor.self)
            return SQLITE_OK
        }
        unsafe module.pointee.xClose = { handle in
            unsafe Unmanaged<CursorBox>.fromOpaque(VirtualModule.box(handle)).release()
            unsafe UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: Handle.self)
                .deallocate()
            return SQLITE_OK
        }
        unsafe module.pointee.xFilter = { handle, plan, _, count, values in
            let arguments = (0..<Int(count)).map { unsafe VirtualArgument(values![$0]) }
            return VirtualModule.code { () throws(VirtualFailure) in
                try unsafe VirtualModule.cursor(handle).begin(plan, arguments)
            }
        }
        unsafe module.pointee.xNext = { handle in
            VirtualModule.code { () throws(VirtualFailure) in
                try unsafe VirtualModule.cursor(handle).next()
            }
        }
        unsafe module.pointee.xEof = { unsafe VirtualModule.cursor($0).rowID == nil ? 1 : 0 }
        unsafe module.pointee.xColumn = { handle, context, column in
            VirtualModule.code { () throws(VirtualFailure) in
                let value = try unsafe VirtualModule.cursor(handle).value(column)
                unsafe VirtualModule.give(value, context!)
            }
        }
        unsafe module.pointee.xRowid = { handle, rowID in
            unsafe rowID!.pointee = VirtualModule.cursor(handle).rowID ?? 0
            return SQLITE_OK
        }
        return unsafe module
    }()

    // Safety: every table was made by xConnect, every handle by xOpen.

    private static func table(
        _ table: UnsafeMutablePointer<sqlite3_vtab>?
    ) -> any VirtualTable {
        let box = unsafe UnsafeMutableRawPointer(table!).assumingMemoryBound(to: Table.self)
            .pointee.box
        return unsafe Unmanaged<Box>.fromOpaque(box).takeUnretainedValue().table
    }

    private static func box(
        _ handle: UnsafeMutablePointer<sqlite3_vtab_cursor>?
    ) -> UnsafeMutableRawPointer {
        unsafe UnsafeMutableRawPointer(handle!).assumingMemoryBound(to: Handle.self).pointee.box
    }

    private static func cursor(
        _ handle: UnsafeMutablePointer<sqlite3_vtab_cursor>?
    ) -> any VirtualCursor {
        unsafe Unmanaged<CursorBox>.fromOpaque(box(handle)).takeUnretainedValue().cursor
    }

    private static func code(_ body: () throws(VirtualFailure) -> Void) -> Int32 {
        do throws(VirtualFailure) {
            try body()
            return SQLITE_OK
        } catch {
            return switch error {
            case .cannotRead: SQLITE_IOERR
            case .damaged: SQLITE_CORRUPT
            case .timeIsOver: SQLITE_INTERRUPT
            }
        }
    }

    // MARK: Planning

    private static func plan(_ table: any VirtualTable, _ info: inout sqlite3_index_info) {
        var (constraints, places): ([VirtualConstraint], [Int]) = ([], [])
        for place in 0..<Int(unsafe info.nConstraint) {
            guard let constraint = unsafe constraint(&info, place) else { continue }
            constraints.append(constraint)
            places.append(place)
        }
        let plan = table.plan(constraints)
        for (number, argument) in plan.arguments.enumerated() {
            unsafe info.aConstraintUsage[places[argument]].argvIndex = Int32(number + 1)
        }
        // Rows come in the order of their ids.
        if unsafe info.nOrderBy == 1, unsafe info.aOrderBy[0].desc == 0 {
            let column = unsafe info.aOrderBy[0].iColumn
            if column < 0 || plan.orderedBy.contains(column) { unsafe info.orderByConsumed = 1 }
        }
        unsafe info.idxNum = plan.number
        unsafe info.estimatedCost = plan.cost
        unsafe info.estimatedRows = plan.rows
    }

    private static func constraint(
        _ info: inout sqlite3_index_info, _ place: Int
    ) -> VirtualConstraint? {
        let constraint = unsafe info.aConstraint[place]
        guard constraint.usable != 0 else { return nil }
        switch Int32(constraint.op) {
        case SQLITE_INDEX_CONSTRAINT_GE, SQLITE_INDEX_CONSTRAINT_GT:
            return VirtualConstraint(column: constraint.iColumn, comparison: .atLeast)
        case SQLITE_INDEX_CONSTRAINT_LE, SQLITE_INDEX_CONSTRAINT_LT:
            return VirtualConstraint(column: constraint.iColumn, comparison: .atMost)
        case SQLITE_INDEX_CONSTRAINT_EQ:
            let collation = unsafe String(
                cString: unsafe sqlite3_vtab_collation(&info, Int32(place)))
            guard collation == "BINARY" else { return nil }
            return VirtualConstraint(column: constraint.iColumn, comparison: .equal)
        default: return nil
        }
    }

    // MARK: Values

    private static func give(_ value: ModelValue, _ context: OpaquePointer) {
        switch value {
        case .null: unsafe sqlite3_result_null(context)
        case .integer(let number): unsafe sqlite3_result_int64(context, number)
        case .real(let number): unsafe sqlite3_result_double(context, number)
        case .text(let bytes):
            // Safety: SQLite copies the bytes within the call.
            unsafe bytes.withUnsafeBytes {
                unsafe stardust_sqlite_result_text(context, $0.baseAddress, Int32($0.count))
            }
        }
    }
}

extension VirtualArgument {
    fileprivate init(_ value: OpaquePointer?) {
        let type = unsafe sqlite3_value_type(value)
        let isNumber = type == SQLITE_INTEGER || type == SQLITE_FLOAT
        // Safety: SQLite's text lives until the value changes; it is copied.
        self.init(
            text: unsafe sqlite3_value_text(value).map { unsafe String(cString: $0) },
            number: isNumber ? unsafe sqlite3_value_double(value) : nil)
    }
}
