import ArgumentParser
internal import Packets

struct ModelApplyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "apply", abstract: "Apply a change feed to the read model.",
        discussion: """
            Reads NDJSON, one row change per line, from the files or from standard input. Changes \
            whose `lsn` was already applied are skipped, so a feed can be sent again. Refusals go \
            to standard error. Needs the role admin. Exit codes: 65 a line was refused, 69 the \
            daemon was unreachable or did not accept everything.
            """)

    @Argument(help: "Change files; `-` or no file means standard input.", completion: .file())
    var files: [String] = []

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let input = FileInput(files.isEmpty ? ["-"] : files, lineBytesMax: .max)
        try input.checkFiles()
        var tally = FeedTally()
        let exchange = LineExchange(socket: options.socket, path: "/v1/model/changes")
        do {
            try await exchange.run(FileInput.Plain(input: input)) { line, _ in tally.take(line) }
        } catch let failure as Failure { throw failure } catch {
            throw LineExchange.failure(
                error, options.socket, ", after \(tally.applied) durable changes")
        }
        try tally.finish(asJSON: options.json)
    }
}

/// Counts the outcomes of a feed's lines.
private struct FeedTally {
    private var outcomes: [String: Int] = [:]
    private var refused = 0
    private var failed = 0
    private static let problemsShown = 20

    var applied: Int { outcomes["applied"] ?? 0 }

    mutating func take(_ line: [UInt8]) {
        guard let document = try? JSONDocument(line, limits: .answer) else {
            return tell(
                500, nil, "an answer that is not JSON: \(String(decoding: line, as: UTF8.self))")
        }
        switch AnswerLine(document) {
        case .outcome(let name): outcomes[name, default: 0] += 1
        case .problem(let status, let line, let detail): tell(status, line, detail)
        case .receipt, nil: tell(500, nil, "an answer that does not belong to a row change")
        }
    }

    private mutating func tell(_ status: Int, _ line: Int?, _ detail: String) {
        if status >= 500 { failed += 1 } else { refused += 1 }
        // The first few show what is wrong; the rest are only counted.
        if refused + failed <= Self.problemsShown {
            Output.error("line \(line.map(String.init) ?? "?"): \(detail)")
        }
    }

    func finish(asJSON: Bool) throws {
        let counts =
            ["applied", "unchanged", "skipped", "rolled_back"].map {
                ($0, outcomes[$0] ?? 0)
            } + [("refused", refused), ("failed", failed)]
        if asJSON {
            try Output.line("{" + counts.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}")
        } else {
            let words = counts.filter { $0.1 > 0 || $0.0 == "applied" }
            try Output.line(
                words.map { "\($1) \($0.split(separator: "_").joined(separator: " "))" }
                    .joined(separator: ", "))
        }
        if failed > 0 { throw Failure(.unreachable, "\(failed) lines were not accepted") }
        if refused > 0 {
            throw Failure(.badInput, "\(refused) lines were refused; fix them and send them again")
        }
    }
}
