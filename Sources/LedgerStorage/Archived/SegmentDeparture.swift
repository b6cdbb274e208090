internal import LedgerFormat
package import Platform

/// Removes sealed segments from the disk once they are archived, and brings them back. One at a time,
/// by one thread.
extension LedgerMap {
    /// Why a segment did not leave, or come back.
    package enum DepartureFailure: Error, Sendable, CustomStringConvertible {
        case file(FileFailure)
        /// The segment, or a copy of it, is not what it was when it was sealed.
        case different(String)

        package var description: String {
            switch self {
            case .file(let failure): failure.description
            case .different(let detail): detail
            }
        }
    }

    /// Reads a sealed segment's file and every copy of it, and if all have the same bytes, keeps its
    /// entries and removes the file. Both are durable on return. A crash leaves the segment, or the
    /// segment and its entries, of which the segment counts, or the entries alone. `read` returns bytes
    /// of a copy.
    package func leave(
        _ segment: SegmentExtent, copies: Int,
        _ read: (_ copy: Int, Range<Int>) throws(FileFailure) -> [UInt8]
    ) throws(DepartureFailure) {
        precondition(segment.isSealed && !segment.isArchived && copies > 0)
        let digest: Digest
        do throws(FileFailure) {
            let file = try volume.open(LedgerLayout.segment(segment.first), .read)
            digest = try EntriesFile.digest(of: file)
        } catch { throw .file(error) }
        for copy in 0..<copies {
            let found: Digest
            do throws(FileFailure) {
                found = try Self.digest(of: segment) { (range) throws(FileFailure) in
                    try read(copy, range)
                }
            } catch { throw .file(error) }
            guard found == digest else {
                throw .different(
                    "copy \(copy + 1) of the segment at position \(segment.first) has other bytes: "
                        + "run `stardust verify --archive`")
            }
        }
        try remove(segment, digest)
    }

    private static func digest(
        of segment: SegmentExtent, _ read: (Range<Int>) throws(FileFailure) -> [UInt8]
    ) throws(FileFailure) -> Digest {
        var (hasher, offset) = (SHA256Hasher(), 0)
        while offset < segment.bytes {
            let end = min(segment.bytes, offset + StorageLimits.copyPieceBytes)
            let bytes = try read(offset..<end)
            guard !bytes.isEmpty, bytes.count <= end - offset else { break }
            hasher.update(bytes.span)
            offset += bytes.count
        }
        return hasher.finish()
    }

    private func remove(_ segment: SegmentExtent, _ digest: Digest) throws(DepartureFailure) {
        let path = LedgerLayout.archived(segment.first)
        let beside = path + ".tmp"
        do throws(FileFailure) {
            if try !volume.list("").contains(LedgerLayout.archived) {
                try volume.makeFolder(LedgerLayout.archived)
                try volume.syncFolder("")
            }
            if try volume.list(LedgerLayout.archived).contains(beside.lastName) {
                try volume.remove(beside)
            }
        } catch { throw .file(error) }
        try writeEntries(of: segment, digest, to: beside)
        do throws(FileFailure) {
            try volume.rename(beside, to: path)
            try volume.syncFolder(LedgerLayout.archived)
            // From here on the entries are durable: without the segment, they are what is left of it.
            try volume.remove(LedgerLayout.segment(segment.first))
            note(segment, isArchived: true)
            try volume.syncFolder(LedgerLayout.segments)
        } catch { throw .file(error) }
    }

    /// Writes a segment's entries to a new file, and syncs it.
    private func writeEntries(
        of segment: SegmentExtent, _ digest: Digest, to path: String
    ) throws(DepartureFailure) {
        let name = LedgerLayout.segment(segment.first)
        let problem: String?
        do throws(FileFailure) {
            let source = try volume.open(name, .read)
            guard case .success(let header) = try SegmentCursor.open(source, name: name) else {
                throw FileFailure(.read, name, errorNumber: FileFailure.inputOutputNumber)
            }
            let file = try volume.open(path, .create())
            var writer = try EntriesWriter(file, header)
            problem = try writer.write(source, header)
            if problem == nil {
                try writer.finish(
                    EntriesHeader(
                        segment: header, segmentBytes: UInt64(segment.bytes),
                        segmentDigest: digest, count: writer.count, lastHash: writer.lastHash))
            }
        } catch { throw .file(error) }
        if let problem { throw .different("\(name): \(problem)") }
    }

