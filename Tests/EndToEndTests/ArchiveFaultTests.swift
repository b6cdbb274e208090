import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// System calls that fail, or during which a process dies, wherever segments move.
@Suite(.needs(Repository.has("strace"), "strace is not installed"))
struct ArchiveFaultTests {
    private static func root(_ ledger: String) throws -> String {
        let result = try run([Repository.program, "verify", ledger, "--json"])
        let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        #expect(result.status == 0, "\(result)")
        return (json as? [String: Any])?["root"] as? String ?? result.output + result.error
    }

    /// A program with the n-th call of a kind, in each of its threads, changed.
    private static func injecting(_ fault: String, into trace: String) -> [String] {
        let calls = fault.prefix { $0 != ":" }
        return [
            "strace", "-D", "-f", "-qq", "-o", trace, "-e", "trace=\(calls)", "-e",
            "inject=\(fault)",
        ]
    }

    /// Whether the fault has happened.
    private static func hasHappened(_ trace: String) -> Bool {
        let text = (try? String(contentsOfFile: trace, encoding: .utf8)) ?? ""
        return text.contains("(INJECTED)") || text.contains("killed by SIGKILL")
    }

    private static func waitUntilHappened(_ trace: String) throws {
        let deadline = Date() + 120
        while !hasHappened(trace) {
            guard Date() < deadline else { throw Failure("no such call was made") }
            usleep(20_000)
        }
    }

    // MARK: Shipping, leaving and coming back

    /// What a daemon and an archive process survive: the process, and the fault.
    private static let faults: [(String, String)] = [
        ("daemon", "unlink,unlinkat:error=EIO:when=1"),
        ("daemon", "unlink,unlinkat:signal=SIGKILL:when=1"),
        ("daemon", "rename,renameat2:error=EIO:when=1..2"),
        ("daemon", "rename,renameat2:signal=SIGKILL:when=2"),
        ("daemon", "fsync:error=EIO:when=2"), ("daemon", "fsync:signal=SIGKILL:when=3"),
        ("daemon", "connect:error=ECONNREFUSED:when=2..3"),
        ("daemon", "read,recvfrom:error=ECONNRESET:when=4..5"),
        ("archive", "connect:error=ECONNREFUSED:when=1"),
        ("archive", "read,recvfrom:error=ECONNRESET:when=20..22"),
        ("archive", "fsync:error=EIO:when=3..4"), ("archive", "fsync:signal=SIGKILL:when=5"),
        ("archive", "link,linkat:signal=SIGKILL:when=3"),
    ]

    @Test(arguments: faults)
    func `whatever call fails while segments move, nothing is lost`(
        process: String, fault: String
    ) throws {
        let stores = try [TemporaryFolder(in: "/dev/shm"), TemporaryFolder(in: "/dev/shm")]
        defer { withExtendedLifetime(stores) {} }
        let trace = stores[0].path + "-trace"
        defer { try? FileManager.default.removeItem(atPath: trace) }
        let wrapper = Self.injecting(fault, into: trace)
        let archived = try Archived(
            stores.map { Archived.folder($0.path) }, segmentBytes: 1 << 16, leaves: true,
            daemonWrapper: process == "daemon" ? wrapper : [])
        try archived.start(wrapper: process == "archive" ? wrapper : [])
        // The fault may end the daemon; what was acknowledged until then counts.
        for number in 0..<8 { try? archived.emit(number * 40..<number * 40 + 40) }
        try Self.waitUntilHappened(trace)
        archived.kill()
        archived.daemon.kill()
        let looked = try archived.daemon.verify()
        #expect(looked.status == 0, "\(looked)")
        // From here on every call works.
        try archived.daemon.start(wrapped: false)
        try archived.start()
        try archived.emit(0..<320)
        try archived.waitUntilShipped()
        try archived.waitUntilLeft()
        let client = try HTTPClient(archived.daemon.socket)
        for number in 0..<320 {
            let answer = try client.get("/v1/packets/\(Sample.numbered(number).id)")
            #expect(answer.status == 200, "\(number): \(answer.text)")
        }
        archived.stop()
        #expect(archived.daemon.stop() == 0)
        let root = try Self.root(archived.daemon.ledger)
        for store in stores {
            let restored = archived.daemon.folder.path + "/restored-\(UUID())"
            let result = try run([
                Repository.program, "restore", restored, "--from", "file://\(store.path)",
            ])
            #expect(result.status == 0, "\(result)")
            #expect(try Self.root(restored) == root)
        }
    }

    // MARK: Restore and take-over

    private static let calls = [
        "fsync", "rename,renameat,renameat2", "mkdir,mkdirat", "unlink,unlinkat,rmdir",
        "pwrite64", "ftruncate", "flock",
    ]

