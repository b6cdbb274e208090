package import LedgerFormat
package import Platform

/// Appends to the newest segment. Used by one thread; the others read through `LedgerMap`.
///
/// Invariants:
///  1. Everything before `tail` is synced. `batch` will be written at `tail`.
///  2. `next` continues from the last staged entry. After `commit` nothing is staged.
///  3. After a failed sync nothing is ever written again: the page cache no longer shows what the
///     disk holds.
package struct LedgerWriter: ~Copyable {
    private let map: LedgerMap
    private let volume: any Volume
    private var segment: any VolumeFile
    private var header: SegmentHeader
    private var seed: CRC32C
    /// Size of the segment's file. No record extends past it.
    private var capacity: Int
    private var tail: Int

    /// Records staged since the last commit.
    private var batch: [UInt8] = []
    private var staged: [UUID128] = []
    private var next: RecordChecker
    private var slots: [IDsFile.Slot]

    /// Bytes after `tail` that a failed write may have left. They are zeroed before the next write:
    /// left behind a shorter batch, they would look like a torn tail.
    private var scrubBytes = 0
    /// An unfinished write after `tail`, found at opening, that must be cut before the next one.
    private var torn: TornTail?
    /// What was repaired since this was last asked for.
    private var repair: OpenedLedger.Repair?
    private var isPoisoned = false

    /// What the writer needs to know about a payload to append it.
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
        /// The id already exists, synced or staged.
        case present(Position)
    }

    package enum Failure: Error, Sendable, CustomStringConvertible {
        /// None of the batch was kept. There may be room later.
        case noSpace(FileFailure)
        /// The environment failed before anything was written. The caller may retry.
        case failed(FileFailure)
        /// It is unknown whether the batch is durable. The writer cannot be used again.
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
        map: LedgerMap, segment: any VolumeFile, header: SegmentHeader, scan: SegmentScan,
        torn: TornTail? = nil
    ) {
        self.torn = torn
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

    /// Size of the newest segment's file.
    package var segmentBytes: Int { capacity }

    // MARK: Staging

    package var stagedCount: Int { staged.count }

    /// Whether a copy by hard links shares the segment: then nothing more is written to it. Fails if
    /// the segment or the ledger's folder was removed or moved away: what is written would be lost.
    /// Asked before each batch.
    package var isShared: Bool {
        get throws(FileFailure) {
            try volume.requireInPlace()
            let links = try segment.linkCount()
            guard links > 0 else {
                throw FileFailure(.open, segment.path, errorNumber: FileFailure.movedNumber)
            }
            return links > 1
        }
    }

    /// Whether a record with this payload fits after the staged ones.
    package func hasRoom(payloadBytes: Int) -> Bool {
        tail + batch.count + RecordFrame.recordBytes(payloadBytes: payloadBytes) <= capacity
    }

    /// Assigns a packet the next position, or finds the position that already has its id. The
    /// caller has checked `hasRoom`. Nothing is written before `commit`, so a crash leaves no
    /// trace.
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

    /// Writes the staged records with one write and one fdatasync. On return they are durable and
    /// visible to readers. After `noSpace` or `failed` none of them is in the ledger.
    package mutating func commit() throws(Failure) {
        precondition(!isPoisoned, "a poisoned writer must not be used again")
        if staged.isEmpty { return }
        // A crash before the sync completes leaves any part of the batch after `tail`. Nobody was
        // told of it: opening keeps its leading intact records and cuts the rest as a torn tail.
        do throws(FileFailure) { try write() } catch {
            unstage()
            if error.isNoSpace { throw .noSpace(error) }
            isPoisoned = true
            throw .broken(error)
        }
        do throws(FileFailure) { try segment.syncData() } catch {
            // The kernel may now treat unwritten pages as clean, so a second sync proves nothing.
            isPoisoned = true
            throw .broken(error)
        }
        // The batch is durable. A crash before the workers are told leaves entries that a retry
        // with the same id finds.
        tail += batch.count
        batch.removeAll(keepingCapacity: batch.count <= Self.batchBytesKept)
        staged.removeAll(keepingCapacity: true)
        let head = LedgerMap.Head(
            size: LedgerSize(next.next.value), lastHash: next.lastHash,
            lastReceivedAt: next.lastReceivedAt)
        let bytes = tail
        map.update { state in
            state.head = head
            state.open?.bytes = bytes
        }
    }

    /// A batch buffer of up to this size is kept for the next batch.
    private static let batchBytesKept = 8 << 20

    /// Cuts what an interrupted write left at the tail before this program started.
    private mutating func cutTornTail() throws(FileFailure) {
        guard let found = torn else { return }
        repair = try found.cut(segment)
        torn = nil
    }

    /// A repair that opening had left to the first write, for the log; once.
    package mutating func takeRepair() -> OpenedLedger.Repair? {
        defer { repair = nil }
        return repair
    }

    private mutating func write() throws(FileFailure) {
        try cutTornTail()
        if scrubBytes > 0 {
            // No sync of its own: after a crash the remains of either write belong to batches that
            // began at `tail`, so opening treats them as a torn tail.
            let zeros = [UInt8](repeating: 0, count: min(scrubBytes, capacity - tail))
            try segment.write(zeros.span, at: tail)
            scrubBytes = 0
        }
        scrubBytes = batch.count
        try segment.write(batch.span, at: tail)
        scrubBytes = 0
    }

    /// Discards what was staged.
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

    /// Switches to a segment that was prepared ahead of time. Nothing may be staged. After a crash
    /// at any step `LedgerOpening` finishes the roll or discards it.
    package mutating func roll(into prepared: PreparedSegment) throws(Failure) {
        precondition(staged.isEmpty && !isPoisoned)
        if tail == SegmentHeader.byteCount { return try replaceEmpty(with: prepared) }
        let sealed = header
        let newHeader = SegmentHeader(
            ledgerID: map.ledgerID, firstPosition: next.next, previous: next.lastHash)
        let volume = volume
        try place(prepared, newHeader) { (next, path) throws(FileFailure) in
            // If this fails, nothing has changed yet. A crash before the folder's sync leaves
            // either name: opening discards `next.tmp`, or finishes the roll to the empty segment.
            try volume.renameNew(next, to: path)
        }
        do throws(FileFailure) {
            // Must come before the first record in the new segment: a crash that lost the name
            // would lose the record with it.
            try volume.syncFolder(LedgerLayout.segments)
            // A crash before this is durable leaves zeros after the sealed records. Opening cuts
            // them, but only while the new segment is empty, so this too must precede its first
            // record.
            try segment.truncate(to: tail)
            try segment.sync()
        } catch {
            isPoisoned = true
            throw .broken(error)
        }
        let ids = IDsFile(header: sealed, segmentBytes: tail, last: next, slots: slots)
        // Derived and not synced: if it cannot be written, or a crash loses or damages it, it is
        // rebuilt from the segment when it is needed.
        try? volume.replaceDerived(LedgerLayout.ids(sealed.firstPosition), with: ids.fileContent)
        begin(newHeader, prepared)
        let (count, file, bytes) = (ids.slots.count, segment, Int(ids.segmentBytes))
        map.update { state in
            state.sealed.append(
                LedgerMap.SealedSegment(header: sealed, count: count, bytes: bytes))
            state.open = LedgerMap.OpenSegment(header: newHeader, file: file)
        }
    }

    /// Gives a prepared segment its header and, by `rename`, its name. A crash before the rename leaves
    /// only `next.tmp`, which opening discards.
    private mutating func place(
        _ prepared: PreparedSegment, _ header: SegmentHeader,
        _ rename: (_ next: String, _ path: String) throws(FileFailure) -> Void
    ) throws(Failure) {
        do throws(FileFailure) {
            try cutTornTail()
            try prepared.file.lock()
            try prepared.file.write(header.bytes.span, at: 0)
            try prepared.file.sync()
            try rename(LedgerLayout.nextSegment, LedgerLayout.segment(header.firstPosition))
        } catch { throw error.isNoSpace ? .noSpace(error) : .failed(error) }
    }

    /// Puts a prepared segment in the place of the newest one, which has no record: it may be too small
    /// for the next record, or shared. A crash leaves either of the two empty files.
    private mutating func replaceEmpty(with prepared: PreparedSegment) throws(Failure) {
        let volume = volume
        try place(prepared, header) { (next, path) throws(FileFailure) in
            try volume.rename(next, to: path)
        }
        do throws(FileFailure) { try volume.syncFolder(LedgerLayout.segments) } catch {
            isPoisoned = true
            throw .broken(error)
        }
        begin(header, prepared)
        let (header, file) = (header, segment)
        map.update { $0.open = LedgerMap.OpenSegment(header: header, file: file) }
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

    /// Records in the ledger's folder how far it goes, after the last commit. A crash leaves the
    /// old marker or the new one; a marker stays true forever, so either is valid.
    package func writeCloseMarker() throws(FileFailure) {
        try volume.requireInPlace()
        let marker = CloseMarker(size: LedgerSize(next.next.value), lastHash: next.lastHash)
        try volume.replace(LedgerLayout.closeMarker, with: marker.fileContent)
    }
}

/// A segment prepared ahead of time. Its disk space is already allocated, so a full disk is noticed
/// before a packet needs the room.
package struct PreparedSegment: Sendable {
    package let file: any VolumeFile
    package let bytes: Int

    /// Creates `segments/next.tmp`, which takes as long as writing `bytes`. Any thread may call it,
    /// one at a time. If there is no room, no file remains. After a crash the next opening or
    /// preparation discards the file.
    package init(_ volume: any Volume, bytes: Int) throws(FileFailure) {
        try Self.discard(volume)
        file = try volume.open(LedgerLayout.nextSegment, .create())
        self.bytes = bytes
        do throws(FileFailure) {
            try file.allocate(bytes)
            try file.sync()
        } catch {
            // Report the first failure. A leftover is discarded next time.
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
