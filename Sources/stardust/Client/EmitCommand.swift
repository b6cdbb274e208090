import ArgumentParser
internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Packets

struct EmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "emit",
        abstract: "Send packets to the daemon and print their receipts.",
        discussion: """
            Reads NDJSON, one packet per line, from the files or from standard input. A packet \
            without a stardust_id gets one derived from its content, so the same input can be sent \
            again after any interruption: a packet already stored gets its first receipt. Receipts \
            go to standard output, refusals to standard error. Exit codes: 65 a packet was \
            refused, 69 the daemon was unreachable or did not accept everything; run it again.
            """)

    @Argument(help: "Packet files; `-` or no file means standard input.", completion: .file())
    var files: [String] = []

    @OptionGroup var connection: SocketOptions

    @Flag(help: "Print JSON, as always.")
    var json = false

    func run() async throws {
        let input = PacketInput(files: files.isEmpty ? ["-"] : files)
        try input.files.checkFiles()
        var tally = EmissionTally(totalBytes: input.files.totalBytes)
        do {
            try await LineExchange(socket: connection.socket, path: "/v1/packets").run(input) {
                (line, bytesSent) throws(Failure) in
                try tally.take(line, bytesSent: bytesSent)
            }
        } catch let failure as Failure {
            throw Failure(
                failure.exit, "\(failure.message). \(tally.accepted) packets are durable")
        } catch {
            try tally.endProgress()
            throw LineExchange.failure(
                error, connection.socket,
                ". \(tally.accepted) packets are durable; once that is mended, run the same command "
                    + "again: no packet is stored twice")
        }
        try tally.endProgress()
        try tally.finish(expected: input.packetsSent)
    }
}

/// Counts the answers so far.
private struct EmissionTally {
    private(set) var accepted = 0
    private var replayed = 0
    private var refused = 0
    private var turnedAway = 0
    private static let problemsShown = 20
    private let totalBytes: Int?
    private let showsProgress = Output.isErrorATerminal
    private var lastShown = ContinuousClock.now
    private var pendingOutput: [UInt8] = []

    init(totalBytes: Int?) { self.totalBytes = totalBytes }

    /// Takes one line of the answer.
    mutating func take(_ line: [UInt8], bytesSent: Int) throws(Failure) {
        switch (try? JSONDocument(line)).flatMap(AnswerLine.init) {
        case nil, .outcome:
            Output.error(
                "stardust: an answer without a packet: \(String(decoding: line, as: UTF8.self))")
            turnedAway += 1
        case .receipt(let bytes, let isReplay):
            accepted += 1
            if isReplay { replayed += 1 }
            pendingOutput += bytes + [0x0A]
        case .problem(let status, let line, let detail):
            if status >= 500 { turnedAway += 1 } else { refused += 1 }
            // The first few show what is wrong; the rest are only counted.
            if refused + turnedAway <= Self.problemsShown {
                Output.error("line \(line.map(String.init) ?? "?"): \(detail)")
            }
        }
        if pendingOutput.count > 1 << 16 { try flush() }
        showProgress(bytesSent)
    }

    private mutating func flush() throws(Failure) {
        try Output.data(pendingOutput)
        pendingOutput.removeAll(keepingCapacity: true)
    }

    private mutating func showProgress(_ bytesSent: Int) {
        guard showsProgress, ContinuousClock.now - lastShown > .milliseconds(100) else { return }
        lastShown = .now
        guard let totalBytes, totalBytes > 0 else {
            return Output.progress("\(accepted) packets durable")
        }
        let share = min(1, Double(bytesSent) / Double(totalBytes))
        let filled = Int(share * 30)
        let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
        Output.progress("\(bar) \(Int(share * 100)) %  \(accepted) packets durable")
    }

    mutating func endProgress() throws(Failure) {
        try flush()
        guard showsProgress else { return }
        Output.progress("")
        Output.error("\(accepted) packets durable, \(replayed) of them already stored before")
    }

    func finish(expected: Int) throws {
        let answered = accepted + refused + turnedAway
        if turnedAway > 0 || answered < expected {
            throw Failure(
                .unreachable,
                "\(max(turnedAway, expected - accepted - refused)) packets were not accepted; once "
                    + "the daemon takes them, run the same command again: no packet is stored twice"
            )
        }
        if refused > 0 {
            throw Failure(
                .badInput, "\(refused) packets were refused; fix them and send them again")
        }
    }
}
