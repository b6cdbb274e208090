internal import LedgerFormat
package import Platform
internal import Synchronization

/// A segment that has left the disk, as the file that it was: frames and entries come from its file of
/// entries, payloads from the archive. A payload counts only if it has the hash that its entry says;
/// otherwise the next copy is asked.
package final class ArchivedSegmentFile: ReadOnlyFile {
    package let path: String
    package let entries: EntriesFile
    private let places: RecordPlaces
    /// Nil if nobody can ask the archive.
    private let archive: (any ArchivedBytes)?
    /// The payload that was read last: pieces of a file end within payloads.
    private let last = Mutex<(ordinal: Int, payload: [UInt8])?>(nil)

    init(
        _ path: String, _ entries: EntriesFile, _ ids: IDsFile.Reader?,
        _ archive: (any ArchivedBytes)?
    ) {
        (self.path, self.entries, self.archive) = (path, entries, archive)
        places = RecordPlaces(entries, ids)
    }

    private var first: Position { entries.header.segment.firstPosition }

    package func size() throws(FileFailure) -> Int { Int(entries.header.segmentBytes) }

    package func read(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int {
        try fill(&buffer, range, at: offset, .fetching) ?? 0
    }

    package func readCached(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int? {
        try fill(&buffer, range, at: offset, .cachedOnly)
    }

    package func readLocal(
        into buffer: inout [UInt8], _ range: Range<Int>, atLeast wanted: Int, at offset: Int
    ) throws(FileFailure) -> Int {
        let count = try fill(&buffer, range, atLeast: wanted, at: offset, .blocking) ?? 0
        guard count >= min(wanted, max(0, try size() - offset)) else { throw .wouldFetch(path) }
        return count
    }

    /// Fills what can be had with `access`, from the front. Nil if that is nothing. Whoever must not
    /// wait reads record by record, and gets no more than one: its neighbors would cost as much again.
    private func fill(
        _ buffer: inout [UInt8], _ range: Range<Int>, atLeast least: Int = 0, at offset: Int,
        _ access: ReadAccess
    ) throws(FileFailure) -> Int? {
        let wanted = range.prefix(max(0, try size() - offset))
        var done = 0
        func copy(_ bytes: some RandomAccessCollection<UInt8>, from start: Int) {
            let skipped = offset + done - start
            guard skipped < bytes.count else { return }
            let count = min(bytes.count - skipped, wanted.count - done)
            let at = wanted.startIndex + done
            buffer.replaceSubrange(
                at..<at + count, with: bytes.dropFirst(skipped).prefix(count))
            done += count
        }
        if offset < SegmentHeader.byteCount { copy(entries.header.segment.bytes, from: 0) }
        guard done < wanted.count else { return done }
        guard var record = try places.record(containing: offset + done, access) else {
            return done > 0 ? done : nil
        }
        while done < wanted.count, record.ordinal < entries.count {
            let ordinal = record.ordinal
            guard let head = try entries.heads(ordinal..<ordinal + 1, access),
                let payloadBytes = payloadBytes(head)
            else { return done > 0 ? done : nil }
            if offset + done < record.offset + head.count { copy(head, from: record.offset) }
            let payloadStart = record.offset + head.count
            let end = record.offset + RecordFrame.recordBytes(payloadBytes: payloadBytes)
            if done < wanted.count, offset + done < payloadStart + payloadBytes {
                guard let payload = try payload(ordinal, head, at: payloadStart, access) else {
                    return done > 0 ? done : nil
                }
                copy(payload, from: payloadStart)
            }
            if done < wanted.count, offset + done < end {
                let padding = end - payloadStart - payloadBytes
                copy([UInt8](repeating: 0, count: padding), from: payloadStart + payloadBytes)
            }
            if access != .fetching, done >= least { break }
            record = (ordinal + 1, end)
        }
        return done
    }

    private func payloadBytes(_ head: [UInt8]) -> Int? {
        guard head.count == EntriesFile.slotBytes else { return nil }
        return RecordFrame(head.span, at: 0).payloadBytes.flatMap {
            $0 <= StorageLimits.payloadBytesMax ? $0 : nil
        }
    }

    /// A payload with the hash that its entry says. Nil if it cannot be had with `access`.
    private func payload(
        _ ordinal: Int, _ head: [UInt8], at offset: Int, _ access: ReadAccess
    ) throws(FileFailure) -> [UInt8]? {
        if let known = last.withLock({ $0 }), known.ordinal == ordinal { return known.payload }
        guard let entry = try? Entry(head.span, at: RecordFrame.byteCount) else {
            throw FileFailure(.read, path, errorNumber: FileFailure.inputOutputNumber)
        }
        if entry.kind != .packet { return try entries.keptPayload(ordinal) }
        guard let archive else {
            throw .archiveUnreachable(path, "it is archived, and no archive process is configured")
        }
        let range = offset..<offset + Int(entry.payloadBytes)
        func damaged(_ detail: String) -> FileFailure {
            .archiveDamaged(
                path, "the payload of position \(entry.position), byte \(offset): \(detail)")
        }
        var (wasWrong, isLastRound) = (false, false)
        while true {
            let found: [UInt8]?
            do throws(FileFailure) { found = try archive.read(first, range, access) } catch {
                guard error.isArchiveDamaged else { throw error }
                // Copies may have been passed over for another payload's sake: once more, from the first.
                if !isLastRound {
                    isLastRound = true
                    continue
                }
                throw damaged(
                    wasWrong ? "no copy has the bytes that its entry names" : error.detail ?? "")
            }
            guard let bytes = found else { return nil }
            if Digest.sha256(bytes) == entry.payloadDigest {
                last.withLock { $0 = (ordinal, bytes) }
                return bytes
            }
            guard access == .fetching else {
                archive.distrust(first, range)
                return nil
            }
            wasWrong = true
            archive.distrust(first, range)
        }
    }
}

/// Where the records of an archived segment begin.
private final class RecordPlaces: Sendable {
    private let entries: EntriesFile
    private let ids: IDsFile.Reader?
    private static let slotsNear = 256
    /// Without a file of ids: read once from the entries.
    private let offsets = Mutex<[UInt32]?>(nil)

    init(_ entries: EntriesFile, _ ids: IDsFile.Reader?) {
        (self.entries, self.ids) = (entries, ids)
    }

    /// The record whose bytes include those at an offset. Nil if `access` does not allow to find out.
    func record(
        containing offset: Int, _ access: ReadAccess
    ) throws(FileFailure) -> (ordinal: Int, offset: Int)? {
        var window = ReadWindow(firstBytes: 2 * Self.slotsNear * IDsFile.slotBytes)
        var (low, high) = (0, entries.count)
        var found = SegmentHeader.byteCount
        // Records are of similar sizes, so the one is near its share of the file, and one read has all
        // offsets there.
        let share = Double(offset) / Double(entries.header.segmentBytes)
        let guess = min(Int(share * Double(entries.count)), entries.count - 1)
        let near = max(0, guess - Self.slotsNear)..<min(entries.count, guess + Self.slotsNear)
        guard let first = try start(of: near.lowerBound, &window, access),
            let last = try start(of: near.upperBound - 1, &window, access)
        else { return nil }
        if first <= offset { (low, found) = (near.lowerBound, first) }
        if last > offset { high = near.upperBound - 1 }
        while high - low > 1 {
            let middle = (low + high) / 2
            guard let start = try start(of: middle, &window, access) else { return nil }
            if start <= offset { (low, found) = (middle, start) } else { high = middle }
        }
        return (low, found)
    }

    private func start(
        of ordinal: Int, _ window: inout ReadWindow, _ access: ReadAccess
    ) throws(FileFailure) -> Int? {
        do throws(FileFailure) {
            if let slot = try ids?.slot(ordinal, &window, access), slot.isReadable {
                return Int(slot.offset)
            }
        } catch {
            if error.isWouldBlock { return nil }
            throw error
        }
        if access == .cachedOnly { return nil }
        if let known = offsets.withLock({ $0 }) { return Int(known[ordinal]) }
        let header = entries.header.segment
        let scan = try entries.follow(
            RecordChecker(next: header.firstPosition, lastHash: header.previous))
        guard scan.slots.count == entries.count else {
            throw FileFailure(
                .read, entries.path, errorNumber: FileFailure.inputOutputNumber,
                scan.problem?.detail)
        }
        let all = scan.slots.map(\.offset)
        offsets.withLock { $0 = all }
        return Int(all[ordinal])
    }
}
