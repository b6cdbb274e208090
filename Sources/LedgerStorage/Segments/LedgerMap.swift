package import LedgerFormat
package import Platform
internal import Synchronization

/// Where every entry is. The writer adds to it; all readers share it.
///
/// Invariants:
///  1. `size` counts only entries whose batch was synced; nothing beyond it is shown to readers.
///  2. The sealed segments are in order and without gaps, and the open one follows them.
package final class LedgerMap: Sendable {
    package let volume: any Volume
    package let ledgerID: UUID128
    /// Why this ledger is read-only; nil if its files are sound. Positions at which nothing could be
    /// read count as entries, and reading them reports damage.
    package let damage: Finding?
    private let state: Mutex<State>
    let sealedFiles: SealedFiles
    private let found = Mutex(FoundDamage())

    private struct FoundDamage {
        var first: Finding?
        var report: (@Sendable (Finding) -> Void)?
    }

    struct SealedSegment: Sendable {
        var header: SegmentHeader
        var count: Int
        /// Size of the file.
        var bytes: Int
        /// Where the records are, if no ids file has it; those beyond cannot be read.
        var slots: [IDsFile.Slot]?
        /// Its payloads are in the archive only.
        var isArchived = false

        var end: Position { Position(header.firstPosition.value + UInt64(count)) }
    }

    struct OpenSegment: Sendable {
        var header: SegmentHeader
        var file: any VolumeFile
        var slots: [IDsFile.Slot] = []
        /// Where the synced records end.
        var bytes = SegmentHeader.byteCount
    }

    struct State: Sendable {
        var sealed: [SealedSegment] = []
        var open: OpenSegment?
        var ids: IDTable
        var head: Head
        /// Entries other than packets, as of opening.
        var otherEntries: [Position] = []

        /// Where a staged or synced position is.
        func place(of position: Position) -> Place? {
            if let open, position >= open.header.firstPosition {
                let ordinal = Int(position.value - open.header.firstPosition.value)
                guard ordinal < open.slots.count else { return nil }
                return .open(open.slots[ordinal], open.file, open.header)
            }
            var (low, high) = (0, sealed.count)
            while low < high {
                let middle = (low + high) / 2
                if sealed[middle].end > position { high = middle } else { low = middle + 1 }
            }
            guard low < sealed.count, position >= sealed[low].header.firstPosition else {
                return nil
            }
            let segment = sealed[low]
            guard let slots = segment.slots else { return .sealed(segment.header, position) }
            let ordinal = Int(position.value - segment.header.firstPosition.value)
            return .inMemory(
                ordinal < slots.count ? slots[ordinal] : .unreadable, segment.header)
        }
    }

    enum Place {
        case open(IDsFile.Slot, any VolumeFile, SegmentHeader)
        case sealed(SegmentHeader, Position)
        /// In a sealed segment that is damaged, or whose ids file could not be stored.
        case inMemory(IDsFile.Slot, SegmentHeader)
    }

    /// The newest synced entry.
    package struct Head: Hashable, Sendable {
        package var size: LedgerSize
        /// Entry hash of the last entry, or the identity's digest for an empty ledger.
        package var lastHash: Digest
        package var lastReceivedAt: Timestamp?
    }

    init(volume: any Volume, ledgerID: UUID128, damage: Finding? = nil, _ state: State) {
        self.damage = damage
        self.volume = volume
        self.ledgerID = ledgerID
        self.state = Mutex(state)
        sealedFiles = SealedFiles(volume)
    }

    /// The first damage that a reader came upon since the ledger was opened.
    package var foundDamage: Finding? { found.withLock { $0.first } }

    /// Calls `report` once, with the first damage that a reader comes upon.
    package func whenDamageIsFound(_ report: @escaping @Sendable (Finding) -> Void) {
        found.withLock { $0.report = report }
    }

    package func note(_ damage: Finding) {
        let report: (@Sendable (Finding) -> Void)? = found.withLock { found in
            guard found.first == nil else { return nil }
            found.first = damage
            return found.report
        }
        report?(damage)
    }

    /// Keeps the files of at most so many sealed segments open; each takes two descriptors.
    package func keepOpen(segments count: Int) { sealedFiles.limit.withLock { $0 = count } }

    package var head: Head { state.withLock { $0.head } }

    /// Positions of the entries other than packets, as of opening.
    var otherEntries: [Position] { state.withLock { $0.otherEntries } }

    package var segmentCount: Int {
        state.withLock { $0.sealed.count + ($0.open == nil ? 0 : 1) }
    }

    func update<Result: Sendable>(_ body: (inout sending State) -> sending Result) -> Result {
        state.withLock { body(&$0) }
    }

    // MARK: Looking up

    /// The position of an id among synced entries. The writer includes staged ones.
    package func position(
        of id: UUID128, includingStaged: Bool = false, _ access: ReadAccess = .blocking
    ) throws(FileFailure) -> Position? {
        var window = ReadWindow(firstBytes: IDsFile.slotBytes)
        return try position(of: id, includingStaged: includingStaged, &window, access)
    }

    func position(
        of id: UUID128, includingStaged: Bool = false, _ window: inout ReadWindow,
        _ access: ReadAccess
    ) throws(FileFailure) -> Position? {
        let places = state.withLock { state in
            state.ids.candidates(for: id).compactMap { position in
                includingStaged || state.head.size.contains(position)
                    ? state.place(of: position).map { (position, $0) } : nil
            }
        }
        for (position, place) in places {
            if try slot(at: place, &window, access).stardustID == id { return position }
        }
        return nil
    }

    /// Where a record begins.
    struct RecordPlace {
        var file: any VolumeFile
        var header: SegmentHeader
        var offset: Int
        /// As in the list of ids.
        var stardustID: UUID128
    }

    /// Segment and offset of a synced position; nil beyond the ledger. Fails with damage where the
    /// entry could not be read when the ledger was opened.
    func record(
        at position: Position, _ window: inout ReadWindow, _ access: ReadAccess
    ) throws(ReadFailure) -> RecordPlace? {
        let place = state.withLock { state in
            state.head.size.contains(position) ? state.place(of: position) : nil
        }
        guard let place else { return nil }
        if case .inMemory(let slot, let header) = place, !slot.isReadable {
            throw .damaged(
                Finding(
                    .recordDamaged, file: LedgerLayout.segment(header.firstPosition),
                    position: position, "the entry cannot be read"))
        }
        do throws(FileFailure) {
            let slot = try slot(at: place, &window, access)
            let (offset, id) = (Int(slot.offset), slot.stardustID)
            switch place {
            case .open(_, let file, let header):
                return RecordPlace(file: file, header: header, offset: offset, stardustID: id)
            case .sealed(let header, _), .inMemory(_, let header):
                let file = try sealedFiles.file(of: header, access).segment
                return RecordPlace(file: file, header: header, offset: offset, stardustID: id)
            }
        } catch { throw .file(error) }
    }

    private func slot(
        at place: Place, _ window: inout ReadWindow, _ access: ReadAccess
    ) throws(FileFailure) -> IDsFile.Slot {
        switch place {
        case .open(let slot, _, _), .inMemory(let slot, _): return slot
        case .sealed(let header, let position):
            let ordinal = Int(position.value - header.firstPosition.value)
            let file = try sealedFiles.file(of: header, access)
            if let slot = try file.ids?.slot(ordinal, &window, access) { return slot }
            guard access != .cachedOnly else { throw .wouldBlock(file.segment.path) }
            // The ids file was lost or damaged after opening. Read the ids from the segment itself.
            let ids = try SegmentScan.ids(of: header, volume)
            sealedFiles.forget(header)
            guard ordinal < ids.slots.count else {
                throw FileFailure(
                    .read, LedgerLayout.ids(header.firstPosition),
                    errorNumber: FileFailure.inputOutputNumber)
            }
            return ids.slots[ordinal]
        }
    }
}
