internal import Glibc
internal import Platform

/// Another program, or this one again, run beside the load generator.
struct ChildProcess {
    let pid: pid_t

    /// What a finished process used.
    struct Usage {
        var exitStatus: Int32
        var wall: Duration
        var peakResidentBytes: Int
    }

    /// Starts it. Standard output goes to the file `output`, standard error nowhere.
    init(_ arguments: [String], output: String = "/dev/null") throws(BenchFailure) {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        unsafe posix_spawn_file_actions_addopen(&actions, 1, output, flags, 0o600)
        unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        // Safety: the copies live until the process has started, and are freed here.
        var pointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe Self.free(pointers) }
        var pid = pid_t()
        let status = unsafe posix_spawnp(&pid, arguments[0], &actions, nil, &pointers, environ)
        guard status == 0 else {
            throw BenchFailure("\(arguments[0]): \(errorName(status))")
        }
        self.pid = pid
    }

    private static func free(_ pointers: [UnsafeMutablePointer<CChar>?]) {
        for index in unsafe pointers.indices { unsafe Glibc.free(pointers[index]) }
    }

    func send(_ signal: Int32) { kill(pid, signal) }

    /// Waits for its end and samples its memory meanwhile. The kernel's own peak is no use: it
    /// starts with the memory of this process.
    func wait() -> (exitStatus: Int32, peakResidentBytes: Int) {
        var (status, peak): (Int32, Int) = (0, 0)
        while unsafe waitpid(pid, &status, WNOHANG) == 0 {
            peak = max(peak, residentBytes)
            usleep(2000)
        }
        let code = status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F)
        return (code, peak)
    }

    /// Runs a program to its end.
    static func run(_ arguments: [String], output: String = "/dev/null") throws(BenchFailure)
        -> Usage
    {
        let start = ContinuousClock.now
        let (code, peak) = try ChildProcess(arguments, output: output).wait()
        return Usage(exitStatus: code, wall: .now - start, peakResidentBytes: peak)
    }

    var residentBytes: Int { ProcessMemory.residentBytes(ofProcess: "\(pid)") }

    /// Processor time so far, in kernel ticks: of all threads, and of the threads with one name.
    func ticks(ofThreads name: String) -> (all: Int, named: Int) {
        // A process that is gone counts as having used nothing.
        let threads = (try? PosixVolume(root: "/proc/\(pid)").list("task")) ?? []
        var (all, named) = (0, 0)
        for thread in threads {
            // The name is in parentheses and may contain spaces. User and system time are the 12th
            // and 13th fields after it.
            let stat = text("task/\(thread)/stat")
            guard let end = stat.lastIndex(of: ")") else { continue }
            let fields = stat[end...].split(separator: " ")
            guard fields.count > 13 else { continue }
            let ticks = (Int(fields[12]) ?? 0) + (Int(fields[13]) ?? 0)
            all += ticks
            if stat[..<end].hasSuffix("(" + name) { named += ticks }
        }
        return (all, named)
    }

    /// A short file of the process in /proc; empty if the process is gone.
    private func text(_ path: String) -> String {
        guard let file = try? PosixVolume(root: "/proc/\(pid)").open(path, .read) else { return "" }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = (try? file.read(into: &bytes, 0..<bytes.count, at: 0)) ?? 0
        return String(decoding: bytes.prefix(count), as: UTF8.self)
    }
}
