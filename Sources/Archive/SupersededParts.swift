package import LedgerFormat
internal import LedgerStorage
package import ObjectStore

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
        parts.sort { ($0.first, $0.offset) < ($1.first, $1.offset) }
        for part in parts {
            let content: [UInt8]
            do throws(StoreFailure) {
                content = try bytes(part, 0..<part.objectBytes)
            } catch { throw .store(error) }
            for (entry, payload) in try records(of: part, content) where entry.position >= next {
                guard entry.position == next else {
                    throw .store(damaged(part, "the part before it is missing: position \(next)"))
                }
                try take(entry, payload)
                next = entry.position.next
            }
        }
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
