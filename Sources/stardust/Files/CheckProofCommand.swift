import ArgumentParser
internal import LedgerFormat
internal import Packets

struct CheckProofCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check-proof",
        abstract: "Check a proof offline, without the ledger.",
        discussion: """
            Reports whether a checkpoint signed by the key you give covers the proof's entry. With \
            --payload, also reports whether the packet is the one the entry commits to. Exit code \
            1 if the proof does not hold, 2 if a later version wrote its entry and this one cannot \
            judge it.
            """)

    @Argument(
        help: ArgumentHelp("Proof file; `-` is standard input.", valueName: "file"),
        completion: .file())
    var file: String

    @Option(
        name: .customLong("vkey"),
        help: ArgumentHelp(
            "The ledger's verifier key. Repeat it if the key has changed.",
            valueName: "key"))
    var vkeys: [String] = []

    @Option(
        help: ArgumentHelp(
            "The packet's exact bytes, as `stardust get --raw` prints them.", valueName: "file"),
        completion: .file())
    var payload: String?

    @Option(
        help: ArgumentHelp(
            "Witness policy (C2SP tlog-policy): the cosignatures required, and log keys.",
            valueName: "file"), completion: .file())
    var policy: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let policy = try policy.map { try InputFile.policy($0, .badInput) }
        let keys = try vkeys.map { try VerifierKeyArgument.read($0) } + (policy?.logs ?? [])
        guard !keys.isEmpty else {
            throw Failure(.usage, "no verifier key given: use --vkey KEY, or a policy that has it")
        }
        let content = try InputFile.note(file)
        let proof: TLogProof
        do throws(TLogProof.DecodeError) { proof = try TLogProof(content) } catch {
            throw Failure(.badInput, "\(file): \(error)")
        }
        let payload = try payload.map { try InputFile.content($0) }
        let outcome = Result { () throws(ProofProblem) in
            try ProofCheck(proof, keys, payload: payload, policy)
        }
        switch outcome {
        case .success(let check): try json ? printJSON(check) : printText(check)
        case .failure(.note(let error)):
            throw Failure(
                .badInput,
                "\(file): its checkpoint: \(error). Every byte counts: get it again, as an attachment"
            )
        case .failure(let problem):
            try printProblem(problem)
            if case .laterVersion = problem { throw ExitCode.cannotJudge }
            throw ExitCode.no
        }
    }

    private func printProblem(_ problem: ProofProblem) throws(Failure) {
        guard json else {
            var verdict = "DOES NOT HOLD: "
            if case .laterVersion = problem { verdict = "" }
            return try Output.line(verdict + Output.safe(problem.description))
        }
        var json = JSONWriter()
        json.beginObject()
        json.key("holds")
        if case .laterVersion = problem { json.null() } else { json.boolean(false) }
        json.member("problem", problem.description)
        json.endObject()
        try Output.data(json.bytes + [0x0A])
    }

    private func printText(_ check: ProofCheck) throws(Failure) {
        let (entry, checkpoint) = (check.entry, check.checkpoint)
        try Output.line(
            "holds: position \(entry.position) of \(checkpoint.origin), in \(checkpoint.size) "
                + "entries with root \(checkpoint.root.tagged)")
        try Output.line("signed by \(check.signers.map(\.description).joined(separator: ", "))")
        if !check.witnesses.isEmpty {
            try Output.line("cosigned by \(check.witnesses.map(\.name).joined(separator: ", "))")
        }
        try Output.line(
            "entry: \(entry.kind == .packet ? "packet \(entry.stardustID)" : "change of key"), "
                + "received \(entry.receivedAt) from uid \(entry.peer.uid), payload "
                + "\(entry.payloadDigest.tagged)")
        try Output.line(
            payload == nil
                ? "payload: not checked; --payload FILE checks it" : "payload: matches")
    }

    private func printJSON(_ check: ProofCheck) throws(Failure) {
        let (entry, checkpoint) = (check.entry, check.checkpoint)
        var json = JSONWriter()
        json.beginObject()
        json.member("holds", true)
        json.member("position", entry.position.value)
        json.member("origin", checkpoint.origin)
        json.member("size", checkpoint.size.entries)
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
        try Output.data(json.bytes + [0x0A])
    }
}
