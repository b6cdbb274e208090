internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Platform

/// Reads objects of a shipped ledger until their bytes are right: from one store after the other, and
/// of each the current version before older ones, which hide behind an overwriting or a deletion.
struct ShippedObjects: ~Copyable {
    private let ledger: ShippedLedger
    private let patience: Patience
    /// What was wrong on the way.
    private(set) var findings: [Finding] = []

    init(_ ledger: ShippedLedger, _ patience: Patience) {
        (self.ledger, self.patience) = (ledger, patience)
    }

    /// Passes an object's bytes to `take` until `isRight` accepts a whole copy. `begin` forgets what
    /// came before. The failure names what the last copy lacked.
    mutating func read(
        _ key: String, _ range: Range<Int>? = nil, in only: Int? = nil,
        begin: () throws(ArchiveFailure) -> Void,
        take: (Span<UInt8>) throws(ArchiveFailure) -> Void,
        isRight: () throws(ArchiveFailure) -> String?
    ) throws(ArchiveFailure) {
        var last = ArchiveFailure.ledger("\(key): no store has this object")
        /// One that might have it, had it answered.
        var unreachable: ArchiveFailure?
        for (number, store) in ledger.stores.enumerated() where only ?? number == number {
            var versions: [String?] = [nil]
            var isFirst = true
            while let version = versions.popLast() {
                do throws(ArchiveFailure) {
                    try begin()
                    var inner: ArchiveFailure?
                    do throws(StoreFailure) {
                        try store.get(key, range, version: version, patience) {
                            (bytes) throws(StoreFailure) in
                            do throws(ArchiveFailure) { try take(bytes) } catch {
                                inner = error
                                throw StoreFailure(.stopped, "", "\(error)")
                            }
                        }
                    } catch { throw inner ?? .store(error) }
                    guard let problem = try isRight() else { return }
                    throw .store(StoreFailure(.damaged, "\(store.name)/\(key)", problem))
                } catch {
                    guard case .store(let failure) = error, failure.kind != .stopped else {
                        throw error
                    }
                    last = error
                    if failure.kind == .unreachable { unreachable = error }
                    note(failure, key, store)
                }
                if isFirst {
                    isFirst = false
                    // The newest one stands first, and is what was just read.
                    let known = (try? store.versions(of: key, patience)) ?? []
                    versions = known.dropFirst().compactMap(\.version).reversed()
                    if known.count == 1, let only = known[0].version { versions = [only] }
                }
            }
        }
        throw unreachable ?? last
    }

    private mutating func note(
        _ failure: StoreFailure, _ key: String, _ store: any ObjectStore
    ) {
        let code: Finding.Code
        switch failure.kind {
        case .missing: code = .archiveMissing
        case .damaged: code = .archiveDamaged
        // It says nothing about the object.
        case .unreachable, .refused, .source, .stopped: return
        }
        findings.append(Finding(code, file: "\(store.name)/\(key)", failure.detail))
    }

    /// An object with a known digest, and perhaps a known size, to a file from an offset on.
    mutating func copy(
        _ key: String, _ digest: Digest, bytes: Int?, to file: any VolumeFile, at start: Int
    ) throws(ArchiveFailure) {
        var (hasher, offset) = (SHA256Hasher(), start)
        try read(key) { () throws(ArchiveFailure) in
            (hasher, offset) = (SHA256Hasher(), start)
            do throws(FileFailure) { try file.truncate(to: start) } catch { throw .file(error) }
        } take: { (piece) throws(ArchiveFailure) in
            guard offset - start + piece.count <= bytes ?? .max else {
                throw .store(StoreFailure(.damaged, key, "the object is longer than it was"))
            }
            do throws(FileFailure) { try file.write(piece, at: offset) } catch {
                throw .file(error)
            }
            hasher.update(piece)
            offset += piece.count
        } isRight: {
            if let bytes, offset - start != bytes {
                return "the object has \(offset - start) bytes instead of \(bytes)"
            }
            let found = hasher.finish()
            return found == digest ? nil : "the object's bytes are not those that were sealed"
        }
    }
}
