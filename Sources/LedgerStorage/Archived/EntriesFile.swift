package import LedgerFormat
package import Platform

/// A segment without its payloads, as a file of its own: all of a segment that stays on the disk once
/// it is archived. `ledger-format.md`, section "Entries", describes the bytes.
package struct EntriesFile: Sendable {
    package let header: EntriesHeader
    private let file: any VolumeFile

    /// Frame and entry of a record.
    package static let slotBytes = RecordFrame.payloadOffset

    /// Nil if the file does not begin like one.
    package init?(_ file: any VolumeFile) throws(FileFailure) {
        var bytes = [UInt8](repeating: 0, count: EntriesHeader.byteCount)
        guard try file.read(into: &bytes, 0..<bytes.count, at: 0) == bytes.count,
            let header = EntriesHeader(bytes.span), header.count > 0,
            header.count < StorageLimits.entriesMax,
            header.segmentBytes <= StorageLimits.segmentBytesMax,
            try file.size() >= Self.offset(of: Int(header.count))
        else { return nil }
        (self.file, self.header) = (file, header)
    }

    /// SHA-256 of a whole file.
    package static func digest(of file: any VolumeFile) throws(FileFailure) -> Digest {
        var (hasher, offset) = (SHA256Hasher(), 0)
        var piece = [UInt8](repeating: 0, count: StorageLimits.readBytes)
        while true {
            let count = try file.read(into: &piece, 0..<piece.count, at: offset)
            if count == 0 { return hasher.finish() }
            hasher.update(piece.span.extracting(0..<count))
            offset += count
        }
    }

    package var path: String { file.path }
    package var count: Int { Int(header.count) }

    private static func offset(of ordinal: Int) -> Int {
        EntriesHeader.byteCount + ordinal * slotBytes
    }

    /// Frames and entries of records that follow each other; fewer if the file ends. Nil if `access`
    /// does not allow to wait for the disk.
    func heads(
        _ ordinals: Range<Int>, _ access: ReadAccess
    ) throws(FileFailure) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: ordinals.count * Self.slotBytes)
        let start = Self.offset(of: ordinals.lowerBound)
        guard access != .cachedOnly else {
            let found = try file.readCached(into: &bytes, 0..<bytes.count, at: start)
            return found == bytes.count ? bytes : nil
        }
        let found = try file.read(into: &bytes, 0..<bytes.count, at: start)
        return Array(bytes.prefix(found - found % Self.slotBytes))
    }

    /// The payload of an entry other than a packet: those are kept, because opening needs them.
    package func keptPayload(_ ordinal: Int) throws(FileFailure) -> [UInt8] {
        var place = Self.offset(of: count)
        var found: (place: Int, bytes: Int)?
        try eachHead { index, entry in
            if index == ordinal { found = (place, Int(entry.payloadBytes)) }
            if entry.kind != .packet { place += Int(entry.payloadBytes) }
            return index < ordinal
        }
        guard let found, found.bytes <= StorageLimits.payloadBytesMax else {
            throw FileFailure(.read, path, errorNumber: FileFailure.inputOutputNumber)
        }
        var bytes = [UInt8](repeating: 0, count: found.bytes)
        let count = try file.read(into: &bytes, 0..<bytes.count, at: found.place)
        return Array(bytes.prefix(count))
    }

    /// Passes every entry to `body`, until it returns false.
    private func eachHead(_ body: (Int, Entry) -> Bool) throws(FileFailure) {
        var ordinal = 0
        while ordinal < count {
            let step = min(1024, count - ordinal)
            guard let bytes = try heads(ordinal..<ordinal + step, .blocking), !bytes.isEmpty else {
                throw FileFailure(.read, path, errorNumber: FileFailure.inputOutputNumber)
            }
            for at in stride(from: 0, to: bytes.count, by: Self.slotBytes) {
                guard let entry = try? Entry(bytes.span, at: at + RecordFrame.byteCount) else {
                    throw FileFailure(.read, path, errorNumber: FileFailure.inputOutputNumber)
                }
                guard body(ordinal, entry) else { return }
                ordinal += 1
            }
        }
    }

    /// Passes the entries from a position on to `body` with their hashes, until it returns false.
    /// Returns the position after the last one.
    func read(
        from start: Position, _ body: (Entry, Digest) -> Bool
    ) throws(FileFailure) -> Position {
        let first = header.segment.firstPosition.value
        var ordinal = Int(start.value - first)
        while ordinal < count {
            let step = min(1024, count - ordinal)
            guard let bytes = try heads(ordinal..<ordinal + step, .blocking), !bytes.isEmpty else {
                throw FileFailure(.read, path, errorNumber: FileFailure.inputOutputNumber)
            }
            for at in stride(from: 0, to: bytes.count, by: Self.slotBytes) {
                let entryAt = at + RecordFrame.byteCount
                guard RecordFrame.isIntact(bytes.span, at: at, seed: header.segment.seed),
                    let entry = try? Entry(bytes.span, at: entryAt)
                else { throw FileFailure(.read, path, errorNumber: FileFailure.inputOutputNumber) }
                let hash = Merkle.leaf(
                    bytes.span.extracting(entryAt..<entryAt + Entry.byteCount))
                ordinal += 1
                guard body(entry, hash) else { return Position(first + UInt64(ordinal)) }
            }
        }
        return Position(first + UInt64(count))
    }

    /// Follows the chain through all entries, without their payloads. `checker` is the state before the
    /// first one. Returns the state after the last, where each record begins, and the first problem.
    package func follow(
        _ before: RecordChecker, _ take: (Entry, Digest) -> Void = { _, _ in }
    ) throws(FileFailure) -> EntriesScan {
        var scan = EntriesScan(checker: before)
        let seed = header.segment.seed
        var ordinal = 0
        while ordinal < count, scan.problem == nil {
            let step = min(1024, count - ordinal)
            guard let bytes = try heads(ordinal..<ordinal + step, .blocking), !bytes.isEmpty else {
                scan.problem = (.recordIncomplete, "the file ends too early")
                break
            }
            for at in stride(from: 0, to: bytes.count, by: Self.slotBytes) {
                guard scan.take(bytes.span, at: at, seed: seed, take) else { break }
                ordinal += 1
            }
        }
        scan.end(header)
        return scan
    }
}

