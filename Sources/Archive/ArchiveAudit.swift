internal import LedgerFormat
package import LedgerStorage
package import ObjectStore

/// Checks every object of the segments in each store: of the sealed ones against what was sealed, parts
/// against each other.
package enum ArchiveAudit {
    /// Reads all of them once. `progress` is told of each segment.
    package static func run(
        _ ledger: ShippedLedger, _ patience: Patience, progress: (_ done: Int, _ all: Int) -> Void
    ) throws(ArchiveFailure) -> [Finding] {
        var findings = ledger.findings
        let known = Set(findings.compactMap(\.file))
        for (ordinal, (mark, epoch)) in ledger.sealed.enumerated() {
            for store in ledger.stores {
                for (kind, bytes) in mark.objects {
                    let key = ledger.layout.segment(mark.first, epoch, kind)
                    guard !known.contains("\(store.name)/\(key)") else { continue }
                    let finding = try asking { () throws(StoreFailure) in
                        try problem(
                            store, key, kind == .entries ? nil : bytes, mark.digest(of: kind),
                            patience)
                    }
                    if let detail = finding {
                        findings.append(
                            Finding(
                                .archiveDamaged, file: "\(store.name)/\(key)", position: mark.first,
                                detail))
                    }
                }
            }
            progress(ordinal + 1, ledger.sealed.count)
        }
        for case .inParts(let first, let epoch) in ledger.segments {
            for (store, parts) in zip(ledger.stores, ledger.parts(of: epoch)) {
                findings += try PartAudit(store, parts, first, patience).findings()
            }
        }
        return findings
    }

    private static func problem(
        _ store: any ObjectStore, _ key: String, _ bytes: Int?, _ digest: Digest,
        _ patience: Patience
    ) throws(StoreFailure) -> String? {
        var (hasher, count) = (SHA256Hasher(), 0)
        try store.get(key, nil, version: nil, patience) { piece in
            hasher.update(piece)
            count += piece.count
        }
        if let bytes, count != bytes { return "the object has \(count) bytes instead of \(bytes)" }
        return hasher.finish() == digest
            ? nil : "the object's bytes are not those that were sealed"
    }
}
