import LedgerFormat
import PipelineWorkload
import Testing

/// What a proof of one entry, in a log of one entry, proves.
@Suite struct ProofCheckTests {
    private let signer: NoteSigner = {
        var generator = SeededGenerator(seed: 13)
        return NoteSigner(name: "log.example", Ed25519Key.random(using: &generator))
    }()

    private static func entry() -> Entry {
        Entry(
            kind: .packet, flags: [], position: Position(0), receivedAt: Timestamp(microseconds: 0),
            stardustID: UUID128(high: 0, low: 1), createdAt: Timestamp(microseconds: 0),
            peer: Entry.Peer(uid: 1, gid: 1), payloadBytes: 2,
            payloadDigest: .sha256(Array("{}".utf8)), previous: .zero)
    }

    private func proof(of entry: Entry, root: Digest? = nil) -> TLogProof {
        let bytes = entry.bytes
        let checkpoint = Checkpoint(
            origin: "log.example", size: LedgerSize(1), root: root ?? Merkle.leaf(bytes.span))
        let note = SignedNote(
            text: checkpoint.text, signatures: [signer.signature(of: checkpoint.text)])
        return TLogProof(
            extra: (0..<bytes.count).map { bytes[$0] }, index: 0, path: [], checkpoint: note.bytes)
    }

    private func problem(_ proof: TLogProof) -> ProofProblem? {
        do throws(ProofProblem) {
            _ = try ProofCheck(proof, [signer.verifier], payload: Array("{}".utf8), nil)
            return nil
        } catch { return error }
    }

    @Test func `an entry of a later version cannot be judged, if it is in the log at all`() {
        #expect(problem(proof(of: Self.entry())) == nil)
        var later = Self.entry()
        later.formatVersion = 2
        guard case .laterVersion = problem(proof(of: later)) else {
            Issue.record("\(String(describing: problem(proof(of: later))))")
            return
        }
        guard case .path = problem(proof(of: later, root: .zero)) else {
            Issue.record("another log's entry is not a later version's")
            return
        }
    }
}
