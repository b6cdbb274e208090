import ArgumentParser
internal import LedgerFormat
internal import Packets

struct CheckProof: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a proof, offline, without the ledger.",
        discussion: """
            Says whether the entry that the proof carries is under a checkpoint signed by the key that \
            you give, and, with --payload, whether the packet is the one that the entry commits to. \
            Exit code 1 where it is not.
            """)

    @Argument(help: ArgumentHelp("The proof; `-` is standard input.", valueName: "file"))
    var file: String

    @Option(
        name: .customLong("vkey"),
        help: ArgumentHelp(
            "The ledger's verifier key; may be given again where it has changed.",
            valueName: "key"))
    var vkeys: [String] = []

    @Option(
        help: ArgumentHelp(
            "The packet's exact bytes, as `stardust get --raw` gives them.", valueName: "file"))
    var payload: String?

    @Option(
        help: ArgumentHelp(
            "Whose cosignatures the checkpoint must have, and keys of the log (C2SP tlog-policy).",
            valueName: "file"))
    var policy: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let policy = try policy.map { try InputFile.policy($0, .badInput) }
        let keys = try vkeys.map { try VerifierKeyArgument.read($0) } + (policy?.logs ?? [])
        guard !keys.isEmpty else {
            throw Failure(.usage, "give the ledger's verifier key: --vkey KEY, or a policy with it")
        }
        let content = try InputFile.content(file)
        let proof: TLogProof
        do throws(TLogProof.DecodeError) { proof = try TLogProof(content) } catch {
            throw Failure(.badInput, "\(file): \(error)")
        }
        let payload = try payload.map { try InputFile.content($0) }
        let outcome = Result { () throws(ProofProblem) in
            try ProofCheck(proof, keys, payload: payload, policy)
        }
        switch outcome {
        case .success(let check): json ? printJSON(check) : printText(check)
        case .failure(let problem):
            if json {
                var json = JSONWriter()
                json.beginObject()
                json.member("holds", false)
                json.member("problem", problem.description)
                json.endObject()
                Output.data(json.bytes + [0x0A])
            } else {
                Output.line("DOES NOT HOLD: \(Output.safe(problem.description))")
            }
            throw ExitCode.no
        }
    }

    private func printText(_ check: ProofCheck) {
        let (entry, checkpoint) = (check.entry, check.checkpoint)
        Output.line(
            "holds: position \(entry.position) of \(checkpoint.origin), of \(checkpoint.size) "
                + "entries with root \(checkpoint.root.tagged)")
        Output.line("signed by \(check.signers.map(\.description).joined(separator: ", "))")
        if !check.witnesses.isEmpty {
            Output.line("cosigned by \(check.witnesses.map(\.name).joined(separator: ", "))")
        }
        Output.line(
            "entry: \(entry.kind == .packet ? "packet \(entry.stardustID)" : "change of key"), "
                + "received \(entry.receivedAt) from uid \(entry.peer.uid), payload "
                + "\(entry.payloadDigest.tagged)")
        Output.line(
            payload == nil
                ? "payload: not checked; --payload FILE compares it" : "payload: it is the one")
    }

    private func printJSON(_ check: ProofCheck) {
        let (entry, checkpoint) = (check.entry, check.checkpoint)
        var json = JSONWriter()
        json.beginObject()
        json.member("holds", true)
        json.member("position", Int(entry.position.value))
        json.member("origin", checkpoint.origin)
        json.member("size", Int(checkpoint.size.entries))
        json.member("root", checkpoint.root)
        json.key("signers")
        json.array(check.signers) { $1.string($0.description) }
        json.key("witnesses")
        json.array(check.witnesses) { $1.string($0.description) }
        json.member("entry_hash", Merkle.leaf(entry.bytes.span))
        json.member("stardust_id", entry.stardustID)
        json.member("received_at", entry.receivedAt)
        json.member("payload_sha256", entry.payloadDigest)
        json.member("payload_checked", payload != nil)
        json.endObject()
        Output.data(json.bytes + [0x0A])
    }
}

/// Why a proof proves nothing.
enum ProofProblem: Error, CustomStringConvertible {
    case noEntry
    case entry(String)
    case otherPosition(UInt64, Position)
    case note(SignedNote.DecodeError)
    case checkpoint(Checkpoint.DecodeError)
    case signature(SignedNote.Failure)
    case outside(UInt64, LedgerSize)
    case path
    case origin(String)
    case payload(Digest, Digest)
    case witnesses

    var description: String {
        switch self {
        case .noEntry: "it carries no entry, so that there is nothing to prove"
        case .entry(let problem): "what it carries is no entry: \(problem)"
        case .otherPosition(let index, let position):
            "it is for place \(index), and its entry says position \(position)"
        case .note(let error): "its checkpoint: \(error)"
        case .checkpoint(let error): "\(error)"
        case .signature(let failure): "\(failure)"
        case .outside(let index, let size): "place \(index) is not in a log of \(size) entries"
        case .path: "the path does not lead from the entry to the checkpoint's root"
        case .origin(let origin): "the checkpoint is of \(origin), which is not the key's name"
        case .payload(let found, let expected):
            "the payload has \(found.tagged), the entry says \(expected.tagged)"
        case .witnesses: "the checkpoint has not the cosignatures that the policy asks for"
        }
    }
}

/// A proof that was checked from end to end.
struct ProofCheck {
    let entry: Entry
    let checkpoint: Checkpoint
    let signers: [NoteVerifier]
    let witnesses: [NoteVerifier]

    init(
        _ proof: TLogProof, _ keys: [NoteVerifier], payload: [UInt8]?, _ policy: WitnessPolicy?
    ) throws(ProofProblem) {
        let note: SignedNote
        do throws(SignedNote.DecodeError) { note = try SignedNote(proof.checkpoint) } catch {
            throw .note(error)
        }
        do throws(Checkpoint.DecodeError) { checkpoint = try Checkpoint(text: note.text) } catch {
            throw .checkpoint(error)
        }
        do throws(SignedNote.Failure) { signers = try note.signers(among: keys) } catch {
            throw .signature(error)
        }
        let checkpoint = checkpoint
        guard signers.contains(where: { checkpoint.isOf($0) && $0.type == .ed25519 }) else {
            throw .origin(checkpoint.origin)
        }
        guard let bytes = proof.extra else { throw .noEntry }
        guard bytes.count == Entry.byteCount else { throw .entry("it has \(bytes.count) bytes") }
        do throws(Entry.DecodeError) { entry = try Entry(bytes.span, at: 0) } catch {
            throw .entry(error.description)
        }
        guard entry.position.value == proof.index else {
            throw .otherPosition(proof.index, entry.position)
        }
        let size = checkpoint.size
        guard size.contains(entry.position) else { throw .outside(proof.index, size) }
        let root = Merkle.root(
            from: Merkle.leaf(bytes.span), at: proof.index, in: size.entries, proof.path)
        guard root == checkpoint.root else { throw .path }
        if let payload {
            let found = Digest.sha256(payload)
            guard found == entry.payloadDigest else { throw .payload(found, entry.payloadDigest) }
        }
        guard let policy else {
            witnesses = []
            return
        }
        do throws(SignedNote.Failure) { witnesses = try policy.cosigners(of: note) } catch {
            throw .signature(error)
        }
        guard policy.isSatisfied(by: witnesses) else { throw .witnesses }
    }
}
