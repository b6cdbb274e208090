import ArgumentParser
internal import Glibc
internal import LedgerFormat
internal import Packets

struct ArchiveRecallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recall",
        abstract: "Bring segments that have left the disk back.",
        discussion: """
            Needed before an older version of the program is installed. The daemon does it, one segment \
            after the other; the command waits for the last. They stay until the daemon is started \
            again. Exit codes: 69 the daemon or the archive cannot be reached.
            """)

    @Argument(
        help: ArgumentHelp("Positions, or all of them.", valueName: "first..last|all"))
    var range: String

    @OptionGroup var client: ClientOptions

    func validate() throws {
        guard Self.bounds(range) != nil else {
            throw ValidationError("\(range) is neither first..last nor all")
        }
    }

    private static func bounds(_ text: String) -> ClosedRange<UInt64>? {
        if text == "all" { return 0...UInt64(1 << 48) }
        guard let dots = text.firstRange(of: ".."),
            let first = UInt64(canonical: text[..<dots.lowerBound].utf8),
            let last = UInt64(canonical: text[dots.upperBound...].utf8), first <= last
        else { return nil }
        return first...last
    }

    func run() async throws {
        let bounds = Self.bounds(range)!
        let body = Array("{\"from\":\(bounds.lowerBound),\"to\":\(bounds.upperBound)}".utf8)
        var before: Int?
        while true {
            let answer = try await client.client.post("/v1/archive/recall", body)
            guard let document = try? JSONDocument(answer),
                let member = document.member("segments", of: 0),
                let count = Int(String(decoding: document.source(member), as: UTF8.self))
            else {
                throw Failure(.inputOutput, "the daemon's answer is not what this program knows")
            }
            if count == 0 { break }
            if let obstacle = document.member("obstacle", of: 0).flatMap(document.string),
                before == count
            {
                throw Failure(
                    .unreachable, "\(count) segments are still in the archive only: \(obstacle)")
            }
            if before != count, Output.isErrorATerminal {
                Output.progress("\(count) segments to come")
            }
            before = count
            try await Task.sleep(for: .seconds(1))
        }
        if Output.isErrorATerminal { Output.progress("") }
        try client.json
            ? Output.line("{\"segments\":0}") : Output.line("every segment is on the disk")
    }
}
