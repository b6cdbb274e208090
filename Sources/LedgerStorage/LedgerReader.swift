package import LedgerFormat

/// One entry with its payload, read back and checked.
package struct StoredRecord: Sendable {
    package var entry: Entry
    package var entryHash: Digest
    package var entryBytes: [UInt8]
    package var payload: [UInt8]
}

package enum ReadFailure: Error, Sendable, CustomStringConvertible {
    case file(FileFailure)
    /// What was read is not what was written.
    case damaged(Finding)

    /// Whether a reader that must not wait would have to.
    package var isWouldBlock: Bool {
        if case .file(let failure) = self { failure.isWouldBlock } else { false }
    }

    package var description: String {
        switch self {
        case .file(let failure): failure.description
        case .damaged(let finding): finding.description
        }
    }
}

extension LedgerMap {
    /// Reads the entry at a position and its payload, and checks both against their digests. Nil
    /// beyond the ledger. Any thread.
    package func read(
        _ position: Position, _ access: ReadAccess = .blocking
    ) throws(ReadFailure) -> StoredRecord? {
        let result: Result<StoredRecord, ReadFailure>
        do throws(FileFailure) {
            guard let (file, header, offset) = try record(at: position, access) else { return nil }
            result = try checked(position, file, header, offset, access)
        } catch { throw .file(error) }
        return try result.get()
    }

    private func checked(
        _ position: Position, _ file: any VolumeFile, _ header: SegmentHeader, _ offset: Int,
        _ access: ReadAccess
    ) throws(FileFailure) -> Result<StoredRecord, ReadFailure> {
        func damaged(_ code: Finding.Code, _ detail: String) -> Result<StoredRecord, ReadFailure> {
            .failure(
                .damaged(
                    Finding(
                        code, file: LedgerLayout.segment(header.firstPosition), position: position,
                        offset: ByteOffset(offset), detail)))
        }
        // Most packets of the workload come with the first read.
        var bytes = [UInt8](repeating: 0, count: 4096)
        var count = try file.read(into: &bytes, 0..<bytes.count, at: offset, access)
        guard count >= RecordFrame.payloadOffset,
            RecordFrame.isIntact(bytes.span, at: 0, seed: header.seed),
            let payloadBytes = RecordFrame(bytes.span, at: 0).payloadBytes,
            payloadBytes <= StorageLimits.payloadBytesMax
        else { return damaged(.recordDamaged, "the checksum of frame and entry does not hold") }
        let end = RecordFrame.payloadOffset + payloadBytes
        if end > count {
            bytes += [UInt8](repeating: 0, count: max(0, end - bytes.count))
            count += try file.read(into: &bytes, count..<end, at: offset + count, access)
        }
        guard count >= end else { return damaged(.recordIncomplete, "the file ends too early") }
        let entryRange = RecordFrame.byteCount..<RecordFrame.payloadOffset
        let entry: Entry
        do throws(Entry.DecodeError) {
            entry = try Entry(bytes.span, at: entryRange.lowerBound)
        } catch { return damaged(.entryVersion, error.description) }
        guard entry.position == position else {
            return damaged(.positionMismatch, "the entry says position \(entry.position)")
        }
        let payload = Array(bytes[RecordFrame.payloadOffset..<end])
        guard Digest.sha256(payload) == entry.payloadDigest else {
            return damaged(.payloadDigestMismatch, "the payload is not what its entry says")
        }
        return .success(
            StoredRecord(
                entry: entry, entryHash: Merkle.leaf(bytes.span.extracting(entryRange)),
                entryBytes: Array(bytes[entryRange]), payload: payload))
    }
}

extension LedgerMap {
    /// The entry hash at a position, from the entry alone; nil beyond the ledger.
    package func entryHash(_ position: Position) throws(FileFailure) -> Digest? {
        guard let bytes = try entryBytes(position, .blocking) else { return nil }
        return Merkle.leaf(bytes.span)
    }

    /// The 160 bytes of an entry, guarded by its frame's checksum; nil beyond the ledger.
    package func entryBytes(
        _ position: Position, _ access: ReadAccess
    ) throws(FileFailure) -> [UInt8]? {
        guard let (file, header, offset) = try record(at: position, access) else { return nil }
        var bytes = [UInt8](repeating: 0, count: RecordFrame.payloadOffset)
        let count = try file.read(into: &bytes, 0..<bytes.count, at: offset, access)
        guard count == bytes.count, RecordFrame.isIntact(bytes.span, at: 0, seed: header.seed)
        else {
            throw FileFailure(.read, file.path, errorNumber: FileFailure.inputOutputNumber)
        }
        return Array(bytes[RecordFrame.byteCount...])
    }
}
