package import LedgerFormat
package import LedgerStorage
package import ObjectStore
internal import Platform

/// What stores have of one ledger, as far as it hangs together: segments from position 0 on, sealed
/// or in parts. What one store lacks, another may have.
package struct ShippedLedger: Sendable {
    package let layout: ArchiveLayout
    package let identity: LedgerIdentity
    let identityBytes: [UInt8]
    /// The segments without a gap, in order.
    package private(set) var segments: [Segment] = []
    /// What is wrong in a store, whether or not another has it.
    package private(set) var findings: [Finding] = []
    let stores: [any ObjectStore]
    /// Why other stores were not asked: they cannot be reached, or refuse.
    package let away: [StoreFailure]
    package private(set) var epochs = ArchivedEpochs()
    /// What each store has in parts, of each epoch.
    private var parts: [[UInt64: ArchivedParts]] = []

    package enum Segment: Hashable, Sendable {
        case sealed(SealedMark, epoch: UInt64)
        /// The segment's end is where the next one begins, or where its last record does.
        case inParts(first: Position, epoch: UInt64)

        package var first: Position {
            switch self {
            case .sealed(let mark, _): mark.first
            case .inParts(let first, _): first
            }
        }
    }

    /// Those that are sealed, with their epochs.
    package var sealed: [(mark: SealedMark, epoch: UInt64)] {
        segments.compactMap {
            if case .sealed(let mark, let epoch) = $0 { (mark, epoch) } else { nil }
        }
    }

    /// Where the entries that count end, if another machine went on from there and nothing of that is
    /// archived; nil if all that the segments have counts.
    var end: Position? {
        guard case .inParts(_, let epoch) = segments.last else { return nil }
        return epochs.end(of: epoch)
    }

    /// Epochs of which there are segments or parts, but no note: nobody can tell what counts.
    package private(set) var unknownEpochs: Set<UInt64> = []

    private mutating func noteMissingEpochs() {
        unknownEpochs.subtract(epochs.all.map(\.note.number))
        for epoch in unknownEpochs.sorted() {
            findings.append(
                Finding(
                    .archiveMissing, file: layout.epoch(epoch),
                    "there are objects of this epoch, but no note that the ledger's key signed"))
        }
    }

    /// What each store has in parts of one epoch.
    func parts(of epoch: UInt64) -> [ArchivedParts] {
        parts.map { $0[epoch] ?? ArchivedParts([], layout, epoch) }
    }

    /// The stores of an archive may each have several ledgers. Without an id there must be only one. A
    /// store that cannot be asked is left out, if another one can.
    package init(
        _ given: [any ObjectStore], _ ledgerID: UUID128?, _ patience: Patience
    ) throws(ArchiveFailure) {
        var (stores, away): ([any ObjectStore], [StoreFailure]) = ([], [])
        for store in given {
            do throws(StoreFailure) {
                _ = try store.size(of: "identity", patience)
                stores.append(store)
            } catch { away.append(error) }
        }
        if stores.isEmpty, let first = away.first { throw .store(first) }
        (self.stores, self.away) = (stores, away)
        if let ledgerID {
            layout = ArchiveLayout(ledgerID)
        } else {
            layout = ArchiveLayout(try Self.onlyLedger(stores, patience))
        }
        (identity, identityBytes) = try Self.identity(stores, layout, patience)
        do throws(StoreFailure) {
            epochs = try ArchivedEpochs(
                stores, layout, firstKey: identity.verifierKey, patience)
        } catch { throw .store(error) }
        findings = epochs.findings
        var marks: [Position: (SealedMark, UInt64)] = [:]
        for store in stores { try look(into: store, &marks, patience) }
        noteMissingEpochs()
        follow(marks)
    }

    /// Passes what a writer took beyond its epoch's end to `take`, in order; where one store's is missing
    /// or wrong, from the next.
    package func superseded(
        _ epoch: UInt64, from end: Position, _ patience: Patience,
        _ take: (Entry, [UInt8]) throws(ArchiveFailure) -> Void
    ) throws(ArchiveFailure) {
        var next = end
        // What one store lacks another may have, and then the first one may have what follows.
        while true {
            let before = next
            var failure: ArchiveFailure?
            for store in stores {
                do throws(ArchiveFailure) {
                    try SupersededParts(store, layout, epoch: epoch, end: end, patience)
                        .read(from: &next, take)
                } catch {
                    guard case .store(let cause) = error, cause.kind != .stopped else {
                        throw error
                    }
                    failure = failure ?? error
                }
            }
            guard next == before else { continue }
            if let failure { throw failure }
            return
        }
    }

    // MARK: Which ledger

    private static func onlyLedger(
        _ stores: [any ObjectStore], _ patience: Patience
    ) throws(ArchiveFailure) -> UUID128 {
        var found: Set<UUID128> = []
        for store in stores {
            let objects = try asking { () throws(StoreFailure) in try store.list("", patience) }
            for name in objects where name.key.hasSuffix("/identity") {
                if let id = UUID128(name.key.dropLast("/identity".count)) { found.insert(id) }
            }
        }
        let names = stores.map(\.name).joined(separator: ", ")
        guard let id = found.first else {
            throw .ledger("\(names): no ledger is archived here")
        }
        guard found.count == 1 else {
            throw .ledger(
                "\(names): several ledgers are archived here; name one with --ledger-id: "
                    + found.map(\.description).sorted().joined(separator: ", "))
        }
        return id
    }

    private static func identity(
        _ stores: [any ObjectStore], _ layout: ArchiveLayout, _ patience: Patience
    ) throws(ArchiveFailure) -> (LedgerIdentity, [UInt8]) {
        var failure: ArchiveFailure?
        for store in stores {
            do throws(StoreFailure) {
                let found = try store.anyVersion(of: layout.identity, atMost: 4096, patience) {
                    bytes in
                    (try? LedgerIdentity(fileContent: bytes)).flatMap { identity in
                        identity.ledgerID == layout.ledgerID ? (identity, bytes) : nil
                    }
                }
                if let found { return found }
                let isThere = try store.size(of: layout.identity, patience) != nil
                throw StoreFailure(
                    isThere ? .damaged : .missing, "\(store.name)/\(layout.identity)",
                    isThere ? "the object is not this ledger's identity" : "there is no such object"
                )
            } catch {
                // One that does not answer might have it.
                if failure == nil || error.kind == .unreachable { failure = .store(error) }
            }
        }
        throw failure ?? .ledger("there is no store")
    }

    // MARK: What is there

    private mutating func look(
        into store: any ObjectStore, _ marks: inout [Position: (SealedMark, UInt64)],
        _ patience: Patience
    ) throws(ArchiveFailure) {
        var objects = try asking { () throws(StoreFailure) in
            try store.list(layout.root, patience)
        }
        // Where versions may not be listed, nothing is known to be hidden.
        for object in (try? store.hidden(layout.root, patience)) ?? [] {
            guard layout.name(of: object.key) != nil else { continue }
            note(
                .archiveMissing, object.key, store, nil,
                "a deletion hides the object; an older version is used")
            objects.append(object)
        }
        var sizes: [String: Int] = [:]
        for object in objects { sizes[object.key] = object.bytes }
        var numbers: Set<UInt64> = []
        for object in objects {
            switch layout.name(of: object.key) {
            case .part(.open, let epoch, _, _, _):
                numbers.insert(epoch)
                if epoch > 0 { unknownEpochs.insert(epoch) }
            case .segment(let first, let epoch, .mark):
                if epoch > 0 { unknownEpochs.insert(epoch) }
                guard let mark = try mark(object.key, first, store, patience),
                    epochs.counts(mark, of: epoch)
                else { continue }
                marks[first] = marks[first] ?? (mark, epoch)
                check(mark, epoch, sizes, store)
            default: continue
            }
        }
        var parts: [UInt64: ArchivedParts] = [:]
        for epoch in numbers { parts[epoch] = ArchivedParts(objects, layout, epoch) }
        self.parts.append(parts)
    }

    private mutating func mark(
        _ key: String, _ first: Position, _ store: any ObjectStore, _ patience: Patience
    ) throws(ArchiveFailure) -> SealedMark? {
        do throws(StoreFailure) {
            let found = try store.anyVersion(of: key, atMost: SealedMark.bytesMax, patience) {
                (content) throws(StoreFailure) -> SealedMark? in
                guard let mark = SealedMark(fileContent: content), mark.first == first else {
                    return nil
                }
                return try isOurs(mark, key, store, patience) ? mark : nil
            }
            if let found { return found }
        } catch { throw .store(error) }
        note(.archiveDamaged, key, store, first, "it does not say what this ledger's segment has")
        return nil
    }

    /// Whether the entries beside a mark begin as it says, and are this ledger's: a mark by itself names
    /// none. What the store lacks is found later.
    private func isOurs(
        _ mark: SealedMark, _ key: String, _ store: any ObjectStore, _ patience: Patience
    ) throws(StoreFailure) -> Bool {
        let entries =
            key.dropLast(ArchiveLayout.SegmentObject.mark.rawValue.count)
            + ArchiveLayout.SegmentObject.entries.rawValue
        var bytes: [UInt8] = []
        do throws(StoreFailure) {
            try store.get(String(entries), 0..<EntriesHeader.byteCount, version: nil, patience) {
                bytes.append($0)
            }
        } catch {
            guard error.kind == .missing || error.kind == .damaged else { throw error }
            return true
        }
        guard bytes.count == EntriesHeader.byteCount, let header = EntriesHeader(bytes.span) else {
            return true
        }
        return header.segment.ledgerID == layout.ledgerID && header.count == mark.count
            && header.segment.firstPosition == mark.first
            && header.segmentDigest == mark.segmentDigest && header.lastHash == mark.lastHash
    }

    /// Looks whether the objects that a mark names are there, with the sizes that it says.
    private mutating func check(
        _ mark: SealedMark, _ epoch: UInt64, _ sizes: [String: Int], _ store: any ObjectStore
    ) {
        for (kind, bytes) in mark.objects {
            let key = layout.segment(mark.first, epoch, kind)
            guard let found = sizes[key] else {
                note(.archiveMissing, key, store, mark.first, "a sealed segment lacks this object")
                continue
            }
            guard found < bytes || found > bytes && kind != .entries else { continue }
            note(
                .archiveDamaged, key, store, mark.first,
                "the object has \(found) bytes, but its segment was sealed with \(bytes)")
        }
    }

    private mutating func note(
        _ code: Finding.Code, _ key: String, _ store: any ObjectStore, _ position: Position?,
        _ detail: String
    ) {
        findings.append(
            Finding(code, file: "\(store.name)/\(key)", position: position, detail))
    }

    // MARK: How far it goes

    /// How far an archive goes.
    package struct Reach: Hashable, Sendable {
        /// Entries in it, as far as their parts can be read.
        package var entries: LedgerSize
        /// Those that its newest checkpoint covers.
        package var covered: LedgerSize
    }

    /// Reads the checkpoints and the newest part.
    package func reach(_ patience: Patience) throws(ArchiveFailure) -> Reach {
        var reach = Reach(
            entries: LedgerSize(sealed.map(\.mark.end.value).max() ?? 0), covered: .empty)
        let volume = try ArchiveVolume(self, patience)
        do throws(FileFailure) {
            if try volume.list("").contains(LedgerLayout.checkpoints) {
                var cursor = try CheckpointCursor(volume.open(LedgerLayout.checkpoints, .read))
                while case .record(let record) = try cursor.next() {
                    reach.covered = max(reach.covered, record.published.checkpoint.size)
                }
            }
        } catch { throw .file(error) }
        guard case .inParts(let first, let epoch) = segments.last else { return reach }
        for (number, parts) in self.parts(of: epoch).enumerated() {
            let reader = SupersededParts(
                stores[number], layout, epoch: epoch, end: first, patience)
            for part in parts.all(first).sorted(by: { $0.offset > $1.offset }) {
                guard let end = try? reader.end(of: part) else { continue }
                reach.entries = max(reach.entries, LedgerSize(min(end, self.end ?? end).value))
                break
            }
        }
        return reach
    }

    // MARK: What hangs together

    /// The newest epoch of which a store has a segment's first part, by the segments that count.
    private var epochsOfParts: [Position: UInt64] {
        var found: [Position: UInt64] = [:]
        for (epoch, parts) in parts.flatMap(\.self).sorted(by: { $0.key < $1.key }) {
            for first in parts.firsts where epochs.end(of: epoch).map({ first < $0 }) ?? true {
                if found[first] == nil || !parts.chain(first).isEmpty { found[first] = epoch }
            }
        }
        return found
    }

    private mutating func follow(_ marks: [Position: (mark: SealedMark, epoch: UInt64)]) {
        let inParts = epochsOfParts
        var next = Position(0)
        for first in Set(inParts.keys).union(marks.keys).sorted() where first >= next {
            // Behind parts, the next segment begins where it does; reading them shows whether it may.
            let isBehindParts = if case .inParts = segments.last { true } else { false }
            guard first == next || isBehindParts else {
                findings.append(
                    Finding(
                        .archiveGap, file: layout.root, position: next,
                        "no segment begins here, but one at position \(first)"))
                return
            }
            if let (mark, epoch) = marks[first], mark.count > 0 {
                segments.append(.sealed(mark, epoch: epoch))
                next = mark.end
            } else if let epoch = inParts[first] {
                segments.append(.inParts(first: first, epoch: epoch))
                next = first.next
            }
        }
    }
}

extension SealedMark {
    /// The objects beside the mark, with their sizes; entries may have more.
    var objects: [(kind: ArchiveLayout.SegmentObject, bytes: Int)] {
        [
            (.segment, bytes),
            (.entries, EntriesHeader.byteCount + Int(count) * EntriesFile.slotBytes),
            (.checkpoints, checkpoints.count),
        ]
    }

    func digest(of kind: ArchiveLayout.SegmentObject) -> Digest {
        switch kind {
        case .segment: segmentDigest
        case .entries: entriesDigest
        case .checkpoints: checkpointsDigest
        case .mark: .sha256(fileContent)
        }
    }
}
