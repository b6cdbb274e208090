package import LedgerFormat
internal import LedgerStorage
package import ObjectStore
internal import Platform
internal import Synchronization

/// Ships sealed segments to one store, each as four objects of which the mark comes last. Used by one
/// thread.
package struct SegmentShipper {
    private let place: ArchivePlace
    private let source: any LedgerSource
    private let patience: Patience
    /// The segments that are whole in the store, by their first position; nil until `resume`.
    package private(set) var marks: [Position: SealedMark]?

    package init(_ place: ArchivePlace, _ source: any LedgerSource, _ patience: Patience) {
        (self.place, self.source, self.patience) = (place, source, patience)
    }

    /// Finds out from the store which segments are whole there. They must be this ledger's own; of the
    /// newest every byte is compared.
    package mutating func resume(_ state: SourceState) throws(ArchiveFailure) {
        var marks: [Position: SealedMark] = [:]
        do throws(StoreFailure) {
            for object in try place.store.list(place.layout.segments, patience) {
                guard
                    case .segment(let first, let epoch, .mark) = place.layout.name(of: object.key),
                    epoch <= place.epoch
                else { continue }
                let content = try place.store.bytes(
                    of: object.key, atMost: SealedMark.bytesMax, patience)
                guard let mark = SealedMark(fileContent: content), mark.first == first else {
                    throw StoreFailure(
                        .damaged, "\(place.store.name)/\(object.key)",
                        "the object does not say what a sealed segment has")
                }
                if place.epochs.counts(mark, of: epoch) { marks[first] = mark }
            }
        } catch { throw .store(error) }
        let newest = marks.values.max { $0.first < $1.first }
        for mark in marks.values {
            let own = state.segments.first { $0.first == mark.first }
            var isSame = own.map { $0.isSealed && $0.end == mark.end && $0.bytes == mark.bytes }
            if isSame == true, mark == newest, let own, !own.isArchived {
                isSame = try asking { () throws(StoreFailure) in
                    try body(of: own).digest == mark.segmentDigest
                }
            }
            guard isSame == true else {
                throw .fork(
                    "\(place.store.name)/\(place.layout.segment(mark.first, place.epoch, .mark))",
                    "another writer of this ledger sealed another segment here, or the ledger was "
                        + "put back from an older copy")
            }
        }
        self.marks = marks
    }

    private func body(of segment: SourceState.Segment) throws(StoreFailure) -> ObjectBody {
        let source = source
        return try ObjectBody(count: segment.bytes) {
            (bytes: inout [UInt8], offset: Int) throws(StoreFailure) in
            try source.fill(&bytes, .segment(segment.first), offset, upTo: segment.bytes)
        }
    }

    /// Ships the oldest sealed segment that is not whole in the store. Returns it, or nil if there is
    /// none, or if its checkpoints are not all known yet: those after it begin only later.
    package mutating func ship(_ state: SourceState) throws(ArchiveFailure) -> SealedMark? {
        guard let known = marks else { return nil }
        // The answer that a mark was written may have been lost; the daemon has found it since.
        if state.segments.contains(where: { $0.isArchived && known[$0.first] == nil }) {
            try resume(state)
        }
        guard let marks else { return nil }
        var checkpoints = 0
        for segment in state.segments where segment.isSealed {
            if let mark = marks[segment.first] {
                checkpoints = mark.checkpoints.upperBound
                continue
            }
            guard !segment.isArchived else {
                throw .ledger(
                    "the segment at position \(segment.first) has left the ledger's disk, and "
                        + "\(place.store.name) does not have it: `stardust archive recall "
                        + "\(segment.first)..\(segment.first)` brings it back from another store")
            }
            let file = RemoteFile(source, .checkpoints, bytes: state.checkpointBytes)
            let found: (mark: SealedMark, bodies: [ObjectBody])
            do throws(StoreFailure) {
                guard
                    let end = try CheckpointPlaces.search(
                        file, from: checkpoints, beyond: segment.end)
                else { return nil }
                found = try read(segment, checkpoints..<end)
            } catch { throw .store(error) }
            for (kind, body) in zip(ArchiveLayout.SegmentObject.allCases, found.bodies) {
                let key = place.layout.segment(segment.first, place.epoch, kind)
                try place.put(key, body, patience)
            }
            self.marks?[segment.first] = found.mark
            return found.mark
        }
        return nil
    }

    /// What becomes of a segment, in the order of `SegmentObject`.
    private func read(
        _ segment: SourceState.Segment, _ checkpoints: Range<Int>
    ) throws(StoreFailure) -> (SealedMark, [ObjectBody]) {
        let walk = try SegmentWalk(source, segment)
        let source = source
        let bytes = try body(of: segment)
        let entries = try walk.entries(segmentDigest: bytes.digest)
        let records = try ObjectBody(count: checkpoints.count) {
            (bytes: inout [UInt8], offset: Int) throws(StoreFailure) in
            try source.fill(
                &bytes, .checkpoints, checkpoints.lowerBound + offset, upTo: checkpoints.upperBound)
        }
        let mark = SealedMark(
            first: segment.first, count: walk.count, bytes: segment.bytes,
            checkpoints: checkpoints, segmentDigest: bytes.digest, entriesDigest: entries.digest,
            checkpointsDigest: records.digest, lastHash: walk.lastHash)
        return (mark, [bytes, entries, records, ObjectBody(mark.fileContent)])
    }
}

