package import LedgerFormat
package import Platform

/// Walks the records of `checkpoints`. A record is a line with the note's length and CRC-32C, then
/// the note.
package struct CheckpointCursor {
    private let file: any VolumeFile
    private let fileBytes: Int
    private var buffer: [UInt8] = []
    /// Offset in the file of the buffer's first byte.
    private var bufferStart: Int
    /// Where the next record begins, or the one that could not be read.
    package private(set) var offset: Int

    private static let firstWord = "stardust-checkpoint/1 "
    /// First word, length, space, checksum, line end: no line is longer.
    private static let lineBytesMax = firstWord.utf8.count + 7 + 1 + 8 + 1
    private static let readBytes = 64 << 10

    package struct Record: Sendable {
        package var offset: Int
        package var published: SignedCheckpoint
    }

    package enum Step: Sendable {
        case record(Record)
        case end
        /// The bytes at `offset` are not a record.
        case damage(String)
    }

    package init(_ file: any VolumeFile, from offset: Int = 0) throws(FileFailure) {
        self.file = file
        self.offset = offset
        bufferStart = offset
        fileBytes = try file.size()
    }

    /// The bytes of a record.
    package static func record(_ note: [UInt8]) -> [UInt8] {
        let sum = CRC32C().continued(over: note.span)
        return Array("\(firstWord)\(note.count) \(sum.hex)\n".utf8) + note
    }

    /// Reads the record at `offset` and steps over it. Does not step over damage.
    package mutating func next() throws(FileFailure) -> Step {
        if offset >= fileBytes { return .end }
        let head = try bytes(min(Self.lineBytesMax, fileBytes - offset))
        guard let lineEnd = head.firstIndex(of: 0x0A), head.starts(with: Self.firstWord.utf8)
        else { return .damage("the first line of a checkpoint is missing") }
        let fields = head[head.startIndex..<lineEnd].dropFirst(Self.firstWord.utf8.count)
            .split(separator: 0x20, omittingEmptySubsequences: false)
        guard fields.count == 2, let length = UInt64(canonical: fields[0]),
            length <= UInt64(SignedNote.bytesMax)
        else { return .damage("the first line of a checkpoint is malformed") }
        let lineBytes = lineEnd - head.startIndex + 1
        guard lineBytes + Int(length) <= fileBytes - offset else {
            return .damage("the file ends within a checkpoint")
        }
        let note = Array(try bytes(lineBytes + Int(length)).dropFirst(lineBytes))
        guard CRC32C().continued(over: note.span).hex.utf8.elementsEqual(fields[1]) else {
            return .damage("the checksum of a checkpoint does not match")
        }
        do throws(SignedCheckpoint.DecodeError) {
            let record = Record(offset: offset, published: try SignedCheckpoint(note))
            offset += lineBytes + note.count
            return .record(record)
        } catch { return .damage(error.description) }
    }

    /// Moves to the next place that begins like a record; false if there is none.
    package mutating func skipDamage() throws(FileFailure) -> Bool {
        let word = Array(("\n" + Self.firstWord).utf8)
        while offset < fileBytes {
            let piece = try bytes(min(Self.readBytes, fileBytes - offset))
            if let place = piece.firstIndex(of: word) {
                offset += place - piece.startIndex + 1
                return true
            }
            // The word may lie across the end of the piece.
            offset += max(1, piece.count - word.count + 1)
        }
        return false
    }

    /// The next `count` bytes of the file, which must have them.
    private mutating func bytes(_ count: Int) throws(FileFailure) -> ArraySlice<UInt8> {
        let start = offset - bufferStart
        if start + count <= buffer.count { return buffer[start..<start + count] }
        buffer = [UInt8](repeating: 0, count: min(max(count, Self.readBytes), fileBytes - offset))
        bufferStart = offset
        let read = try file.read(into: &buffer, 0..<buffer.count, at: offset)
        guard read >= count else {
            throw FileFailure(.read, file.path, errorNumber: FileFailure.inputOutputNumber)
        }
        return buffer[..<count]
    }
}

extension ArraySlice<UInt8> {
    fileprivate func firstIndex(of word: [UInt8]) -> Int? {
        guard count >= word.count else { return nil }
        return (startIndex...endIndex - word.count).first {
            self[$0] == word[0] && self[$0..<$0 + word.count].elementsEqual(word)
        }
    }
}

