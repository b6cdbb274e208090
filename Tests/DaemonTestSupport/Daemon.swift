import Foundation
import TestSupport

/// The real program serving a ledger in a folder of its own.
package final class Daemon: @unchecked Sendable {
    // Unchecked: a test starts and stops its daemon from one task at a time.
    package let folder: TemporaryFolder
    package let ledger: String
    package let socket: String
    private let configuration: String?
    /// A copy of the program that other users reach.
    package var program = Repository.program
    /// Takes effect when it is started.
    package var wrapper: [String]
    private var process: Process?

    /// Makes a ledger, unless `ledger` names one, and serves it. `wrapper` is a command that becomes
    /// the program, such as `strace -D`.
    package init(
        configuration: String? = nil, ledger: String? = nil, wrapper: [String] = [],
        starts: Bool = true
    ) throws {
        let folder = try TemporaryFolder()
        self.folder = folder
        self.ledger = ledger ?? folder.path + "/ledger"
        socket = folder.path + "/s"
        self.wrapper = wrapper.isEmpty ? Self.sandbox : wrapper
        self.configuration = try configuration.map {
            try folder.file("config.json", Array($0.utf8))
        }
        if ledger == nil {
            // Segments of one size from the first on, so that what a test means to roll does.
            let size = configuration?.firstMatch(of: /"segment_bytes": *([0-9]+)/)?.1 ?? "67108864"
            let made = try run([
                Repository.program, "init", self.ledger, "--segment-bytes", String(size),
            ])
            guard made.status == 0 else { throw Failure("init: \(made.error)") }
        }
        if starts { try start() }
    }

    deinit { kill() }

    /// What every daemon runs in, if somebody wants that.
    private static let sandbox: [String] = {
        guard let path = ProcessInfo.processInfo.environment["STARDUST_SANDBOX"] else { return [] }
        return ["python3", path, TemporaryFolder.parent]
    }()

    package var log: String {
        (try? String(contentsOfFile: folder.path + "/log", encoding: .utf8)) ?? ""
    }

    /// Waits until the log, which is written by a thread of its own, contains a text.
    package func logs(_ text: String) -> Bool {
        let deadline = Date() + 60
        while !log.contains(text), Date() < deadline { usleep(20_000) }
        return log.contains(text)
    }

    package var pid: Int32 { process?.processIdentifier ?? 0 }

    /// Processor time that the daemon has used. Unlike time that passes, it does not depend on what
    /// else runs on the machine.
    package func processorTime() throws -> Duration {
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        // The name in parentheses may contain spaces; user and system time are the 14th and 15th.
        let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Int(fields[11]), let system = Int(fields[12]) else {
            throw Failure("/proc/\(pid)/stat: \(text)")
        }
        return .milliseconds((user + system) * 1000 / sysconf(Int32(_SC_CLK_TCK)))
    }

    package func start(waits: Bool = true, wrapped: Bool = true) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        var arguments =
            (wrapped ? wrapper : []) + [program, "serve", ledger, "--socket", socket]
        if let configuration { arguments += ["--config", configuration] }
        process.arguments = arguments
        let log = folder.path + "/log"
        if !FileManager.default.fileExists(atPath: log) {
            _ = FileManager.default.createFile(atPath: log, contents: nil)
        }
        let handle = FileHandle(forWritingAtPath: log)!
        handle.seekToEndOfFile()
        process.standardError = handle
        process.standardInput = FileHandle.nullDevice
        try process.run()
        self.process = process
        if waits { try waitUntilServing() }
    }

    package func waitUntilServing() throws {
        let deadline = Date() + 30
        while Date() < deadline {
            if let answer = try? HTTPClient(socket).get("/readyz"),
                answer.status == 200 || !answer.text.contains("is being opened")
            {
                return
            }
            guard process?.isRunning == true else { throw Failure("the daemon ended: \(log)") }
            usleep(2000)
        }
        throw Failure("the daemon does not serve: \(log)")
    }

    /// Replaces the configuration, and waits until the daemon has read it, taken or not.
    package func reload(_ text: String) throws {
        let before = try metric("config_reloads_total")
        _ = try folder.file("config.json", Array(text.utf8))
        Foundation.kill(pid, SIGHUP)
        let deadline = Date() + 60
        while try metric("config_reloads_total") == before {
            guard Date() < deadline else { throw Failure("nothing was read again: \(log)") }
            usleep(1000)
        }
    }

    /// SIGTERM, and the exit status.
    @discardableResult
    package func stop() -> Int32 {
        guard let process else { return 0 }
        if process.isRunning { Foundation.kill(process.processIdentifier, SIGTERM) }
        return waitForEnd()
    }

    package func waitForEnd() -> Int32 {
        guard let process else { return 0 }
        process.waitUntilExit()
        self.process = nil
        return process.terminationStatus
    }

    /// SIGKILL.
    package func kill() {
        guard let process else { return }
        if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        self.process = nil
    }

    /// `stardust verify` of the ledger's files.
    package func verify(_ arguments: String...) throws -> Finished {
        try run([Repository.program, "verify", ledger] + arguments)
    }

    /// A command of the program, as a client of this daemon.
    package func stardust(_ arguments: String...) throws -> Finished { try stardust(arguments) }

    package func stardust(_ arguments: [String]) throws -> Finished {
        try TestSupport.run(
            [Repository.program] + arguments, environment: ["STARDUST_SOCKET": socket])
    }

    package func metric(_ name: String) throws -> Int { Int(try number(name)) }

    /// The same of a metric that is no whole number; `name` may have labels.
    package func number(_ name: String) throws -> Double {
        let line = try HTTPClient(socket).get("/metrics").lines.first {
            $0.hasPrefix("stardust_\(name) ")
        }
        guard let line, let value = line.split(separator: " ").last.flatMap({ Double($0) }) else {
            throw Failure("the daemon has no metric \(name)")
        }
        return value
    }

    /// What `/readyz` says.
    package func readiness() throws -> String { try HTTPClient(socket).get("/readyz").text }

    /// The key that the ledger began with.
    package var vkey: String {
        get throws {
            try String(contentsOfFile: ledger + "/identity", encoding: .utf8)
                .components(separatedBy: "\n")[3]
        }
    }

    /// The ledger as the verifier that was written from the format page judges it.
    package func secondOpinion() throws -> Finished {
        try TestSupport.run(["python3", Repository.root + "/Docs/Examples/verify.py", ledger])
    }
}
