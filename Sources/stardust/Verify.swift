import ArgumentParser
internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import StardustCore

struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a ledger's files, without the daemon, while it runs or not.",
        discussion: """
            Reads every record, hashes every payload and entry again, and follows the chain. Prints \
            one finding a line and a summary. Exit code 1 when something was found.
            """)

    @Argument(help: "The ledger's folder.")
    var ledger: String

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(help: "Compare what is derived with the segments too: the index and the ids.")
    var index = false

    @Flag(help: "Parse and validate every payload again, as when it was admitted. Slower.")
    var packets = false

    @Option(help: "Threads that hash.")
    var threads = 2

    func validate() throws {
        guard (1...64).contains(threads) else { throw ValidationError("threads: 1 to 64") }
    }

    func run() throws {
        var options = Verifier.Options()
        options.threads = threads
        options.checksPackets = packets
        options.temporaryFolder = String.environment("TMPDIR") ?? "/tmp"
        var result: Verification
        do throws(OpenFailure) {
            let volume: PosixVolume
            do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
                throw .file(error)
            }
            let verifier = Verifier(
                volume, options, isBeingWritten: LedgerLock.holder(of: volume.root) != nil)
            let showsProgress = Output.isErrorATerminal
            result = try verifier.run { done, all in
                if showsProgress { Output.progress("segment \(done) of \(all)") }
            }
            if showsProgress { Output.progress("") }
            if index {
                try DerivedComparison(volume).run(&result)
            }
        } catch { throw Failure(error) }
        json ? printJSON(result) : printText(result)
        if !result.isSound { throw ExitCode.no }
    }

    private func printText(_ result: Verification) {
        for finding in result.findings { Output.line(Output.safe(finding.description)) }
        for note in result.notes { Output.line("note: \(Output.safe(note))") }
        let root = result.root?.tagged ?? "none"
        let closed = result.closedAt.map { "closed at \($0)" } ?? "never closed"
        Output.line(
            result.isSound
                ? "sound: \(result.size) entries, root \(root), \(closed), no checkpoint"
                : "NOT SOUND: \(result.findings.count) findings in \(result.size) entries")
        Output.line(
            "not anchored: no checkpoint from outside was given, so 0..\(result.size) is this "
                + "host's word only")
    }

    private func printJSON(_ result: Verification) {
        var json = JSONWriter()
        json.beginObject()
        json.member("sound", result.isSound)
        json.member("entries", Int(result.size.entries))
        json.key("root")
        if let root = result.root { json.string(root.tagged) } else { json.null() }
        json.key("checkpoint")
        json.null()
        json.key("closed_at")
        if let size = result.closedAt { json.integer(Int(size.entries)) } else { json.null() }
        json.key("findings")
        json.beginArray()
        for finding in result.findings { write(finding, to: &json) }
        json.endArray()
        json.key("notes")
        json.beginArray()
        for note in result.notes { json.string(note) }
        json.endArray()
        json.endObject()
        Output.data(json.bytes + [0x0A])
    }

    private func write(_ finding: Finding, to json: inout JSONWriter) {
        json.beginObject()
        json.member("code", finding.code.rawValue)
        json.key("segment")
        if let file = finding.file { json.string(file) } else { json.null() }
        json.key("position")
        if let position = finding.position {
            json.integer(Int(position.value))
        } else {
            json.null()
        }
        json.key("offset")
        if let offset = finding.offset { json.integer(Int(offset.bytes)) } else { json.null() }
        json.member("detail", finding.detail)
        json.endObject()
    }
}
