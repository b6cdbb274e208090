internal import Archive
import ArgumentParser
internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
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

    @Argument(
        help: "The ledger's folder; left out, --archive names a copy to check by itself.",
        completion: .directory)
    var ledger: String?

    @OptionGroup var trust: TrustOptions

    @OptionGroup var archive: ArchivedLedgerOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(help: "Also compare the derived files (index and ids) with the segments.")
    var index = false

    @Flag(help: "Parse and validate every payload again, as at admission. Slower.")
    var packets = false

    @Option(help: "Number of hashing threads.")
    var threads = 2

    @Option(
        help: ArgumentHelp("A file that gets the time and the result.", valueName: "file"),
        completion: .file())
    var record: String?

    func validate() throws {
        guard (1...64).contains(threads) else {
            throw ValidationError("--threads must be from 1 to 64")
        }
        guard ledger != nil || archive.isGiven else {
            throw ValidationError("name the ledger's folder, or an archive with --archive URL")
        }
    }

    func run() throws {
        do throws(FileFailure) { if let record { try RunRecord.check(.verify, record) } } catch {
            throw Failure(.cannotCreate, "--record: \(error)")
        }
        var options = try trust.options()
        options.threads = threads
        options.checksPackets = packets
        options.comparesDerived = index
        var result = Verification()
        if let ledger { result = try verify(ledger, options) }
        if archive.isGiven {
            let (found, archived) = try verifyArchive(options)
            if let ledger {
                result.compare(withArchive: found)
                if result.isSound, let archived { try compare(ledger, &result, archived) }
            } else {
                result = found
            }
        }
        try json ? printJSON(result) : printText(result)
        try keepRecord(of: result)
        if result.cannotBeJudged { throw ExitCode.cannotJudge }
        if !result.isSound { throw ExitCode.no }
    }

    private func keepRecord(of result: Verification) throws(Failure) {
        guard let record else { return }
        do throws(FileFailure) {
            try RunRecord(
                .verify, of: result.identity?.ledgerID, at: .systemNow(), size: result.size,
                isPassed: result.isSound
            ).write(to: record)
        } catch { throw Failure(.cannotCreate, "--record: \(error)") }
    }

    private func verify(
        _ ledger: String, _ options: Verifier.Options
    ) throws(Failure) -> Verification {
        do throws(OpenFailure) {
            let volume: PosixVolume
            do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
                throw .file(error)
            }
            let verifier = Verifier(
                volume, options, isBeingWritten: LedgerLock.holder(of: volume.root) != nil)
            return try verifier.run(withProgressOf: "segment")
        } catch { throw Failure(error) }
    }

    /// Compares folder and archive byte by byte, as far as both go.
    private func compare(
        _ ledger: String, _ result: inout Verification,
        _ archived: (shipped: ShippedLedger, volume: ArchiveVolume)
    ) throws(Failure) {
        do throws(FileFailure) {
            let comparison = ArchiveComparison(
                try PosixVolume(root: ledger), size: result.size, archived.shipped, archived.volume)
            if let difference = try comparison.difference() { result.findings.append(difference) }
        } catch { throw Failure(OpenFailure.file(error)) }
    }

    /// Checks what a store has, by itself. The second value is missing if its records were not followed.
    private func verifyArchive(
        _ options: Verifier.Options
    ) throws(Failure) -> (Verification, (shipped: ShippedLedger, volume: ArchiveVolume)?) {
        let showsProgress = Output.isErrorATerminal
        let (shipped, volume): (ShippedLedger, ArchiveVolume)
        do throws(ArchiveFailure) {
            shipped = try archive.ledger(.ofCommand)
            let findings = try ArchiveAudit.run(shipped, .ofCommand) { done, all in
                if showsProgress { Output.progress("sealed segment \(done) of \(all)") }
            }
            guard findings.isEmpty else {
                var result = Verification()
                (result.identity, result.findings) = (shipped.identity, findings)
                result.notes = ["the archived records were not followed: objects are not right"]
                return (result, nil)
            }
            volume = try ArchiveVolume(shipped, .ofCommand)
        } catch { throw Failure(error) }
        var options = options
        options.comparesDerived = false
        do throws(OpenFailure) {
            var result = try Verifier(volume, options, isBeingWritten: false)
                .run(withProgressOf: "archived segment")
            result.findings = volume.findings + result.findings
            return (result, (shipped, volume))
        } catch { throw Failure(error) }
    }

    private func printText(_ result: Verification) throws(Failure) {
        for finding in result.findings { try Output.line(Output.safe(finding.description)) }
        for note in result.notes { try Output.line("note: \(Output.safe(note))") }
        let root = result.root?.tagged ?? "none"
        let closed = result.closedAt.map { "last closed at \($0)" } ?? "not closed"
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
        try printSummary(result)
        if !packets {
            try Output.line("Payloads were hashed, not parsed; --packets parses them.")
        }
        try Output.line(anchoring(result))
    }

    /// What a statement about the ledger names.
    private func printSummary(_ result: Verification) throws(Failure) {
        if let identity = result.identity {
            try Output.line(
                "Ledger \(Output.safe(identity.origin)), created \(identity.createdAt), first key "
                    + "\(identity.verifierKey)")
        }
        // Of a ledger with gaps, nobody knows what is missing.
        if result.root != nil, let first = result.firstReceivedAt, let last = result.lastReceivedAt
        {
            try Output.line(
                "\(result.size.entries - UInt64(result.keyChanges + result.epochs)) packets and "
                    + "\(result.keyChanges) change\(result.keyChanges == 1 ? "" : "s") of key"
                    + (result.epochs == 0 ? "" : ", \(result.epochs) later epochs")
                    + ", received from \(first) to \(last); "
                    + "\(result.checkpointCount) checkpoints")
        }
    }

    /// How many entries are vouched for by anything but this host.
    private func anchoring(_ result: Verification) -> String {
        let size = result.size.entries
        guard let anchored = result.anchoredSize?.entries else {
            let reason =
                trust.checkpoints.isEmpty
                ? "you gave no checkpoint" : "no checkpoint you gave holds"
            return "Not anchored: \(reason), so all \(size) entries rest on this host's word."
        }
        let trust =
            trust.vkeys.isEmpty ? " Pass --vkey to confirm whose key signed the checkpoint." : ""
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
        json.key("origin")
        if let identity = result.identity { json.string(identity.origin) } else { json.null() }
        json.member("entries", result.size.entries)
        json.member("key_changes", result.keyChanges)
        json.member("epochs", result.epochs)
        for (name, time) in [
            ("created_at", result.identity?.createdAt),
            ("first_received_at", result.firstReceivedAt),
            ("last_received_at", result.lastReceivedAt),
        ] {
            json.key(name)
            if let time { json.string("\(time)") } else { json.null() }
        }
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

extension Verification {
    /// Adds what an archive of this ledger says of it.
    fileprivate mutating func compare(withArchive archive: Verification) {
        findings += archive.findings
        notes += archive.notes.map { "archive: \($0)" }
        guard let own = identity, let other = archive.identity else { return }
        guard own.ledgerID == other.ledgerID else {
            findings.append(
                Finding(
                    .archiveForeign,
                    "the archive is of the ledger \(other.ledgerID), and the folder of \(own.ledgerID)"
                ))
            return
        }
        if archive.size < size {
            notes.append("the archive has \(archive.size) of \(size) entries")
        } else if archive.size > size {
            notes.append("the folder has \(size) of the archive's \(archive.size) entries")
        } else if archive.root != root {
            findings.append(
                Finding(
                    .archiveFork, position: nil,
                    "folder and archive have \(size) entries each, and other roots: two writers, or "
                        + "one was changed"))
        }
    }
}
