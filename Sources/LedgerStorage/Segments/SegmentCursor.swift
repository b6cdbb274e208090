package import LedgerFormat
package import Platform

/// Walks the records of one segment from the front, a piece of the file at a time.
///
/// It checks what concerns a record alone: frame, checksum, padding, format. `RecordChecker` checks
/// that records follow each other. Memory: one read, or one record if that is longer.
package struct SegmentCursor: ~Copyable {
    package let file: any VolumeFile
    /// Size of the file when the cursor was made.
    package let fileBytes: Int
    /// Where the next record begins, or the record of the last step if that was damaged.
    package private(set) var offset: Int

    private let seed: CRC32C
    private var buffer: [UInt8]
    /// Offset in the file of the buffer's first byte.
    private var bufferStart = 0
    private var bufferCount = 0
    /// Nil if the cursor began within a segment and does not yet know where a batch begins.
    private var lastBatchStart: ByteOffset?

    /// An intact record. `withPayload` and `headBytes` return its bytes until the next step.
    package struct Record: Sendable {
        package var offset: Int
        package var frame: RecordFrame
        package var entry: Entry
        package var entryHash: Digest
        package var payloadBytes: Int
    }

    package enum Step: Sendable {
        case record(Record)
        /// Zeros or nothing from here to the end of the file.
        case end
        /// No record can be read at `offset`.
        case damage(Damage)
    }

    /// Why the bytes at a place are not a record.
    package struct Damage: Hashable, Sendable {
        /// One of those for a record.
        package var code: Finding.Code
        package var detail: String
        /// The frame's checksum holds: a program wrote this on purpose, so no crash explains it.
        package var isWritten: Bool
    }

    /// Reads the header; the finding says why the file is not a segment.
    package static func open(
        _ file: any VolumeFile, name: String
    ) throws(FileFailure) -> Result<SegmentHeader, Finding> {
        var bytes = [UInt8](repeating: 0, count: SegmentHeader.byteCount)
        let count = try file.read(into: &bytes, 0..<bytes.count, at: 0)
        guard count == bytes.count else {
            return .failure(
                Finding(
                    .segmentHeaderDamaged, file: name, offset: ByteOffset(0),
                    "the file ends within its header, after \(count) bytes"))
        }
        let header: SegmentHeader
        do throws(SegmentHeader.DecodeError) { header = try SegmentHeader(bytes.span) } catch {
            let code: Finding.Code =
                if case .formatVersion = error { .segmentVersion } else { .segmentHeaderDamaged }
            return .failure(
                Finding(code, file: name, offset: ByteOffset(0), error.description))
        }
        guard header.firstPosition.value < StorageLimits.entriesMax,
            try file.size() <= StorageLimits.segmentBytesMax
        else {
            return .failure(
                Finding(
                    .segmentHeaderDamaged, file: name, offset: ByteOffset(0),
                    "no ledger has so many entries, or so large a segment"))
        }
        return .success(header)
    }

    /// Starts at the record that begins at `start`, by default the first.
    package init(
        _ file: any VolumeFile, header: SegmentHeader, from start: Int = SegmentHeader.byteCount
    ) throws(FileFailure) {
        self.file = file
        fileBytes = try file.size()
        offset = start
        lastBatchStart = start == SegmentHeader.byteCount ? ByteOffset(start) : nil
        seed = header.seed
        buffer = [UInt8](repeating: 0, count: StorageLimits.readBytes)
    }

    /// Reads the record at `offset` and steps over it. Does not step over damage.
    package mutating func next() throws(FileFailure) -> Step {
        let headBytes = RecordFrame.payloadOffset
        guard try load(headBytes) else {
            return try isZeroToEnd()
                ? .end
                : damage(.recordIncomplete, "the file ends within a frame")
        }
        let at = offset - bufferStart
        let frame = RecordFrame(buffer.span, at: at)
        if frame.length == 0, try isZeroToEnd() { return .end }
        let isIntact = RecordFrame.isIntact(buffer.span, at: at, seed: seed)
        guard let payloadBytes = frame.payloadBytes,
            payloadBytes <= StorageLimits.payloadBytesMax
        else {
            return damage(
                .recordTooLong, "the frame claims a length of \(frame.length) bytes",
                isWritten: isIntact)
        }
        guard isIntact else {
            return damage(.recordDamaged, "the checksum of frame and entry does not match")
        }
        let here = ByteOffset(offset)
        let before = lastBatchStart ?? min(frame.batchStart, here)
        guard frame.batchStart == here || frame.batchStart == before else {
            return damage(
                .batchStartWrong,
                "the frame says that its batch began at byte \(frame.batchStart), "
                    + "but the previous one says byte \(before)", isWritten: true)
        }
        let recordBytes = RecordFrame.recordBytes(payloadBytes: payloadBytes)
        guard try load(recordBytes) else {
            return damage(.recordIncomplete, "the file ends within the payload")
        }
        return try finish(frame, payloadBytes: payloadBytes, recordBytes: recordBytes)
    }

    /// With the whole record in the buffer, checks what its checksum does not cover and decodes its
    /// entry.
    private mutating func finish(
        _ frame: RecordFrame, payloadBytes: Int, recordBytes: Int
    ) throws(FileFailure) -> Step {
        let at = offset - bufferStart
        let entryRange = at + RecordFrame.byteCount..<at + RecordFrame.payloadOffset
        let entry: Entry
        do throws(Entry.DecodeError) {
            entry = try Entry(buffer.span, at: entryRange.lowerBound)
        } catch {
            return damage(Finding.Code(error), error.description, isWritten: true)
        }
        guard [.packet, .keyRotation, .epoch].contains(entry.kind) else {
            return damage(
                .entryKindUnknown,
                "cannot judge: this program does not know kind \(entry.kind.rawValue)",
                isWritten: true)
        }
        // Last, because the checksum does not cover it: a crash may leave it, but not the rest.
        let padding = at + RecordFrame.payloadOffset + payloadBytes..<at + recordBytes
        guard padding.allSatisfy({ buffer[$0] == 0 }) else {
            return damage(.paddingNotZero, "the bytes after the payload are not zero")
        }
        let record = Record(
            offset: offset, frame: frame, entry: entry,
            entryHash: Merkle.leaf(buffer.span.extracting(entryRange)), payloadBytes: payloadBytes)
        lastBatchStart = frame.batchStart
        offset += recordBytes
        return .record(record)
    }

    private func damage(
        _ code: Finding.Code, _ detail: String, isWritten: Bool = false
    ) -> Step {
        .damage(Damage(code: code, detail: detail, isWritten: isWritten))
    }

    /// Passes the payload of the last step's record to `body`.
    package borrowing func withPayload<Answer>(
        of record: Record, _ body: (Span<UInt8>) -> Answer
    ) -> Answer {
        let start = record.offset - bufferStart + RecordFrame.payloadOffset
        return body(buffer.span.extracting(start..<start + record.payloadBytes))
    }

    /// The bytes of the last step's frame and entry.
    package borrowing func headBytes(of record: Record) -> ArraySlice<UInt8> {
        let start = record.offset - bufferStart
        return buffer[start..<start + RecordFrame.payloadOffset]
    }

    // MARK: After damage

    /// Moves to the next intact frame after the damage at `offset`. If there is none, returns false
    /// and leaves `offset` unchanged.
    package mutating func skipDamage() throws(FileFailure) -> Bool {
        let damage = offset
        offset += RecordFrame.alignment
        while try load(RecordFrame.payloadOffset) {
            if isPlausibleFrame(at: offset - bufferStart) {
                lastBatchStart = RecordFrame(buffer.span, at: offset - bufferStart).batchStart
                return true
            }
            offset += RecordFrame.alignment
        }
        offset = damage
        return false
    }

    /// Where the batch of the frame at `offset` began, after `skipDamage` has found one.
    package var batchStartHere: ByteOffset { lastBatchStart ?? ByteOffset(offset) }

    private func isPlausibleFrame(at place: Int) -> Bool {
        let frame = RecordFrame(buffer.span, at: place)
        guard let payloadBytes = frame.payloadBytes,
            payloadBytes <= StorageLimits.payloadBytesMax,
            frame.batchStart.bytes <= UInt64(offset)
        else { return false }
        return RecordFrame.isIntact(buffer.span, at: place, seed: seed)
    }

    /// Where the last nonzero byte from `offset` on ends; `offset` if all are zero.
    package mutating func endOfContent() throws(FileFailure) -> Int {
        var (place, end) = (offset, offset)
        var chunk = [UInt8](repeating: 0, count: StorageLimits.readBytes)
        while place < fileBytes {
            let count = try file.read(into: &chunk, 0..<chunk.count, at: place)
            if count == 0 { break }
            end = max(end, place + Self.contentEnd(chunk.span.extracting(0..<count), end - place))
            place += count
        }
        return end
    }

    /// Where the last nonzero byte ends; `none` if all are zero.
    private static func contentEnd(_ bytes: Span<UInt8>, _ none: Int) -> Int {
        var end = bytes.count
        while end >= 8, bytes.littleEndian(UInt64.self, at: end - 8) == 0 { end -= 8 }
        while end > 0, bytes[end - 1] == 0 { end -= 1 }
        return end > 0 ? end : none
    }

    private mutating func isZeroToEnd() throws(FileFailure) -> Bool {
        try endOfContent() == offset
    }

    // MARK: Reading

    /// Loads `count` bytes from `offset` on into the buffer; false if the file has fewer.
    private mutating func load(_ count: Int) throws(FileFailure) -> Bool {
        if offset + count <= bufferStart + bufferCount { return true }
        guard offset + count <= fileBytes else { return false }
        let kept = max(0, bufferStart + bufferCount - offset)
        if kept > 0 {
            let from = offset - bufferStart
            buffer.replaceSubrange(0..<kept, with: Array(buffer[from..<from + kept]))
        }
        bufferStart = offset
        if buffer.count < count { buffer += [UInt8](repeating: 0, count: count - buffer.count) }
        let wanted = min(buffer.count, fileBytes - offset)
        bufferCount =
            kept + (try file.read(into: &buffer, kept..<wanted, at: offset + kept))
        return bufferCount >= count
    }
}
