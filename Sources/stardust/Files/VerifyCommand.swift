import ArgumentParser
internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import StardustCore
internal import Verification

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check a ledger's files without the daemon, whether or not it runs.",
        discussion: """
            Reads every record, rehashes every payload and entry, follows the chain, and checks \
            every checkpoint and the tree. Prints one finding per line and a summary. A host can \
            change what it says about its own files. It cannot change a checkpoint that you kept \
            or a key that you know from elsewhere. Exit code 1 if there are findings, 2 if all of \
            them are parts that a later version wrote and this one cannot judge.
            """)

    @Argument(help: "The ledger's folder.")
    var ledger: String

    @Option(
        name: .customLong("checkpoint"),
        help: ArgumentHelp(
            "A checkpoint of this ledger that you kept; repeatable.", valueName: "file"))
    var checkpoints: [String] = []

    @Option(
        name: .customLong("vkey"),
        help: ArgumentHelp(
            "A key that you know to be the ledger's; repeatable.", valueName: "key"))
    var vkeys: [String] = []

    @Option(
        help: ArgumentHelp(
            "Witness policy (C2SP tlog-policy) that the checkpoints you give must satisfy.",
            valueName: "file"))
    var policy: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(help: "Also compare the derived files (index and ids) with the segments.")
    var index = false

    @Flag(help: "Parse and validate every payload again, as at admission. Slower.")
    var packets = false

    @Option(help: "Number of hashing threads.")
    var threads = 2

    func validate() throws {
        guard (1...64).contains(threads) else {
            throw ValidationError("--threads must be from 1 to 64")
        }
        guard policy == nil || !checkpoints.isEmpty else {
            throw ValidationError(
                "--policy judges the checkpoints that you give; add --checkpoint FILE")
        }
    }

    func run() throws {
        var options = Verifier.Options()
        options.threads = threads
        options.checksPackets = packets
        options.comparesDerived = index
        options.temporaryFolder = String.environment("TMPDIR") ?? "/tmp"
        options.policy = try policy.map { try InputFile.policy($0, .badInput) }
        options.keys = try vkeys.map { try VerifierKeyArgument.read($0) }
        options.anchors = try checkpoints.map { file in
            let content = try InputFile.content(file)
            do throws(SignedCheckpoint.DecodeError) {
                return (try SignedCheckpoint(content), file)
            } catch {
                throw Failure(.badInput, "\(file): \(error)")
            }
        }
        let result: Verification
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
        } catch { throw Failure(error) }
        try json ? printJSON(result) : printText(result)
        if result.cannotBeJudged { throw ExitCode.cannotJudge }
        if !result.isSound { throw ExitCode.no }
    }

    private func printText(_ result: Verification) throws(Failure) {
        for finding in result.findings { try Output.line(Output.safe(finding.description)) }
        for note in result.notes { try Output.line("note: \(Output.safe(note))") }
        let root = result.root?.tagged ?? "none"
        let closed = result.closedAt.map { "closed at \($0)" } ?? "never closed"
        let signed =
            result.checkpoint.map { "checkpoint at \($0.checkpoint.size) by \($0.key)" }
            ?? "no checkpoint"
        try Output.line(
            result.isSound
                ? "sound: \(result.size) entries, root \(root), \(closed), \(signed)"
                : result.cannotBeJudged
                    ? "CANNOT JUDGE: a later version wrote part of the ledger"
                    : "NOT SOUND: \(result.findings.count) finding"
                        + "\(result.findings.count == 1 ? "" : "s") in \(result.size) entries")
        if !packets {
            try Output.line("Payloads were hashed, not parsed; --packets parses them.")
        }
        try Output.line(anchoring(result))
    }

    /// How many entries are vouched for by anything but this host.
    private func anchoring(_ result: Verification) -> String {
        let size = result.size.entries
        guard let anchored = result.anchoredSize?.entries else {
            let reason =
                checkpoints.isEmpty ? "you gave no checkpoint" : "no checkpoint you gave holds"
            return "Not anchored: \(reason), so all \(size) entries rest on this host's word."
        }
        let trust =
            vkeys.isEmpty ? " Pass --vkey to confirm whose key signed the checkpoint." : ""
        guard anchored < size else {
            return "Your checkpoint covers all \(size) entries.\(trust)"
        }
        let rest =
            anchored + 1 == size
            ? "entry \(anchored) rests" : "entries \(anchored)-\(size - 1) rest"
        return "Your checkpoint covers \(anchored) of \(size) entries; \(rest) on this host's word."
            + trust
    }

    private func printJSON(_ result: Verification) throws(Failure) {
        var json = JSONWriter()
        json.beginObject()
        json.member("sound", result.isSound)
        json.member("cannot_judge", result.cannotBeJudged)
        json.member("packets_parsed", packets)
        json.member("entries", result.size.entries)
        json.key("root")
        if let root = result.root { json.string(root.tagged) } else { json.null() }
        json.key("checkpoint")
        if let (checkpoint, key) = result.checkpoint {
            json.beginObject()
            json.member("size", checkpoint.size.entries)
            json.member("root", checkpoint.root.tagged)
            json.member("vkey", key.description)
            json.endObject()
        } else {
            json.null()
        }
        json.member("checkpoints", result.checkpointCount)
        json.key("anchored_size")
        if let size = result.anchoredSize { json.integer(size.entries) } else { json.null() }
        json.key("closed_at")
        if let size = result.closedAt { json.integer(size.entries) } else { json.null() }
        json.key("findings")
        json.beginArray()
        for finding in result.findings { write(finding, to: &json) }
        json.endArray()
        json.key("notes")
        json.beginArray()
        for note in result.notes { json.string(note) }
        json.endArray()
        json.endObject()
        try Output.data(json.bytes + [0x0A])
    }

    private func write(_ finding: Finding, to json: inout JSONWriter) {
        json.beginObject()
        json.member("code", finding.code.rawValue)
        json.key("segment")
        if let file = finding.file { json.string(file) } else { json.null() }
        json.key("position")
        if let position = finding.position {
            json.integer(position.value)
        } else {
            json.null()
        }
        json.key("offset")
        if let offset = finding.offset { json.integer(offset.bytes) } else { json.null() }
        json.member("detail", finding.detail)
        json.endObject()
    }
}
