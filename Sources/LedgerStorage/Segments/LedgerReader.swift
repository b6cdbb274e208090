package import LedgerFormat
package import Platform

/// One entry with its payload, read back and checked.
package struct StoredRecord: Sendable {
    package var entry: Entry
    package var entryHash: Digest
    package var payload: [UInt8]

    package init(entry: Entry, entryHash: Digest, payload: [UInt8]) {
        (self.entry, self.entryHash, self.payload) = (entry, entryHash, payload)
    }
}

package enum ReadFailure: Error, Sendable, CustomStringConvertible {
    case file(FileFailure)
    /// The bytes read differ from the bytes written.
    case damaged(Finding)

    /// Whether the read would have had to wait for the disk.
    package var isWouldBlock: Bool {
        if case .file(let failure) = self { failure.isWouldBlock } else { false }
    }

    /// Whether it would have had to wait for the archive.
    package var isWouldFetch: Bool {
        if case .file(let failure) = self { failure.isWouldFetch } else { false }
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
    /// beyond the ledger. Any thread may call it.
    package func read(
        _ position: Position, _ access: ReadAccess = .fetching
    ) throws(ReadFailure) -> StoredRecord? {
        var reader = RecordReader(self, access)
        return try reader.read(position)
    }
}

extension LedgerMap {
    /// The entry at a position, without its payload; nil beyond the ledger.
    package func entry(
        _ position: Position, _ access: ReadAccess = .blocking
    ) throws(ReadFailure) -> Entry? {
        do throws(FileFailure) {
            guard let bytes = try entryBytes(position, access) else { return nil }
            guard let entry = try? Entry(bytes.span, at: 0) else {
                throw FileFailure(
                    .read, "position \(position)", errorNumber: FileFailure.inputOutputNumber)
            }
            return entry
        } catch { throw .file(error) }
    }

    /// The entry hash at a position, from the entry alone; nil beyond the ledger.
    package func entryHash(_ position: Position) throws(FileFailure) -> Digest? {
        guard let bytes = try entryBytes(position, .blocking) else { return nil }
        return Merkle.leaf(bytes.span)
    }

    /// The 160 bytes of an entry, checked against its frame's checksum; nil beyond the ledger.
    package func entryBytes(
        _ position: Position, _ access: ReadAccess
    ) throws(FileFailure) -> [UInt8]? {
        var slots = ReadWindow(firstBytes: IDsFile.slotBytes)
        let place: LedgerMap.RecordPlace
        do throws(ReadFailure) {
            guard let found = try record(at: position, &slots, access) else { return nil }
            place = found
        } catch {
            if case .file(let failure) = error { throw failure }
            throw FileFailure(
                .read, "position \(position)", errorNumber: FileFailure.inputOutputNumber)
        }
        var bytes = [UInt8](repeating: 0, count: RecordFrame.payloadOffset)
        let count = try place.file.read(into: &bytes, 0..<bytes.count, at: place.offset, access)
        guard count == bytes.count,
            RecordFrame.isIntact(bytes.span, at: 0, seed: place.header.seed)
        else {
            throw FileFailure(.read, place.file.path, errorNumber: FileFailure.inputOutputNumber)
        }
        return Array(bytes[RecordFrame.byteCount...])
    }
}
