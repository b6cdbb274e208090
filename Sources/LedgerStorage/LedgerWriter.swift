package import LedgerFormat

/// Appends to the newest segment. Used by one thread; `LedgerMap` tells the others.
///
/// Invariants:
///  1. Everything before `tail` was synced, or is in `batch` and will be written from `tail` on.
///  2. `next` goes on from the last staged entry; after `commit` nothing is staged.
///  3. After a failed sync nothing is written ever again: the page cache no longer tells what the
///     disk holds.
package struct LedgerWriter: ~Copyable {
    private let map: LedgerMap
    private let volume: any Volume
    private var segment: any VolumeFile
    private var header: SegmentHeader
    private var seed: CRC32C
    /// Size of the segment's file: records end before it.
    private var capacity: Int
    private var tail: Int

    /// Records that were staged since the last commit.
    private var batch: [UInt8] = []
    private var staged: [UUID128] = []
    private var next: RecordChecker
    private var slots: [IDsFile.Slot]

    /// Bytes behind `tail` that a failed write may have left; zeroed before the next one.
    private var scrubBytes = 0
    private var isPoisoned = false

    /// What is appended, as far as the writer needs to know it.
    package struct Draft: Sendable {
        package var stardustID: UUID128?
        package var createdAt: Timestamp?
        package var payloadDigest: Digest
        package var peer: Entry.Peer
        package var kind: Entry.Kind

        package init(
            stardustID: UUID128?, createdAt: Timestamp?, payloadDigest: Digest, peer: Entry.Peer,
            kind: Entry.Kind = .packet
        ) {
            self.kind = kind
            self.stardustID = stardustID
            self.createdAt = createdAt
            self.payloadDigest = payloadDigest
            self.peer = peer
        }
    }

    package enum Staged: Sendable {
        case appended(Entry, hash: Digest)
        /// The id stands already, synced or staged.
        case present(Position)
    }

    package enum Failure: Error, Sendable, CustomStringConvertible {
        /// Nothing of the batch was kept; there may be room later.
        case noSpace(FileFailure)
        /// The environment failed before anything was written; it may be tried again.
        case failed(FileFailure)
        /// Whether the batch is durable is unknown. The writer is at its end.
        case broken(FileFailure)

        package var description: String {
            switch self {
            case .noSpace(let cause): "no room for another packet: \(cause)"
            case .failed(let cause): cause.description
            case .broken(let cause): "it is unknown what became durable: \(cause)"
            }
        }
    }

    init(
        map: LedgerMap, segment: any VolumeFile, header: SegmentHeader, scan: SegmentScan
    ) {
        self.map = map
        volume = map.volume
        self.segment = segment
        self.header = header
        seed = header.seed
        capacity = scan.fileBytes
        tail = scan.end
        next = scan.checker
        slots = scan.slots
    }

    // MARK: Staging

    package var stagedCount: Int { staged.count }

    /// Whether a record with this payload fits behind what is staged.
    package func hasRoom(payloadBytes: Int) -> Bool {
        tail + batch.count + RecordFrame.recordBytes(payloadBytes: payloadBytes) <= capacity
    }

    /// Gives a packet its place behind the last one, or finds its id. There must be room. Nothing
    /// is durable before `commit`.
    package mutating func stage(
        _ draft: Draft, payload: Span<UInt8>, now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) throws(Failure) -> Staged {
        if let id = draft.stardustID {
            do throws(FileFailure) {
                if let position = try map.position(of: id, includingStaged: true) {
                    return .present(position)
                }
            } catch { throw .failed(error) }
        }
        guard next.next.value < StorageLimits.entriesMax else {
            throw .noSpace(
                FileFailure(.write, segment.path, errorNumber: FileFailure.tooLargeNumber))
        }
        let entry = entry(for: draft, payloadBytes: payload.count, now: now, using: &generator)
        let offset = tail + batch.count
        let hash = RecordFrame.append(
            entry, payload: payload, batchStart: ByteOffset(tail), seed: seed, to: &batch)
        let slot = IDsFile.Slot(
            stardustID: entry.stardustID, offset: UInt32(offset), isPacket: entry.kind == .packet)
        slots.append(slot)
        staged.append(entry.stardustID)
        map.update { state in
            state.ids.insert(slot.stardustID, at: entry.position)
            state.open?.slots.append(slot)
        }
        next = RecordChecker(
            next: entry.position.next, lastHash: hash, lastReceivedAt: entry.receivedAt)
        return .appended(entry, hash: hash)
    }

    private func entry(
        for draft: Draft, payloadBytes: Int, now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) -> Entry {
        var flags: Entry.Flags = []
        let receivedAt = max(now, next.lastReceivedAt ?? now)
        if receivedAt > now { flags.insert(.clockHeldBack) }
        if draft.stardustID == nil { flags.insert(.idAssigned) }
        if draft.createdAt == nil { flags.insert(.createdAtAssigned) }
        return Entry(
            kind: draft.kind, flags: flags, position: next.next, receivedAt: receivedAt,
            stardustID: draft.stardustID ?? .random(using: &generator),
            createdAt: draft.createdAt ?? receivedAt, peer: draft.peer,
            payloadBytes: UInt64(payloadBytes), payloadDigest: draft.payloadDigest,
            previous: next.lastHash)
    }

    // MARK: Committing

    /// Writes what is staged with one write and one fdatasync. On return it is durable and readers
    /// see it. After `noSpace` or `failed` nothing of it is in the ledger.
    package mutating func commit() throws(Failure) {
        precondition(!isPoisoned, "a poisoned writer is not used again")
        if staged.isEmpty { return }
        do throws(FileFailure) { try write() } catch {
            unstage()
            if error.isNoSpace { throw .noSpace(error) }
            isPoisoned = true
            throw .broken(error)
        }
        do throws(FileFailure) { try segment.syncData() } catch {
            isPoisoned = true
            throw .broken(error)
        }
        tail += batch.count
        batch.removeAll(keepingCapacity: batch.count <= Self.batchBytesKept)
        staged.removeAll(keepingCapacity: true)
        let head = LedgerMap.Head(
            size: LedgerSize(next.next.value), lastHash: next.lastHash,
            lastReceivedAt: next.lastReceivedAt)
        map.update { $0.head = head }
    }

    /// The buffer of a batch is kept for the next one up to this size.
    private static let batchBytesKept = 8 << 20

    private mutating func write() throws(FileFailure) {
        if scrubBytes > 0 {
            let zeros = [UInt8](repeating: 0, count: min(scrubBytes, capacity - tail))
            try segment.write(zeros.span, at: tail)
            scrubBytes = 0
        }
        scrubBytes = batch.count
        try segment.write(batch.span, at: tail)
        scrubBytes = 0
    }

    /// Takes back what was staged.
    private mutating func unstage() {
        let head = map.head
        slots.removeLast(staged.count)
        let taken = staged
        map.update { state in
            for (ordinal, id) in taken.enumerated() {
                state.ids.remove(id, at: Position(head.size.entries + UInt64(ordinal)))
            }
            state.open?.slots.removeLast(taken.count)
        }
        staged.removeAll()
        batch.removeAll()
        next = RecordChecker(
            next: head.size.nextPosition, lastHash: head.lastHash,
            lastReceivedAt: head.lastReceivedAt)
    }

    // MARK: Rolling

    /// Goes over to a segment that was made ahead. Nothing may be staged. A crash at any place
    /// leaves a ledger that `LedgerOpening` completes.
    package mutating func roll(into prepared: PreparedSegment) throws(Failure) {
        precondition(staged.isEmpty && !isPoisoned)
        let sealed = header
        let newHeader = SegmentHeader(
            ledgerID: map.ledgerID, firstPosition: next.next, previous: next.lastHash)
        do throws(FileFailure) {
            try prepared.file.write(newHeader.bytes.span, at: 0)
            try prepared.file.sync()
            // Without it nothing has changed yet.
            try volume.rename(
                LedgerLayout.nextSegment, to: LedgerLayout.segment(newHeader.firstPosition))
        } catch { throw error.isNoSpace ? .noSpace(error) : .failed(error) }
        do throws(FileFailure) {
            try volume.syncFolder(LedgerLayout.segments)
            try segment.truncate(to: tail)
            try segment.sync()
        } catch {
            isPoisoned = true
            throw .broken(error)
        }
        let ids = IDsFile(header: sealed, segmentBytes: tail, last: next, slots: slots)
        // Derived: where it cannot be written, it is read from the segment when it is wanted.
        try? volume.replaceDerived(LedgerLayout.ids(sealed.firstPosition), with: ids.fileContent)
        begin(newHeader, prepared)
        let (count, file) = (ids.slots.count, segment)
        map.update { state in
            state.sealed.append(LedgerMap.SealedSegment(header: sealed, count: count))
            state.open = LedgerMap.OpenSegment(header: newHeader, file: file)
        }
    }

    private mutating func begin(_ newHeader: SegmentHeader, _ prepared: PreparedSegment) {
        segment = prepared.file
        header = newHeader
        seed = newHeader.seed
        capacity = prepared.bytes
        tail = SegmentHeader.byteCount
        slots = []
    }

    // MARK: Closing

    /// Says in the ledger's folder how far it goes, after the last commit.
    package func writeCloseMarker() throws(FileFailure) {
        let marker = CloseMarker(size: LedgerSize(next.next.value), lastHash: next.lastHash)
        try volume.replace(LedgerLayout.closeMarker, with: marker.fileContent)
    }
}

/// A segment made ahead: its room on the disk is taken, so that a full disk shows before a packet
/// needs it.
package struct PreparedSegment: Sendable {
    package let file: any VolumeFile
    package let bytes: Int

    /// Makes `segments/next.tmp`. Takes as long as writing that much; any thread, one at a time.
    /// Where there is no room, nothing stays behind.
    package init(_ volume: any Volume, bytes: Int) throws(FileFailure) {
        try Self.discard(volume)
        file = try volume.open(LedgerLayout.nextSegment, .create())
        self.bytes = bytes
        do throws(FileFailure) {
            try file.allocate(bytes)
            try file.sync()
        } catch {
            // The first failure is the one to tell; a leftover is discarded next time.
            try? Self.discard(volume)
            throw error
        }
    }

    /// Removes a prepared segment that was not used.
    package static func discard(_ volume: any Volume) throws(FileFailure) {
        let names = try volume.list(LedgerLayout.segments)
        if names.contains(LedgerLayout.nextSegment.lastName) {
            try volume.remove(LedgerLayout.nextSegment)
        }
    }
}