    /// Brings an archived segment back. `read` returns bytes of a copy. Durable on return; a crash
    /// before it leaves the segment archived.
    package func bringBack(
        _ segment: SegmentExtent, _ read: (Range<Int>) throws(FileFailure) -> [UInt8]
    ) throws(DepartureFailure) {
        precondition(segment.isArchived)
        let path = LedgerLayout.segment(segment.first)
        let beside = path + ".tmp"
        do throws(FileFailure) {
            guard
                let entries = try EntriesFile(
                    try volume.open(LedgerLayout.archived(segment.first), .read))
            else {
                throw FileFailure(
                    .read, LedgerLayout.archived(segment.first),
                    errorNumber: FileFailure.inputOutputNumber)
            }
            if try volume.list(LedgerLayout.segments).contains(beside.lastName) {
                try volume.remove(beside)
            }
            let file = try volume.open(beside, .create())
            var (hasher, offset) = (SHA256Hasher(), 0)
            while offset < segment.bytes {
                let end = min(segment.bytes, offset + StorageLimits.copyPieceBytes)
                let bytes = try read(offset..<end)
                guard !bytes.isEmpty, bytes.count <= end - offset else { break }
                hasher.update(bytes.span)
                try file.write(bytes.span, at: offset)
                offset += bytes.count
            }
            guard hasher.finish() == entries.header.segmentDigest else {
                try volume.remove(beside)
                throw .archiveDamaged(path, "the copy is not the segment that left")
            }
            try file.sync()
            try volume.renameNew(beside, to: path)
            try volume.syncFolder(LedgerLayout.segments)
            note(segment, isArchived: false)
            try volume.remove(LedgerLayout.archived(segment.first))
            try volume.syncFolder(LedgerLayout.archived)
        } catch { throw .file(error) }
    }

    private func note(_ segment: SegmentExtent, isArchived: Bool) {
        update { state in
            for index in state.sealed.indices
            where state.sealed[index].header.firstPosition == segment.first {
                state.sealed[index].isArchived = isArchived
            }
        }
        sealedFiles.forget(first: segment.first)
    }
}

/// Writes a file of entries from front to back; its header comes last.
private struct EntriesWriter: ~Copyable {
    private let file: any VolumeFile
    private var place = EntriesHeader.byteCount
    private var buffer: [UInt8] = []
    /// Payloads of the entries that are no packets.
    private var kept: [UInt8] = []
    private var checker: RecordChecker
    private let first: Position

    var count: UInt64 { checker.next.value - first.value }
    var lastHash: Digest { checker.lastHash }

    init(_ file: any VolumeFile, _ header: SegmentHeader) throws(FileFailure) {
        self.file = file
        first = header.firstPosition
        checker = RecordChecker(next: header.firstPosition, lastHash: header.previous)
    }

    /// Writes all records of a segment. Returns what is wrong with it; nil if nothing is.
    mutating func write(
        _ source: any VolumeFile, _ header: SegmentHeader
    ) throws(FileFailure) -> String? {
        var cursor = try SegmentCursor(source, header: header)
        while true {
            switch try cursor.next() {
            case .end: return nil
            case .damage(let damage): return damage.detail
            case .record(let record):
                var problem: String?
                cursor.withPayload(of: record) { payload in
                    checker.check(record, payload: payload) { problem = problem ?? $1 }
                    if record.entry.kind != .packet { kept.append(payload) }
                }
                if let problem { return problem }
                buffer += cursor.headBytes(of: record)
                if buffer.count >= 1 << 20 { try flush() }
            }
        }
    }

    private mutating func flush() throws(FileFailure) {
        try file.write(buffer.span, at: place)
        place += buffer.count
        buffer.removeAll(keepingCapacity: true)
    }

    mutating func finish(_ header: EntriesHeader) throws(FileFailure) {
        try flush()
        try file.write(kept.span, at: place)
        try file.write(header.bytes.span, at: 0)
        try file.sync()
    }
}
