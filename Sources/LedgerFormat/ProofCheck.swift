/// A proof that was checked from end to end, without the ledger: the entry it contains is under a
/// checkpoint that one of the keys signed (C2SP tlog-proof). Where a policy is given, the checkpoint
/// has the cosignatures it requires; where a payload is given, it is the entry's.
package struct ProofCheck {
    package let entry: Entry
    package let checkpoint: Checkpoint
    package let signers: [NoteVerifier]
    package let witnesses: [NoteVerifier]

    package init(
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
        let size = checkpoint.size
        guard size.contains(Position(proof.index)) else { throw .outside(proof.index, size) }
        let root = Merkle.root(
            from: Merkle.leaf(bytes.span), at: proof.index, in: size.entries, proof.path)
        guard root == checkpoint.root else { throw .path }
        do throws(Entry.DecodeError) { entry = try Entry(bytes.span, at: 0) } catch {
            throw .laterVersion(error)
        }
        guard entry.position.value == proof.index else {
            throw .otherPosition(proof.index, entry.position)
        }
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

/// Why a proof proves nothing.
package enum ProofProblem: Error, CustomStringConvertible {
    case noEntry
    case entry(String)
    /// A later version of the format wrote the entry: only its program can tell.
    case laterVersion(Entry.DecodeError)
    case otherPosition(UInt64, Position)
    case note(SignedNote.DecodeError)
    case checkpoint(Checkpoint.DecodeError)
    case signature(SignedNote.Failure)
    case outside(UInt64, LedgerSize)
    case path
    case origin(String)
    case payload(Digest, Digest)
    case witnesses

    package var description: String {
        switch self {
        case .noEntry: "it contains no entry, so there is nothing to prove"
        case .entry(let problem): "it does not contain an entry: \(problem)"
        case .laterVersion(let error): "\(error)"
        case .otherPosition(let index, let position):
            "it is for place \(index), but its entry says position \(position)"
        case .note(let error): "its checkpoint: \(error)"
        case .checkpoint(let error): "\(error)"
        case .signature(let failure): "\(failure)"
        case .outside(let index, let size): "place \(index) is not in a log of \(size) entries"
        case .path: "the path does not lead from the entry to the checkpoint's root"
        case .origin(let origin): "the checkpoint is from \(origin), but the key has another name"
        case .payload(let found, let expected):
            "the payload has \(found.tagged), the entry says \(expected.tagged)"
        case .witnesses: "the checkpoint lacks the cosignatures the policy requires"
        }
    }
}
