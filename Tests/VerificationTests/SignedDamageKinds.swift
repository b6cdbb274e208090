import LedgerFormat
import LedgerStorage
import LedgerTestSupport

/// One way to damage or forge a signed ledger for each code of a finding.
enum SignedDamageKinds {
    typealias Damage = @Sendable (SignedLedger) throws -> Void

    /// A checkpoint over the same, signed by others.
    static func signed(
        _ checkpoint: Checkpoint, by keys: [NoteSigner]
    ) -> SignedCheckpoint {
        SignedCheckpoint(checkpoint, signatures: keys.map { $0.signature(of: checkpoint.text) })
    }

    static func replaceLast(
        _ ledger: SignedLedger, _ change: (SignedCheckpoint) -> SignedCheckpoint
    ) throws {
        var all = try ledger.checkpoints()
        all.append(change(all.removeLast()))
        ledger.put(all)
    }

    /// Puts another ledger's entries under the checkpoints.
    static func putEntries(of other: SignedLedger, under ledger: SignedLedger) throws {
        for name in try ledger.volume.list("segments") {
            ledger.volume.put("segments/" + name, nil)
        }
        for folder in ["ids", "tree"] {
            for name in try ledger.volume.list(folder) {
                ledger.volume.put("\(folder)/\(name)", nil)
            }
        }
        for path in try GoldenLedger.paths(other.volume) where path != "identity" {
            ledger.volume.put(path, other.volume.bytes(of: path))
        }
    }

    /// Those of `all` that a daemon which is writing could cause.
    static let mayBeHalfWritten = all.indices.filter { kind in
        all[kind].0 == .checkpointUnfinished || kind == 4
    }

    // P-01, P-02, P-04
    static let all: [(Finding.Code, Damage)] = [
        (.checkpointDamaged, { $0.volume.damage("checkpoints") { $0[100] ^= 1 } }),
        (.checkpointDamaged, { $0.volume.damage("checkpoint") { $0[10] = 0 } }),
        (.checkpointsCut, { $0.volume.damage("checkpoints") { $0.removeLast(5) } }),
        // The beginning of a record that nobody can have seen.
        (
            .checkpointUnfinished,
            { $0.volume.damage("checkpoints") { $0 += Array("stardust-checkpoint/1 2".utf8) } }
        ),
        // A bit in the newest record, which may have been seen: nothing vouches for the contrary.
        (
            .checkpointDamaged,
            { ledger in
                ledger.volume.put("checkpoint", nil)
                ledger.volume.damage("checkpoints") { $0[$0.count - 20] ^= 1 }
            }
        ),
        // Of a later version, and with the right checksum but no note.
        (
            .formatUnknown,
            { $0.volume.damage("checkpoints") { $0 += Array("stardust-checkpoint/2 x\n".utf8) } }
        ),
        (
            .checkpointDamaged,
            { $0.volume.damage("checkpoints") { $0 += CheckpointCursor.record([0x61, 0x0A]) } }
        ),
        (
            .checkpointForeign,
            { ledger in
                try replaceLast(ledger) { last in
                    var checkpoint = last.checkpoint
                    checkpoint.origin = "other.example/ledger"
                    return signed(checkpoint, by: [ledger.key])
                }
            }
        ),
        (
            .checkpointSizeReversed,
            { ledger in
                let all = try ledger.checkpoints()
                ledger.put(all + [all[1]])
            }
        ),
        // A checkpoint that was never in the log.
        (
            .checkpointStale,
            { ledger in
                var checkpoint = try ledger.checkpoints()[1].checkpoint
                checkpoint.root = .zero
                ledger.volume.put("checkpoint", signed(checkpoint, by: [ledger.key]).note.bytes)
            }
        ),
        // The checkpoints' file put back, and the newest left.
        (
            .checkpointsCut,
            { ledger in
                let all = try ledger.checkpoints()
                ledger.put(Array(all.dropLast(2)))
                ledger.volume.put("checkpoint", all.last!.note.bytes)
            }
        ),
        // The chain made again from a place on, the old checkpoints kept.
        (
            .checkpointRootMismatch,
            { try putEntries(of: try SignedLedger.make(changed: 4), under: $0) }
        ),
        // Cut, then gone on with other entries: longer than before.
        (
            .checkpointRootMismatch,
            { try putEntries(of: try SignedLedger.make(batches: 8, changed: 5), under: $0) }
        ),
        // An old copy of the entries put back.
        (.rolledBack, { try putEntries(of: try SignedLedger.make(batches: 4), under: $0) }),
        (
            .checkpointUnsigned,
            { ledger in
                let stranger = NoteSigner(
                    name: ledger.origin, Ed25519Key(seed: Array(repeating: 1, count: 32)))
                try replaceLast(ledger) { signed($0.checkpoint, by: [stranger]) }
            }
        ),
        (
            .checkpointSignatureBad,
            { ledger in
                try replaceLast(ledger) { last in
                    var signature = last.note.signatures[0]
                    signature.payload[5] ^= 1
                    return SignedCheckpoint(last.checkpoint, signatures: [signature])
                }
            }
        ),
        (.treeDisagrees, { $0.volume.damage("tree/0") { $0[40] ^= 1 } }),
    ]

    /// Those of a ledger whose key has changed.
    // K-01, K-03
    static let rotated: [(Finding.Code, Damage)] = [
        (
            .checkpointKeyRevoked,
            { ledger in
                try replaceLast(ledger) { signed($0.checkpoint, by: [ledger.key] + ledger.oldKeys) }
            }
        ),
        // Signed by the old key alone: so it is no longer the ledger's.
        (
            .checkpointKeyRevoked,
            { ledger in try replaceLast(ledger) { signed($0.checkpoint, by: ledger.oldKeys) } }
        ),
        // Signed by the new key before it was the ledger's.
        (
            .checkpointUnsigned,
            { ledger in
                var all = try ledger.checkpoints()
                all[0] = signed(all[0].checkpoint, by: [ledger.key])
                ledger.put(all)
            }
        ),
        (
            .keyRotationInvalid,
            { ledger in
                for path in try ledger.volume.segments() {
                    let records = try ledger.volume.records(path)
                    for (number, record) in records.enumerated()
                    where record.entry.kind == .keyRotation {
                        try ledger.volume.rewrite(path, record: number) {
                            entry, payload in
                            payload[payload.count - 10] ^= 1
                            entry.payloadDigest = .sha256(payload)
                        }
                    }
                }
            }
        ),
    ]
}