/// What a look through a file of entries found.
package struct EntriesScan: Sendable {
    package internal(set) var checker: RecordChecker
    package internal(set) var problem: (code: Finding.Code, detail: String)?
    var slots: [IDsFile.Slot] = []
    private var offset = SegmentHeader.byteCount

    init(checker: RecordChecker) { self.checker = checker }

    /// False at a problem.
    fileprivate mutating func take(
        _ bytes: Span<UInt8>, at start: Int, seed: CRC32C, _ take: (Entry, Digest) -> Void
    ) -> Bool {
        let entryRange = start + RecordFrame.byteCount..<start + RecordFrame.payloadOffset
        guard RecordFrame.isIntact(bytes, at: start, seed: seed),
            let payloadBytes = RecordFrame(bytes, at: start).payloadBytes,
            payloadBytes <= StorageLimits.payloadBytesMax
        else {
            problem = (.recordDamaged, "the checksum of frame and entry does not match")
            return false
        }
        let entry: Entry
        do throws(Entry.DecodeError) {
            entry = try Entry(bytes, at: entryRange.lowerBound)
        } catch {
            problem = (Finding.Code(error), error.description)
            return false
        }
        let hash = Merkle.leaf(bytes.extracting(entryRange))
        var found: (Finding.Code, String)?
        _ = checker.follow(entry, hash, payloadBytes: payloadBytes) { found = found ?? ($0, $1) }
        if let found {
            problem = found
            return false
        }
        slots.append(
            IDsFile.Slot(
                stardustID: entry.stardustID, offset: UInt32(offset),
                isPacket: entry.kind == .packet))
        offset += RecordFrame.recordBytes(payloadBytes: payloadBytes)
        take(entry, hash)
        return true
    }

    fileprivate mutating func end(_ header: EntriesHeader) {
        guard problem == nil else { return }
        if checker.lastHash != header.lastHash || offset != Int(header.segmentBytes) {
            problem = (.chainBroken, "the entries do not end as the file's header says")
        }
    }
}
