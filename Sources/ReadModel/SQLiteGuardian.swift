internal import CSQLite

/// Asked now and then, while a statement runs, whether it may go on.
package final class SQLiteGuardian {
    private let patience: Patience
    private let memoryMax: Int64?
    private(set) var isOverTime = false
    private(set) var isOverMemory = false

    /// What a statement may allocate, where that is bounded. It runs on the thread that made this.
    static let memoryBytes: Int64 = 128 << 20
    private static let stepsBetweenChecks: Int32 = 1000

    init(_ patience: Patience, boundsMemory: Bool = false) {
        self.patience = patience
        memoryMax = boundsMemory ? SQLiteMemory.used + Self.memoryBytes : nil
    }

    private var goesOn: Bool {
        isOverTime = patience.isOver
        if let memoryMax { isOverMemory = SQLiteMemory.used > memoryMax }
        return !isOverTime && !isOverMemory
    }

    /// From now on a statement of the connection fails as interrupted when it may not go on. The
    /// connection keeps the guardian.
    func watch(_ handle: OpaquePointer) {
        // Safety: the guardian lives until the connection is closed, or another one watches.
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe sqlite3_progress_handler(
            handle, Self.stepsBetweenChecks,
            { context in
                let guardian = unsafe Unmanaged<SQLiteGuardian>.fromOpaque(context!)
                    .takeUnretainedValue()
                return guardian.goesOn ? 0 : 1
            }, context)
    }
}