// MARK: The end of the file

extension CheckpointCursor {
    /// How the checkpoints of a ledger end.
    package struct Tail: Sendable {
        /// The last records, in order.
        package var recent: [SignedCheckpoint] = []
        package var newest: SignedCheckpoint? { recent.last }
        /// Where the last record ends.
        package var end = 0
        /// `checkpoint` is missing or one record behind, as a crash leaves it.
        package var isCopyBehind = false
    }

    /// Reads the last records and the copy of the newest.
    package static func tail(_ volume: any Volume) throws(OpenFailure) -> Tail {
        let (records, copy): (Result<LastRecords, Finding>, [UInt8]?)
        do throws(FileFailure) {
            (records, copy) = (try lastRecords(volume), try self.copy(volume))
        } catch { throw .file(error) }
        var (tail, before): LastRecords
        do throws(Finding) { (tail, before) = try records.get() } catch {
            throw .damaged(error)
        }
        if let copy {
            if copy == tail.newest?.note.bytes { return tail }
            if let damage = damage(ofCopy: copy, tail.newest, before) { throw .damaged(damage) }
        }
        tail.isCopyBehind = tail.newest != nil
        return tail
    }

    private typealias LastRecords = (tail: Tail, before: SignedCheckpoint?)

    /// What `checkpoint` holds; nil if it is missing.
    package static func copy(_ volume: any Volume) throws(FileFailure) -> [UInt8]? {
        do throws(FileFailure) { return try volume.content(of: LedgerLayout.checkpoint) } catch {
            guard error.isMissing else { throw error }
            return nil
        }
    }

    /// What is wrong with a copy that is not the last record; nil if it is the one before, as a
    /// crash leaves it.
    package static func damage(
        ofCopy content: [UInt8], _ newest: SignedCheckpoint?, _ before: SignedCheckpoint?
    ) -> Finding? {
        if content == before?.note.bytes { return nil }
        do throws(SignedCheckpoint.DecodeError) {
            let copy = try SignedCheckpoint(content).checkpoint
            guard let newest, copy.size <= newest.checkpoint.size else {
                let end = newest.map { "ends with \($0.checkpoint.size)" } ?? "is empty"
                return Finding(
                    .checkpointsCut, file: LedgerLayout.checkpoint,
                    "its size is \(copy.size), but \(LedgerLayout.checkpoints) \(end)")
            }
            return Finding(
                .checkpointStale, file: LedgerLayout.checkpoint,
                "its size is \(copy.size), but \(LedgerLayout.checkpoints) ends with another of "
                    + "\(newest.checkpoint.size)")
        } catch {
            return Finding(.checkpointDamaged, file: LedgerLayout.checkpoint, error.description)
        }
    }

    private static func lastRecords(
        _ volume: any Volume
    ) throws(FileFailure) -> Result<LastRecords, Finding> {
        let file: any VolumeFile
        do throws(FileFailure) { file = try volume.open(LedgerLayout.checkpoints, .read) } catch {
            guard error.isMissing else { throw error }
            return .success((Tail(), nil))
        }
        let start = max(0, try file.size() - StorageLimits.checkpointTailBytes)
        var cursor = try CheckpointCursor(file, from: start)
        if start > 0, try !cursor.skipDamage() { cursor = try CheckpointCursor(file) }
        var (tail, before) = (Tail(end: cursor.offset), SignedCheckpoint?.none)
        while true {
            switch try cursor.next() {
            case .end: return .success((tail, before))
            case .record(let record):
                let size = record.published.checkpoint.size
                if let newest = tail.newest?.checkpoint.size, size < newest {
                    return .failure(
                        Finding(
                            .checkpointSizeReversed, file: LedgerLayout.checkpoints,
                            offset: ByteOffset(record.offset), "size \(size) follows \(newest)"))
                }
                before = tail.newest
                tail.recent.append(record.published)
                tail.end = cursor.offset
            case .damage(let detail):
                let place = cursor.offset
                while try cursor.skipDamage() {
                    guard case .record = try cursor.next() else { continue }
                    return .failure(
                        Finding(
                            .checkpointDamaged, file: LedgerLayout.checkpoints,
                            offset: ByteOffset(place), detail))
                }
                return .success((tail, before))
            }
        }
    }
}
