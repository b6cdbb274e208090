internal import CPlatform
internal import Glibc
internal import Platform

/// Pins this process and the processes it queries to one processor. On several processors the
/// scheduler's choice would decide the result: in a virtual machine, waking a thread on another
/// processor takes 25 µs, longer than many answers.
struct SharedProcessor {
    private var before: [(thread: pid_t, processors: [UInt8])] = []

    /// Pins all threads of these processes and the calling thread. Nil if one of them may not be
    /// moved; then all are restored.
    init?(_ processes: [pid_t]) {
        guard let own = Self.processors(of: 0), let byte = own.firstIndex(where: { $0 != 0 }) else {
            return nil
        }
        var first = [UInt8](repeating: 0, count: own.count)
        first[byte] = own[byte] & (0 &- own[byte])
        for thread in processes.flatMap(Self.threads) + [0] {
            guard let old = Self.processors(of: thread),
                unsafe stardust_set_processors(thread, first) == 0
            else {
                release()
                return nil
            }
            before.append((thread, old))
        }
    }

    private static func processors(of thread: pid_t) -> [UInt8]? {
        var mask = [UInt8](repeating: 0, count: STARDUST_PROCESSOR_BYTES)
        return unsafe stardust_get_processors(thread, &mask) == 0 ? mask : nil
    }

    private static func threads(of process: pid_t) -> [pid_t] {
        // A process that is gone has no threads.
        let names = (try? PosixVolume(root: "/proc/\(process)").list("task")) ?? []
        return names.compactMap { pid_t($0) }
    }

    /// Lets each thread run where it did before.
    func release() {
        for (thread, processors) in before {
            // A thread that has ended cannot be restored and need not be.
            _ = unsafe stardust_set_processors(thread, processors)
        }
    }
}