    /// The numbers of calls to try: all in a soak.
    private static func numbers(of calls: Int, _ generator: inout SeededGenerator) -> [Int] {
        guard calls > 0 else { return [] }
        if Soak.isSoak, calls <= 100 { return Array(1...calls) }
        return Array(
            Set([1, calls, Int.random(in: 1...calls, using: &generator)])
        ).sorted()
    }

    /// How many calls of a kind a command makes.
    private static func count(_ calls: String, of command: [String]) throws -> Int {
        let trace = try TemporaryFolder()
        let path = trace.path + "/trace"
        let result = try run(
            ["strace", "-f", "-qq", "-o", path, "-e", "trace=\(calls)"] + command)
        #expect(result.status == 0, "\(result)")
        return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            .count { $0.contains("(") && !$0.contains("resumed>") }
    }

    /// Runs a command with each of some calls failing, or ending it.
    private static func forEachFault(
        in command: (Int) throws -> [String], _ body: (Finished, _ what: String, Int) throws -> Void
    ) throws {
        var (generator, round) = (SeededGenerator(seed: 11), 0)
        for calls in Self.calls {
            round += 1
            for number in numbers(of: try count(calls, of: command(round)), &generator) {
                for effect in ["error=EIO", "signal=SIGKILL"] {
                    round += 1
                    let fault = "\(calls):\(effect):when=\(number)"
                    let result = try run(
                        [
                            "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(calls)", "-e",
                            "inject=\(fault)",
                        ] + command(round))
                    try body(result, fault, round)
                }
            }
        }
    }

    @Test func `a restore whose calls fail leaves nothing half done`() throws {
        let store = try TemporaryFolder()
        defer { withExtendedLifetime(store) {} }
        let archived = try Archived([Archived.folder(store.path)], segmentBytes: 1 << 16)
        try archived.start()
        try archived.emit(0..<200)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        let root = try Self.root(archived.daemon.ledger)
        let folder = archived.daemon.folder.path
        func command(_ round: Int) -> [String] {
            [
                Repository.program, "restore", "\(folder)/r\(round)", "--from",
                "file://\(store.path)",
            ]
        }
        try Self.forEachFault(in: command) { result, fault, round in
            let path = "\(folder)/r\(round)"
            if !FileManager.default.fileExists(atPath: path) {
                #expect(result.status != 0, "\(fault): \(result)")
                let again = try run(command(round))
                #expect(again.status == 0, "\(fault): \(again)")
            }
            #expect(try Self.root(path) == root, "\(fault)")
            try FileManager.default.removeItem(atPath: path)
        }
    }

    @Test func `a take-over whose calls fail can be made again`() throws {
        let store = try TemporaryFolder()
        defer { withExtendedLifetime(store) {} }
        let archived = try Archived([Archived.folder(store.path)])
        try archived.start()
        try archived.emit(0..<20)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        let folder = archived.daemon.folder.path
        func command(_ round: Int) throws -> [String] {
            // The archive and the folder as they were before anybody took over.
            let (ledger, copy) = ("\(folder)/t\(round)", "\(folder)/store\(round)")
            try FileManager.default.copyItem(atPath: store.path, toPath: copy)
            let restored = try run([
                Repository.program, "restore", ledger, "--from", "file://\(copy)",
            ])
            #expect(restored.status == 0, "\(restored)")
            try FileManager.default.copyItem(
                atPath: archived.daemon.ledger + "/key", toPath: ledger + "/key")
            let settings = try String(contentsOfFile: archived.configuration, encoding: .utf8)
                .replacingOccurrences(of: store.path, with: copy)
            try settings.write(
                toFile: "\(folder)/c\(round).json", atomically: false, encoding: .utf8)
            return takeOver(round)
        }
        func takeOver(_ round: Int) -> [String] {
            [
                Repository.program, "take-over", "\(folder)/t\(round)", "--config",
                "\(folder)/c\(round).json", "--tail", "keep",
            ]
        }
        try Self.forEachFault(in: command) { result, fault, round in
            let ledger = "\(folder)/t\(round)"
            _ = try Self.root(ledger)
            if result.status != 0 {
                let again = try run(takeOver(round))
                #expect(again.status == 0, "\(fault): \(result); \(again)")
            }
            let daemon = try Daemon(
                configuration: String(
                    contentsOfFile: "\(folder)/c\(round).json", encoding: .utf8), ledger: ledger)
            let emitted = try HTTPClient(daemon.socket).emit(
                Sample.packet(Sample.numbered(900).id))
            #expect(emitted.status == 201, "\(fault): \(emitted.text)")
            #expect(daemon.stop() == 0)
            _ = try Self.root(ledger)
        }
    }
}
