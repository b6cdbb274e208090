import Foundation
import TestSupport
import Testing

/// The commands that ask, in a pipe and on a terminal.
@Suite struct QueryCommandTests {
    static let upload = "087610cd-eb0f-4131-bf10-e69b565c4555"
    static let clip = "803dc396-5342-4b6b-9521-0fe8bd5ae575"

    static func pipeline() throws -> Daemon {
        let daemon = try Daemon()
        let packets = try Repository.examplePackets()
        _ = try HTTPClient(daemon.socket).emitLines(Array(packets.joined(separator: [0x0A])))
        return daemon
    }

    static func stardust(_ daemon: Daemon, _ arguments: String...) throws -> Finished {
        try run(
            [Repository.program] + arguments, environment: ["STARDUST_SOCKET": daemon.socket])
    }

    /// The same on a pseudo-terminal of 200 columns.
    static func onTerminal(
        _ daemon: Daemon, _ arguments: String, environment: [String: String] = [:]
    ) throws -> String {
        let unset = environment["NO_COLOR"] == nil ? "env -u NO_COLOR" : "env"
        let command = "stty cols 200; \(unset) \(Repository.program) \(arguments)"
        let result = try run(
            ["script", "-qec", command, "/dev/null"],
            environment: ["STARDUST_SOCKET": daemon.socket, "TERM": "xterm", "PAGER": "cat"]
                .merging(environment) { $1 })
        return result.output
    }

    @Test func `get shows a packet, its bytes, or JSON`() throws {
        let daemon = try Self.pipeline()
        let shown = try Self.stardust(daemon, "get", Self.upload)
        #expect(
            shown.output.contains("entity    upload_jobs/ea449f21-0b86-453d-b01c-f829430c2e33\n"))
        #expect(shown.output.contains("\n  \"lineage\": {\n") && !shown.output.contains("\u{1B}"))
        let raw = try Self.stardust(daemon, "get", "11", "--raw")
        #expect(Array(raw.output.utf8) == (try Repository.examplePackets()[11]))
        let json = try Self.stardust(daemon, "get", Self.upload, "--json").output
        #expect(json.hasPrefix("{\"position\":11,") && json.hasSuffix("}\n"))
        let missing = try Self.stardust(daemon, "get", "087610cd-eb0f-4131-bf10-000000000000")
        #expect(missing.status == 1 && missing.error.contains("not in the ledger"))
        #expect(try Self.stardust(daemon, "get", "junk").status == 65)
    }

    @Test func `history and find are aligned columns, or a packet a line`() throws {
        let daemon = try Self.pipeline()
        let history = try Self.stardust(
            daemon, "history", "upload_jobs", "ea449f21-0b86-453d-b01c-f829430c2e33")
        let lines = history.output.split(separator: "\n")
        #expect(
            lines.count == 2 && lines[0].hasPrefix(" 8  2026-") && lines[1].hasPrefix("11  2026-"))
        #expect(lines[1].contains("  upload.published  publisher  \(Self.upload)"))
        let found = try Self.stardust(
            daemon, "find", "--lineage", "{\"event\":\"clip.selected\"}", "--json", "--limit", "3")
        #expect(found.output.split(separator: "\n").count == 3, "\(found.error)")
        let all = try Self.stardust(daemon, "find", "--json", "--desc")
        #expect(all.output.split(separator: "\n").count == 60)
        let count = try Self.stardust(daemon, "find", "--count", "--entity-type", "creators")
        #expect(count.output == "1\n")
        let wrong = try Self.stardust(daemon, "find", "--lineage", "{")
        #expect(wrong.status == 65 && wrong.error.contains("lineage: the JSON ends too early"))
        #expect(try Self.stardust(daemon, "find", "--as-of", "999").status == 65)
        #expect(try Self.stardust(daemon, "find", "--limit", "0").status == 64)
    }

    @Test func `many pages are never cut short`() throws {
        let daemon = try Daemon()
        var body = Data()
        for number in 0..<3_000 { body += Data((ChainTests.Story.packet(number) + "\n").utf8) }
        _ = try HTTPClient(daemon.socket).emitLines(Array(body))
        for _ in 0..<10 {
            let all = try Self.stardust(daemon, "find", "--json")
            #expect(
                all.status == 0 && all.output.split(separator: "\n").count == 3_000, "\(all.error)")
        }
    }

    @Test func `chain is text on a terminal and JSON in a pipe`() throws {
        let daemon = try Self.pipeline()
        let piped = try Self.stardust(daemon, "chain", "clips", Self.clip)
        #expect(piped.output.hasPrefix("{\"stardust\":\"chain/1\"") && piped.status == 0)
        let shown = try Self.onTerminal(daemon, "chain clips \(Self.clip)")
        #expect(shown.contains("\u{1B}[1mWHY clips/\(Self.clip)\u{1B}[0m"), "\(shown)")
        #expect(shown.contains("\u{1B}[32m ▶"))
        let plain = try Self.onTerminal(
            daemon, "chain clips \(Self.clip)", environment: ["NO_COLOR": "1"])
        #expect(plain.contains("WHY clips/") && !plain.contains("\u{1B}["))
        let text = try Self.stardust(daemon, "chain", "--packet", Self.upload, "--format", "text")
        #expect(text.output.contains("\nSOURCES\n"))
        #expect(try Self.stardust(daemon, "chain", "clips").status == 64)
        #expect(try Self.stardust(daemon, "chain", "--packet", UUID().uuidString).status == 1)
        let list = try Self.onTerminal(daemon, "find --limit 2")
        #expect(list.contains("POSITION") && list.contains("ENTITY"))
    }

    @Test func `follow prints what comes, and tells how to go on`() throws {
        let daemon = try Self.pipeline()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Repository.program)
        process.arguments = ["follow", "--json", "--socket", daemon.socket, "--after", "57"]
        let (output, error) = (daemon.folder.path + "/o", daemon.folder.path + "/e")
        for path in [output, error] {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: error)
        try process.run()
        func lines() throws -> [Substring] {
            try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
        }
        let deadline = Date() + 10
        while try lines().count < 2, Date() < deadline { usleep(10_000) }
        #expect(try HTTPClient(daemon.socket).emit(EmitTests.packet(EmitTests.id)).status == 201)
        while try lines().count < 3, Date() < deadline { usleep(10_000) }
        #expect(try lines().count == 3 && lines()[2].hasPrefix("{\"position\":60,"))
        daemon.kill()
        process.waitUntilExit()
        #expect(process.terminationStatus == 69)
        #expect(try String(contentsOfFile: error, encoding: .utf8).contains("--after 60"))
    }

    @Test func `without a daemon every question ends with 69`() throws {
        let daemon = try Daemon(starts: false)
        for arguments in [
            ["get", "1"], ["find"], ["history", "clips", Self.clip],
            ["chain", "--packet", Self.upload], ["follow"],
        ] {
            let result = try run(
                [Repository.program] + arguments, environment: ["STARDUST_SOCKET": daemon.socket])
            #expect(
                result.status == 69 && result.error.contains("stardust serve"), "\(result.error)")
        }
    }
}
