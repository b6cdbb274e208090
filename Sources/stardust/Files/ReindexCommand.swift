import ArgumentParser
internal import LedgerStorage
internal import Packets
internal import StardustCore

struct ReindexCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reindex",
        abstract: "Delete what is derived from the segments, and rebuild it.",
        discussion: """
            The ids and the index are derived from the segments alone, so nothing is lost and \
            every later answer is the same. The daemon must not be running.
            """)

    @Argument(help: "The ledger's folder.", completion: .directory)
    var ledger: String

    @OptionGroup var options: ResultOptions

    func run() throws {
        let (volume, lock) = try LockedLedger.open(ledger)
        defer { withExtendedLifetime(lock) {} }
        let showsProgress = Output.isErrorATerminal
        let start = ContinuousClock.now
        let result: Reindexing
        do throws(Reindexing.Failure) {
            result = try Reindexing(volume) { done, all in
                if showsProgress { Output.progress("\(done) of \(all) packets indexed") }
            }
        } catch {
            if showsProgress { Output.progress("") }
            if case .open(let failure) = error { throw Failure(failure) }
            throw Failure(.inputOutput, error.description)
        }
        if showsProgress { Output.progress("") }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        try options.show(
            "indexed \(result.packets) packets in \(Int(seconds * 1000)) ms, "
                + "\(result.indexBytes) bytes"
        ) { json in
            json.member("packets", result.packets)
            json.member("milliseconds", Int(seconds * 1000))
            json.member("index_bytes", result.indexBytes)
        }
        if let damage = result.damage {
            throw Failure(.no, "the ledger is damaged; the index stops at the damage: \(damage)")
        }
    }
}
