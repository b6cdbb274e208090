package import LedgerFormat
package import Platform

/// Reads the entries and payloads that one query needs, one after the other, and checks each
/// against its digests. Used by one thread.
package struct RecordReader: ~Copyable {
    private let map: LedgerMap
    private let access: ReadAccess
    private var slots = ReadWindow(firstBytes: 32 * IDsFile.slotBytes)
    /// The first read contains most packets of the workload.
    private var records = ReadWindow(firstBytes: 4096)

    package init(_ map: LedgerMap, _ access: ReadAccess = .fetching) {
        (self.map, self.access) = (map, access)
    }

    /// The position of an id, for a later `read`; nil if the ledger does not have it.
    package mutating func position(of id: UUID128) throws(FileFailure) -> Position? {
        try map.position(of: id, &slots, access)
    }

    /// Nil beyond the ledger.
    package mutating func read(_ position: Position) throws(ReadFailure) -> StoredRecord? {
        do throws(ReadFailure) {
            guard let place = try map.record(at: position, &slots, access) else { return nil }
            return try checked(position, place)
        } catch {
            if case .damaged(let finding) = error { map.note(finding) }
            throw error
        }
    }

    private mutating func checked(
        _ position: Position, _ place: LedgerMap.RecordPlace
    ) throws(ReadFailure) -> StoredRecord {
        while true {
            var isFresh = true
            let result: Result<StoredRecord, ReadFailure>
            do throws(FileFailure) { result = try record(position, place, &isFresh) } catch {
                throw .file(error)
            }
            // The open segment may have grown since the window was read.
            if case .failure = result, !isFresh {
                records.forget()
            } else {
                return try result.get()
            }
        }
    }

    private mutating func record(
        _ position: Position, _ place: LedgerMap.RecordPlace, _ isFresh: inout Bool
    ) throws(FileFailure) -> Result<StoredRecord, ReadFailure> {
        func damaged(_ code: Finding.Code, _ detail: String) -> Result<StoredRecord, ReadFailure> {
            let path = LedgerLayout.segment(place.header.firstPosition)
            let offset = ByteOffset(place.offset)
            return .failure(
                .damaged(Finding(code, file: path, position: position, offset: offset, detail)))
        }
        let head = try records.find(
            RecordFrame.payloadOffset, of: place.file, at: place.offset, access)
        isFresh = head.isFresh
        guard head.count >= RecordFrame.payloadOffset,
            RecordFrame.isIntact(records.bytes.span, at: head.index, seed: place.header.seed),
            let payloadBytes = RecordFrame(records.bytes.span, at: head.index).payloadBytes,
            payloadBytes <= StorageLimits.payloadBytesMax
        else { return damaged(.recordDamaged, "the checksum of frame and entry does not match") }
        let byteCount = RecordFrame.payloadOffset + payloadBytes
        let (start, count, _) = try records.find(
            byteCount, of: place.file, at: place.offset, access)
        guard count >= byteCount else {
            return damaged(.recordIncomplete, "the file ends too early")
        }
        let bytes = records.bytes.span.extracting(start..<start + byteCount)
        let entryRange = RecordFrame.byteCount..<RecordFrame.payloadOffset
        let entry: Entry
        do throws(Entry.DecodeError) { entry = try Entry(bytes, at: entryRange.lowerBound) } catch {
            return damaged(Finding.Code(error), error.description)
        }
        guard entry.position == position else {
            return damaged(.positionMismatch, "the entry says position \(entry.position)")
        }
        guard entry.stardustID == place.stardustID else {
            return damaged(.idsDisagree, "the ids file names \(place.stardustID) here")
        }
        let payload = bytes.extracting(RecordFrame.payloadOffset..<byteCount)
        guard Digest.sha256(payload) == entry.payloadDigest else {
            return damaged(.payloadDigestMismatch, "the payload does not match its entry")
        }
        return .success(
            StoredRecord(
                entry: entry, entryHash: Merkle.leaf(bytes.extracting(entryRange)),
                payload: Array(payload)))
    }
}
