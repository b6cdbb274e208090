import ArgumentParser
internal import LedgerFormat
internal import LedgerStorage
internal import Verification

/// What a ledger is judged by, beside its own files.
struct TrustOptions: ParsableArguments {
    @Option(
        name: .customLong("checkpoint"),
        help: ArgumentHelp(
            "A checkpoint of this ledger that you kept; repeatable.", valueName: "file"),
        completion: .file())
    var checkpoints: [String] = []

    @Option(
        name: .customLong("vkey"),
        help: ArgumentHelp(
            "A key that you know to be the ledger's; repeatable.", valueName: "key"))
    var vkeys: [String] = []

    @Option(
        help: ArgumentHelp(
            "Witness policy (C2SP tlog-policy) that the checkpoints you give must satisfy.",
            valueName: "file"), completion: .file())
    var policy: String?

    func validate() throws {
        guard policy == nil || !checkpoints.isEmpty else {
            throw ValidationError(
                "--policy judges the checkpoints that you give; add --checkpoint FILE")
        }
    }

    func options() throws(Failure) -> Verifier.Options {
        var options = Verifier.Options()
        options.temporaryFolder = String.environment("TMPDIR") ?? "/tmp"
        if let policy { options.policy = try InputFile.policy(policy, .badInput) }
        for key in vkeys { options.keys.append(try VerifierKeyArgument.read(key)) }
        for file in checkpoints {
            let content = try InputFile.note(file)
            do throws(SignedCheckpoint.DecodeError) {
                options.anchors.append((try SignedCheckpoint(content), file))
            } catch {
                throw Failure(
                    .badInput,
                    "\(file): \(error). Every byte counts: get it again, as an attachment")
            }
        }
        return options
    }
}

extension Verifier {
    /// Runs, and shows how far it is on a terminal.
    func run(withProgressOf what: String) throws(OpenFailure) -> Verification {
        let showsProgress = Output.isErrorATerminal
        let result = try run { done, all in
            if showsProgress { Output.progress("\(what) \(done) of \(all)") }
        }
        if showsProgress { Output.progress("") }
        return result
    }
}
