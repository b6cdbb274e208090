import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// The commands that ask, in a pipe and on a terminal.
@Suite struct QueryCommandTests {

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
        let daemon = try ExamplePipeline.daemon()
        let shown = try daemon.stardust("get", ExamplePipeline.upload)
        #expect(
            shown.output.contains("entity    upload_jobs/ea449f21-0b86-453d-b01c-f829430c2e33\n"))
        #expect(shown.output.contains("\n  \"lineage\": {\n") && !shown.output.contains("\u{1B}"))
        let raw = try daemon.stardust("get", "11", "--raw")
        #expect(Array(raw.output.utf8) == (try Repository.examplePackets()[11]))
        let json = try daemon.stardust("get", ExamplePipeline.upload, "--json").output
        #expect(json.hasPrefix("{\"position\":11,") && json.hasSuffix("}\n"))
        let missing = try daemon.stardust("get", "087610cd-eb0f-4131-bf10-000000000000")
        #expect(missing.status == 1 && missing.error.contains("not in the ledger"))
        #expect(try daemon.stardust("get", "junk").status == 65)
    }

    @Test func `a search says what else may be meant, and finds long patterns`() throws {
        let daemon = try ExamplePipeline.daemon()
        let nothing = try daemon.stardust("find", "--decision-chain", "{\"kind\":\"selection\"}")
        #expect(nothing.error.contains("try --decision-chain '[{\"kind\":\"selection\"}]'"))
        let time = try daemon.stardust("find", "--since", "yesterday")
        #expect(time.status == 64 && time.error.contains("--since yesterday: give a day"))
        // 5,000 characters are too many for a request's target.
        let long = String(repeating: "x", count: 5000)
        let packet = Story.packet(
            7, chain: "[{\"id\":\"n\",\"kind\":\"vote\",\"rationale\":\"\(long)\"}]")
        #expect(try HTTPClient(daemon.socket).emit(Array(packet.utf8)).status == 201)
        let pattern = "[{\"rationale\":\"\(long)\"}]"
        let found = try daemon.stardust("find", "--decision-chain", pattern, "--json")
        #expect(found.output.contains("\"position\":60,"), "\(found)")
        #expect(try daemon.stardust("find", "--decision-chain", pattern, "--count").output == "1\n")
        let client = try HTTPClient(daemon.socket)
        for (body, status) in [
            ("{\"decision_chain\":\(pattern),\"limit\":1}", 200), ("{}", 200),
            ("{\"limits\":1}", 400), ("{\"limit\":[1]}", 400), ("[]", 400), ("", 400),
            ("{\"lineage\":\"" + String(repeating: "x", count: 1_100_000) + "\"}", 413),
        ] {
            let answer = try HTTPClient(daemon.socket).request(
                "POST", "/v1/packets/query", Array(body.utf8), type: "application/json")
            #expect(answer.status == status, "\(answer.text.prefix(300))")
        }
        #expect(
            try client.request("POST", "/v1/find", Array("{}".utf8), type: "text/plain").status
                == 415)
    }

    @Test func `history and find are aligned columns, or a packet a line`() throws {
        let daemon = try ExamplePipeline.daemon()
        let history = try daemon.stardust(
            "history", "upload_jobs", "ea449f21-0b86-453d-b01c-f829430c2e33")
        let lines = history.output.split(separator: "\n")
        #expect(
            lines.count == 2 && lines[0].hasPrefix(" 8  2026-") && lines[1].hasPrefix("11  2026-"))
        #expect(lines[1].contains("  upload.published  publisher  \(ExamplePipeline.upload)"))
        let found = try daemon.stardust(
            "find", "--lineage", "{\"event\":\"clip.selected\"}", "--json", "--limit", "3")
        #expect(found.output.split(separator: "\n").count == 3, "\(found.error)")
        let all = try daemon.stardust("find", "--json", "--desc")
        #expect(all.output.split(separator: "\n").count == 60)
        let count = try daemon.stardust("find", "--count", "--entity-type", "creators")
        #expect(count.output == "1\n")
        let wrong = try daemon.stardust("find", "--lineage", "{")
        #expect(
            wrong.status == 65
                && wrong.error.contains("lineage: the pattern is invalid: the JSON ends too early"))
        #expect(try daemon.stardust("find", "--as-of", "999").status == 65)
        #expect(try daemon.stardust("find", "--limit", "0").status == 64)
    }

    @Test func `many pages are never cut short`() throws {
        let daemon = try Daemon()
        var body = Data()
        for number in 0..<3_000 { body += Data((Story.packet(number) + "\n").utf8) }
        _ = try HTTPClient(daemon.socket).emitLines(Array(body))
        for _ in 0..<10 {
            let all = try daemon.stardust("find", "--json")
            #expect(
                all.status == 0 && all.output.split(separator: "\n").count == 3_000, "\(all.error)")
        }
    }

    @Test func `chain is text on a terminal and JSON in a pipe`() throws {
        let daemon = try ExamplePipeline.daemon()
        let piped = try daemon.stardust("chain", "clips", ExamplePipeline.clip)
        #expect(piped.output.hasPrefix("{\"stardust\":\"chain/1\"") && piped.status == 0)
        let shown = try Self.onTerminal(daemon, "chain clips \(ExamplePipeline.clip)")
        #expect(shown.contains("\u{1B}[1mWHY clips/\(ExamplePipeline.clip)\u{1B}[0m"), "\(shown)")
        #expect(shown.contains("\u{1B}[32m ▶"))
        let plain = try Self.onTerminal(
            daemon, "chain clips \(ExamplePipeline.clip)", environment: ["NO_COLOR": "1"])
        #expect(plain.contains("WHY clips/") && !plain.contains("\u{1B}["))
        let text = try daemon.stardust(
            "chain", "--packet", ExamplePipeline.upload, "--format", "text")
        #expect(text.output.contains("\nSOURCES\n"))
        #expect(try daemon.stardust("chain", "clips").status == 64)
        #expect(try daemon.stardust("chain", "--packet", UUID().uuidString).status == 1)
        let list = try Self.onTerminal(daemon, "find --limit 2")
        #expect(list.contains("POSITION") && list.contains("ENTITY"))
    }

    @Test func `follow prints what comes, and tells how to go on`() throws {
        let daemon = try ExamplePipeline.daemon()
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
        #expect(try HTTPClient(daemon.socket).emit(Sample.packet(Sample.id)).status == 201)
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
            ["get", "1"], ["find"], ["history", "clips", ExamplePipeline.clip],
            ["chain", "--packet", ExamplePipeline.upload], ["follow"],
        ] {
            let result = try run(
                [Repository.program] + arguments, environment: ["STARDUST_SOCKET": daemon.socket])
            #expect(
                result.status == 69 && result.error.contains("stardust serve"), "\(result.error)")
        }
    }
}