extension LedgerSource {
    /// Fills an array from an offset on, as far as there are bytes before `end`.
    func fill(
        _ bytes: inout [UInt8], _ file: SourceFile, _ offset: Int, upTo end: Int
    ) throws(StoreFailure) -> Int {
        var done = 0
        while done < bytes.count, offset + done < end {
            let wanted = min(bytes.count - done, end - offset - done)
            let found = try read(file, offset + done, atMost: wanted)
            guard !found.isEmpty, found.count <= wanted else { break }
            bytes.replaceSubrange(done..<done + found.count, with: found)
            done += found.count
        }
        return done
    }
}

/// One look through a sealed segment, which must be sound, and its entries without payloads.
private struct SegmentWalk {
    let count: UInt64
    let lastHash: Digest
    /// Bytes of the payloads of entries that are no packets.
    private let keptBytes: Int
    private let header: SegmentHeader
    private let segment: SourceState.Segment
    private let source: any LedgerSource

    init(_ source: any LedgerSource, _ segment: SourceState.Segment) throws(StoreFailure) {
        (self.source, self.segment) = (source, segment)
        let file = RemoteFile(source, .segment(segment.first), bytes: segment.bytes)
        let name = LedgerLayout.segment(segment.first)
        do throws(FileFailure) {
            switch try SegmentCursor.open(file, name: name) {
            case .failure(let finding): throw StoreFailure(.source, "", "\(finding)").asFile(name)
            case .success(let found): header = found
            }
            var checker = RecordChecker(next: header.firstPosition, lastHash: header.previous)
            var kept = 0
            var cursor = try SegmentCursor(file, header: header)
            walk: while true {
                switch try cursor.next() {
                case .end: break walk
                case .damage(let damage):
                    throw StoreFailure(.source, "", damage.detail).asFile(name)
                case .record(let record):
                    var problem: String?
                    cursor.withPayload(of: record) { payload in
                        checker.check(record, payload: payload) { problem = problem ?? $1 }
                    }
                    if let problem { throw StoreFailure(.source, "", problem).asFile(name) }
                    if record.entry.kind != .packet { kept += record.payloadBytes }
                }
            }
            keptBytes = kept
            count = checker.next.value - header.firstPosition.value
            lastHash = checker.lastHash
            guard cursor.offset == segment.bytes, checker.next == segment.end else {
                throw StoreFailure(.source, "", "the segment does not end where it should")
                    .asFile(name)
            }
        } catch {
            throw StoreFailure(
                .source, error.path, "nothing is archived of a damaged segment: \(error)")
        }
    }

    /// The file of entries, read from the segment whenever it is needed.
    func entries(segmentDigest: Digest) throws(StoreFailure) -> ObjectBody {
        let head = EntriesHeader(
            segment: header, segmentBytes: UInt64(segment.bytes), segmentDigest: segmentDigest,
            count: count, lastHash: lastHash
        ).bytes
        let stream = EntryStream(source, segment, header, head)
        let slots = Int(count) * EntriesFile.slotBytes
        return try ObjectBody(count: head.count + slots + keptBytes) {
            (bytes: inout [UInt8], offset: Int) throws(StoreFailure) in
            try stream.fill(&bytes, offset)
        }
    }
}

extension StoreFailure {
    fileprivate func asFile(_ path: String) -> FileFailure {
        FileFailure(.read, path, errorNumber: FileFailure.inputOutputNumber, detail)
    }
}

/// The bytes of a file of entries in order; from the front again if they are asked for again.
private final class EntryStream: Sendable {
    private let source: any LedgerSource
    private let segment: SourceState.Segment
    private let header: SegmentHeader
    private let head: [UInt8]
    private let state: Mutex<State>

    private struct State {
        /// Bytes that were not taken yet, and the offset of the first.
        var (rest, offset): ([UInt8], Int)
        /// Where the next record is in the segment.
        var place = SegmentHeader.byteCount
        /// Payloads of the entries that are no packets, which come last.
        var kept: [UInt8] = []
    }

    init(
        _ source: any LedgerSource, _ segment: SourceState.Segment, _ header: SegmentHeader,
        _ head: [UInt8]
    ) {
        (self.source, self.segment, self.header, self.head) = (source, segment, header, head)
        state = Mutex(State(rest: head, offset: 0))
    }

    func fill(_ bytes: inout [UInt8], _ offset: Int) throws(StoreFailure) -> Int {
        var now = state.withLock { $0 }
        if offset != now.offset { now = State(rest: head, offset: 0) }
        guard offset == now.offset else {
            throw StoreFailure(.source, "", "entries are read in order only")
        }
        do throws(FileFailure) { try extend(&now, to: bytes.count) } catch {
            throw StoreFailure(.source, error.path, "\(error)")
        }
        let count = min(bytes.count, now.rest.count)
        bytes.replaceSubrange(0..<count, with: now.rest.prefix(count))
        now.rest.removeFirst(count)
        now.offset += count
        state.withLock { $0 = now }
        return count
    }

    private func extend(_ now: inout State, to count: Int) throws(FileFailure) {
        guard now.rest.count < count, now.place < segment.bytes else { return }
        let file = RemoteFile(source, .segment(segment.first), bytes: segment.bytes)
        var cursor = try SegmentCursor(file, header: header, from: now.place)
        while now.rest.count < count {
            guard case .record(let record) = try cursor.next() else { break }
            now.rest += cursor.headBytes(of: record)
            if record.entry.kind != .packet {
                cursor.withPayload(of: record) { now.kept.append($0) }
            }
        }
        now.place = cursor.offset
        if now.place >= segment.bytes {
            now.rest += now.kept
            now.kept = []
        }
    }
}
