import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// `stardust status`, for people.
struct StatusTests {
    @Test func `a daemon that is well is told in words`() throws {
        let daemon = try Daemon(configuration: #"{"records": "/var"}"#)
        try daemon.emit(0..<1234)
        _ = try daemon.checkpoint(covering: 1234)
        let deadline = Date() + 60
        while !(try daemon.stardust("status").output.contains(" left")), Date() < deadline {
            usleep(50_000)
        }
        let text = try daemon.stardust("status").output
        let lines = text.split(separator: "\n")
        #expect(lines.first?.hasPrefix("stardust 0.") == true)
        #expect(lines.first?.contains(": serving since 20") == true)
        #expect(!text.contains("! "))
        for words in [
            "ledger      1,234 entries, ", "checkpoint  covers every entry; ",
            "index       has every entry; ", "witnesses   none", "read model  none",
            "archive     none", "settings    read at the start", "verified    never",
        ] {
            #expect(text.contains("\n" + words), "\(words) in \(text)")
        }
        #expect(try daemon.stardust("status", "--json").output.hasPrefix("{\"version\":"))
    }

    @Test func `what needs attention comes first`() throws {
        let daemon = try Daemon(configuration: "{}")
        try daemon.reload(#"{"query_ms_max": "soon"}"#)
        let lines = try daemon.stardust("status").output.split(separator: "\n")
        #expect(lines[1].hasPrefix("! the settings on the disk were not taken: "))
        #expect(lines[1].contains("config.json:1:2"))
        try daemon.reload(#"{"machine": "other"}"#)
        let waiting = try daemon.stardust("status").output.split(separator: "\n")
        #expect(waiting[1] == "! settings wait for a restart: machine")
    }

    @Test func `whoever waits for a silent daemon waits no longer than they said`() throws {
        let daemon = try Daemon()
        Foundation.kill(daemon.pid, SIGSTOP)
        defer { Foundation.kill(daemon.pid, SIGCONT) }
        for command in [
            ["status"], ["find"], ["checkpoint"], ["follow"], ["get", Sample.id],
            ["prove", Sample.id], ["history", "clips", Sample.id],
        ] {
            let result = try daemon.stardust(command + ["--timeout", "1"])
            #expect(result.status == 69 && result.error.contains("1 s"), "\(command) \(result)")
        }
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let config = folder.path + "/config.json"
        let settings =
            #"{"socket": "\#(daemon.socket)", "archive": {"stores": [{"url": "file://\#(folder.path)/store"}]}}"#
        try settings.write(toFile: config, atomically: false, encoding: .utf8)
        try FileManager.default.createDirectory(
            atPath: folder.path + "/store", withIntermediateDirectories: false)
        for command in [["archive", "status"], ["backup", daemon.ledger]] {
            let result = try run(
                [Repository.program] + command + ["--config", config, "--timeout", "1"])
            #expect(
                result.status == 69 && result.error.contains("does not answer"),
                "\(command) \(result)")
        }
    }

    /// Every command, except those that only have others, and those that serve.
    @Test func `every command has its result as JSON`() throws {
        let help = try run([Repository.program, "--help"])
        #expect(help.status == 0)
        func commands(_ path: [String]) throws -> [[String]] {
            let text = try run([Repository.program] + path + ["--help"]).output
            guard let start = text.firstRange(of: "SUBCOMMANDS:\n") else { return [path] }
            let names = text[start.upperBound...].split(separator: "\n").compactMap { line in
                line.firstMatch(of: /^  ([a-z][a-z-]*)/).map { String($0.1) }
            }
            return try names.flatMap { try commands(path + [$0]) }
        }
        let serving = [["serve"], ["witness"], ["archive", "run"]]
        let all = try commands([])
        #expect(all.count > 40)
        for command in all where !serving.contains(command) {
            let text = try run([Repository.program] + command + ["--help"]).output
            #expect(text.contains("--json"), "\(command)")
        }
    }
}
