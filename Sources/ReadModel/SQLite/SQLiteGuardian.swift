internal import CSQLite

/// Checks periodically, while a statement runs, whether it may continue.
package final class SQLiteGuardian {
    private let patience: Patience
    private let memoryMax: Int64?
    private(set) var isOverTime = false
    private(set) var isOverMemory = false
    /// Calls of functions in the statement's text.
    var functionsCalled = 0

    /// How much a statement may allocate, if that is limited. The statement must run on the thread
    /// that created this guardian.
    static let memoryBytes: Int64 = 128 << 20
    private static let stepsBetweenChecks: Int32 = 100

    init(_ patience: Patience, boundsMemory: Bool = false) {
        self.patience = patience
        memoryMax = boundsMemory ? SQLiteMemory.used + Self.memoryBytes : nil
    }

    /// Looks at the clock and at what is allocated.
    var goesOn: Bool {
        isOverTime = patience.isOver
        if let memoryMax { isOverMemory = SQLiteMemory.used > memoryMax }
        return !isOverTime && !isOverMemory
    }

    /// From now on, the connection's statements fail as interrupted once they may not continue. The
    /// connection keeps the guardian alive.
    func watch(_ handle: OpaquePointer) {
        // Safety: the guardian lives until the connection is closed, or until another replaces it.
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
