internal import Glibc

/// How much this process's threads give way to those of others.
package enum ProcessPriority {
    /// Has every thread, and those that they will start, wait for others (nice(2): on Linux, a thread's own
    /// matter). What cannot be changed stays.
    package static func lower() {
        let threads = (try? PosixVolume(root: "/proc/self/task").list("")) ?? []
        for thread in threads.compactMap({ UInt32($0) }) {
            _ = setpriority(__priority_which_t(PRIO_PROCESS.rawValue), thread, 10)
        }
    }
}
