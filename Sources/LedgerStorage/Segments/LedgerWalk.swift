package import LedgerFormat
internal import Platform

extension LedgerMap {
    /// Passes the synced entries from `start` on to `body`, likewise, but without their payloads: of
    /// archived segments nothing is fetched. Each entry comes with its hash.
    package func walkEntries(
        from start: Position, _ body: (Entry, Digest) -> Bool
    ) throws(ReadFailure) {
        var position = start
        var slots = ReadWindow(firstBytes: IDsFile.slotBytes)
        var goesOn = true
        while goesOn, let place = try record(at: position, &slots, .blocking) {
            if let archived = place.file as? ArchivedSegmentFile {
                do throws(FileFailure) {
                    position = try archived.entries.read(from: position) { entry, hash in
                        goesOn = body(entry, hash)
                        return goesOn
                    }
                } catch { throw .file(error) }
                continue
            }
            let end = extent(from: place.header.firstPosition)?.end
            try walk(from: position) { record, _ in
                goesOn = body(record.entry, record.entryHash)
                position = record.entry.position.next
                return goesOn && position != end
            }
        }
    }

    /// Passes the synced records from `start` on to `body` in ledger order, until `body` returns
    /// false or the ledger ends. Reads the segments from front to back. Any thread may call it.
    /// Does not check the chain or payload digests.
    package func walk(
        from start: Position, _ body: (SegmentCursor.Record, Span<UInt8>) -> Bool
    ) throws(ReadFailure) {
        var position = start
        var slots = ReadWindow(firstBytes: IDsFile.slotBytes)
        while let place = try record(at: position, &slots, .blocking) {
            let first = position
            do throws(FileFailure) {
                var cursor = try SegmentCursor(
                    place.file, header: place.header, from: place.offset)
                walk: while head.size.contains(position) {
                    switch try cursor.next() {
                    case .end, .damage: break walk
                    case .record(let record):
                        guard record.entry.position == position else { break walk }
                        guard cursor.withPayload(of: record, { body(record, $0) }) else { return }
                        position = position.next
                    }
                }
            } catch { throw .file(error) }
            if position == first { break }
        }
        guard !head.size.contains(position) else {
            throw .damaged(
                Finding(.recordDamaged, position: position, "the record cannot be read"))
        }
    }
}
