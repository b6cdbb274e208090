internal import CPlatform
internal import CSQLite

/// What SQLite has allocated on each thread, less what it has freed there. SQLite's own count
/// covers the whole process, so one query would be charged for another.
enum SQLiteMemory {
    // Safety: set once, before SQLite is used, and only read afterwards.
    private nonisolated(unsafe) static var system = unsafe sqlite3_mem_methods()

    /// Starts counting. False if SQLite was already in use.
    static let isCounted: Bool = {
        guard unsafe stardust_sqlite_get_memory(&system) == SQLITE_OK else { return false }
        var counting = unsafe system
        // Safety: SQLite calls these with its own pointers, as it would the system's.
        unsafe counting.xMalloc = { size in
            guard SQLiteMemory.hasRoom(Int64(size)) else { return nil }
            let bytes = unsafe SQLiteMemory.system.xMalloc(size)
            unsafe SQLiteMemory.add(bytes, 1)
            return unsafe bytes
        }
        unsafe counting.xFree = { bytes in
            unsafe SQLiteMemory.add(bytes, -1)
            unsafe SQLiteMemory.system.xFree(bytes)
        }
        unsafe counting.xRealloc = { bytes, size in
            guard SQLiteMemory.hasRoom(Int64(size)) else { return nil }
            unsafe SQLiteMemory.add(bytes, -1)
            let other = unsafe SQLiteMemory.system.xRealloc(bytes, size)
            unsafe SQLiteMemory.add(other ?? bytes, 1)
            return unsafe other
        }
        return unsafe stardust_sqlite_set_memory(&counting) == SQLITE_OK
    }()

    /// SQLite treats a refusal like any other lack of memory: the statement fails.
    private static func hasRoom(_ bytes: Int64) -> Bool {
        if bytes >= Self.largeBytes, isOverTime { return false }
        let most = unsafe stardust_thread_bytes_max().pointee
        return unsafe most == 0 || stardust_thread_bytes().pointee + bytes <= most
    }

    /// SQLite's own functions do not look at the clock, but those that make large values allocate
    /// them: after the deadline they fail.
    private static let largeBytes: Int64 = 64 << 10

    private static var isOverTime: Bool {
        let deadline = unsafe stardust_thread_deadline().pointee
        return deadline != 0 && stardust_nanoseconds() > deadline
    }

    /// Limits what this thread may allocate from now on, and until when it may allocate much; nil
    /// removes the limits.
    static func bound(to bytes: Int64?, for time: Duration = .zero) {
        guard isCounted else { return }
        unsafe stardust_thread_bytes_max().pointee = bytes.map { used + $0 } ?? 0
        let left = Int64(clamping: Int(max(time, .zero) / .nanoseconds(1)))
        unsafe stardust_thread_deadline().pointee =
            bytes == nil ? 0 : stardust_nanoseconds() &+ left
    }

    private static func add(_ bytes: UnsafeMutableRawPointer?, _ sign: Int64) {
        guard let bytes = unsafe bytes else { return }
        unsafe stardust_thread_bytes().pointee += sign * Int64(system.xSize(bytes))
    }

    /// Bytes in use on this thread.
    static var used: Int64 {
        isCounted ? unsafe stardust_thread_bytes().pointee : sqlite3_memory_used()
    }
}
