package import LedgerFormat
internal import LedgerStorage
package import ObjectStore
internal import Platform

/// What a writer took after another machine had taken over its ledger. Nothing of it counts, and none
/// of it is lost: its parts are copied to where no rule of a store removes them.
package struct SupersededParts {
    private let store: any ObjectStore
    private let layout: ArchiveLayout
    private let epoch: UInt64
    /// Where the epoch ended.
    private let end: Position
    private let patience: Patience

    package init(
        _ store: any ObjectStore, _ layout: ArchiveLayout, epoch: UInt64, end: Position,
        _ patience: Patience
    ) {
        (self.store, self.layout, self.epoch, self.end) = (store, layout, epoch, end)
        self.patience = patience
    }

    // MARK: Copying

    /// Copies every part that may have entries beyond the epoch's end, once.
    package func copy() throws(ArchiveFailure) {
        let target = layout.parts(.superseded, epoch)
        do throws(StoreFailure) {
            let there = Set(try store.list(target, patience).map(\.key))
            for part in try parts(.open) {
                let key = target + part.key.dropFirst(layout.parts(.open, epoch).count)
                guard !there.contains(key) else { continue }
                let (store, patience) = (store, patience)
                let body = try ObjectBody(count: part.objectBytes) {
                    (bytes: inout [UInt8], offset: Int) throws(StoreFailure) in
                    let range = offset..<min(offset + bytes.count, part.objectBytes)
                    var done = 0
                    try store.get(part.key, range, version: nil, patience) { piece in
                        for index in piece.indices { bytes[done + index] = piece[index] }
                        done += piece.count
                    }
                    return done
                }
                _ = try store.put(key, body, patience)
            }
        } catch { throw .store(error) }
    }

    /// The parts of an area from the one on that has the epoch's end, in order.
    private func parts(
        _ area: ArchiveLayout.PartArea
    ) throws(StoreFailure) -> [ArchivedParts.Part] {
        let objects = try store.list(layout.parts(area, epoch), patience)
        let all = ArchivedParts(objects, layout, epoch, in: area)
        var found: [ArchivedParts.Part] = []
        for first in all.firsts.sorted(by: >) {
            for part in all.all(first).sorted(by: { $0.offset > $1.offset }) {
                found.append(part)
                if let position = try firstPosition(of: part), position <= end {
                    return found.reversed()
                }
            }
        }
        return found.reversed()
    }

    /// The position of a part's first entry; nil if it has none.
    private func firstPosition(of part: ArchivedParts.Part) throws(StoreFailure) -> Position? {
        if part.offset == 0 { return part.first }
        let head = try bytes(
            part, 0..<min(part.objectBytes, ArchivePart.lineBytesMax + RecordFrame.payloadOffset))
        guard let line = ArchivePart(head) else { throw damaged(part, "it is not a part") }
        let start = line.line.count + RecordFrame.byteCount
        guard line.bytes > 0, head.count >= start + Entry.byteCount else { return nil }
        guard let entry = try? Entry(head.span, at: start) else {
            throw damaged(part, "it does not begin with a record")
        }
        return entry.position
    }

    private func damaged(_ part: ArchivedParts.Part, _ detail: String) -> StoreFailure {
        StoreFailure(.damaged, "\(store.name)/\(part.key)", detail)
    }

    private func bytes(
        _ part: ArchivedParts.Part, _ range: Range<Int>
    ) throws(StoreFailure) -> [UInt8] {
        var bytes: [UInt8] = []
        try store.get(part.key, range, version: nil, patience) { bytes.append($0) }
        return bytes
    }

    // MARK: Reading

    /// Passes each entry from a position on to `take`, with its payload, in order, and moves the
    /// position on. Copies count before what was copied.
    package func read(
        from next: inout Position, _ take: (Entry, [UInt8]) throws(ArchiveFailure) -> Void
    ) throws(ArchiveFailure) {
        var parts: [ArchivedParts.Part] = []
        do throws(StoreFailure) {
            let copies = try self.parts(.superseded)
            let known = Set(copies.map { "\($0.first) \($0.offset) \($0.checkpointOffset)" })
            parts = copies
            parts += try self.parts(.open).filter {
                !known.contains("\($0.first) \($0.offset) \($0.checkpointOffset)")
            }
        } catch { throw .store(error) }
        let sealed = try self.sealed()
        // What is wrong, as long as nothing behind it shows that all of it was there already.
        var failure: ArchiveFailure?
        for first in Set(parts.map(\.first)).union(sealed.keys).sorted() {
            if first <= next { failure = nil }
            // What left the old machine's disk is whole in a segment, and need not be in parts.
            if let mark = sealed[first], mark.end > next, try read(mark, from: &next, take) {
                continue
            }
            for part in parts.filter({ $0.first == first }).sorted(by: { $0.offset < $1.offset }) {
                do throws(ArchiveFailure) {
                    let before = next
                    guard let begin = try read(part, from: &next, take) else { continue }
                    if begin <= before { failure = nil }
                } catch {
                    guard case .store = error else { throw error }
                    failure = failure ?? error
                }
            }
            if let mark = sealed[first], mark.end > next {
                failure =
                    failure
                    ?? .store(
                        StoreFailure(
                            .damaged, "\(store.name)/\(layout.segment(first, epoch, .segment))",
                            "the object is not what was sealed, or does not go on from position "
                                + "\(next)"))
            }
        }
        if let failure { throw failure }
    }

    /// Returns the position of the part's first entry; nil if it has none.
    private func read(
        _ part: ArchivedParts.Part, from next: inout Position,
        _ take: (Entry, [UInt8]) throws(ArchiveFailure) -> Void
    ) throws(ArchiveFailure) -> Position? {
        let content: [UInt8]
        do throws(StoreFailure) { content = try bytes(part, 0..<part.objectBytes) } catch {
            throw .store(error)
        }
        let records = try records(of: part, content)
        for (entry, payload) in records where entry.position >= next {
            guard entry.position == next else {
                throw .store(damaged(part, "the part before it is missing: position \(next)"))
            }
            try take(entry, payload)
            next = entry.position.next
        }
        return records.first?.0.position
    }

    /// The epoch's sealed segments that end beyond it.
    private func sealed() throws(ArchiveFailure) -> [Position: SealedMark] {
        var found: [Position: SealedMark] = [:]
        do throws(StoreFailure) {
            for object in try store.list(layout.segments, patience) {
                guard case .segment(let first, epoch, .mark) = layout.name(of: object.key),
                    let mark = SealedMark(
                        fileContent: try store.bytes(
                            of: object.key, atMost: SealedMark.bytesMax, patience)),
                    mark.first == first, mark.end > end
                else { continue }
                found[first] = mark
            }
        } catch { throw .store(error) }
        return found
    }

    /// Passes a sealed segment's entries on likewise. False if the segment is not what was sealed, or
    /// does not go on where the one before ended: then its parts may.
    private func read(
        _ mark: SealedMark, from next: inout Position,
        _ take: (Entry, [UInt8]) throws(ArchiveFailure) -> Void
    ) throws(ArchiveFailure) -> Bool {
        let (store, patience) = (store, patience)
        let key = layout.segment(mark.first, epoch, .segment)
        let file = RemoteFile(key, bytes: mark.bytes) { (offset, count) throws(StoreFailure) in
            var bytes: [UInt8] = []
            try store.get(key, offset..<offset + count, version: nil, patience) {
                bytes.append($0)
            }
            return bytes
        }
        var failure: ArchiveFailure?
        do throws(FileFailure) {
            guard case .success(let header) = try SegmentCursor.open(file, name: key) else {
                return false
            }
            var cursor = try SegmentCursor(file, header: header)
            while failure == nil, case .record(let record) = try cursor.next() {
                guard record.entry.position >= next else { continue }
                var payload: [UInt8] = []
                cursor.withPayload(of: record) { payload.append($0) }
                guard record.entry.position == next,
                    Digest.sha256(payload) == record.entry.payloadDigest
                else { return false }
                do throws(ArchiveFailure) { try take(record.entry, payload) } catch {
                    failure = error
                    break
                }
                next = next.next
            }
        } catch {
            return false
        }
        if let failure { throw failure }
        return next == mark.end
    }

    /// The position after a part's last entry; nil if it has none.
    func end(of part: ArchivedParts.Part) throws(ArchiveFailure) -> Position? {
        let content: [UInt8]
        do throws(StoreFailure) { content = try bytes(part, 0..<part.objectBytes) } catch {
            throw .store(error)
        }
        return try records(of: part, content).last?.0.position.next
    }

    /// The records of a part, each checked against its entry's digest.
    private func records(
        of part: ArchivedParts.Part, _ content: [UInt8]
    ) throws(ArchiveFailure) -> [(Entry, [UInt8])] {
        guard let line = ArchivePart(content), line.objectBytes == content.count else {
            throw .store(damaged(part, "it is not a part"))
        }
        var found: [(Entry, [UInt8])] = []
        var offset = line.line.count + (part.offset == 0 ? SegmentHeader.byteCount : 0)
        let end = line.line.count + line.bytes
        while offset + RecordFrame.payloadOffset <= end {
            let frame = RecordFrame(content.span, at: offset)
            let start = offset + RecordFrame.payloadOffset
            guard let count = frame.payloadBytes, start + count <= end,
                let entry = try? Entry(content.span, at: offset + RecordFrame.byteCount),
                Digest.sha256(content.span.extracting(start..<start + count))
                    == entry.payloadDigest
            else { throw .store(damaged(part, "byte \(offset) does not begin a record")) }
            found.append((entry, Array(content[start..<start + count])))
            offset += RecordFrame.recordBytes(payloadBytes: count)
        }
        return found
    }
}
