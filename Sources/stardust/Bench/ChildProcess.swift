internal import Glibc
internal import LedgerStorage

/// Another program, or this one again, run beside the load generator.
struct ChildProcess {
    let pid: pid_t

    /// What a finished process took, as the kernel accounts for it.
    struct Usage {
        var exitStatus: Int32
        var wall: Duration
        var peakResidentBytes: Int
    }

    /// Starts it with output going to `output` (its standard output) and nowhere else.
    init(_ arguments: [String], output: String = "/dev/null") throws(Failure) {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        unsafe posix_spawn_file_actions_addopen(&actions, 1, output, flags, 0o600)
        unsafe posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        // Safety: the copies live until the process is started, and are freed here.
        var pointers = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { unsafe Self.free(pointers) }
        var pid = pid_t()
        let status = unsafe posix_spawnp(&pid, arguments[0], &actions, nil, &pointers, environ)
        guard status == 0 else {
            throw Failure(.cannotOpenInput, "\(arguments[0]): \(errorName(status))")
        }
        self.pid = pid
    }

    private static func free(_ pointers: [UnsafeMutablePointer<CChar>?]) {
        for index in unsafe pointers.indices { unsafe Glibc.free(pointers[index]) }
    }

    func send(_ signal: Int32) { kill(pid, signal) }

    /// Waits for its end, looking now and then how much memory it takes: the kernel's own figure
    /// begins with what this process has.
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
    static func run(_ arguments: [String], output: String = "/dev/null") throws(Failure) -> Usage {
        let start = ContinuousClock.now
        let (code, peak) = try ChildProcess(arguments, output: output).wait()
        return Usage(exitStatus: code, wall: .now - start, peakResidentBytes: peak)
    }

    var residentBytes: Int {
        // A process that is gone has no memory.
        guard let text = try? PosixVolume(root: "/proc/\(pid)").open("statm", .read) else {
            return 0
        }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = (try? text.read(into: &bytes, 0..<bytes.count, at: 0)) ?? 0
        let fields = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * 4096 : 0
    }
}
