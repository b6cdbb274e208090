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

    private static let format = "stardust-checkpoint/"
    private static let firstWord = format + "1 "
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
        case damage(Damage)
    }

    package struct Damage: Error, Hashable, Sendable {
        package var detail: String
        var kind = Kind.other

        /// No half-written record looks like this.
        package var isWritten: Bool { kind == .written || kind == .later }

        package func finding(at offset: Int) -> Finding {
            Finding(
                kind == .later ? .formatUnknown : .checkpointDamaged,
                file: LedgerLayout.checkpoints, offset: ByteOffset(offset), detail)
        }

        enum Kind: Hashable, Sendable {
            /// The beginning of a record.
            case beginning
            /// With a whole first line that no ledger has, or whole and with the right checksum:
            /// somebody wrote it on purpose.
            case written
            /// Of a later version.
            case later
            case other
        }
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
        let fields: [ArraySlice<UInt8>]
        switch Self.firstLine(head) {
        case .success(let found): fields = found
        case .failure(let damage): return .damage(damage)
        }
        guard fields.count == 2, let length = UInt64(canonical: fields[0]),
            length <= UInt64(SignedNote.bytesMax), fields[1].isChecksum
        else {
            return .damage(
                Damage(detail: "the first line of a checkpoint is malformed", kind: .written))
        }
        let lineBytes = Self.firstWord.utf8.count + fields[0].count + fields[1].count + 2
        guard lineBytes + Int(length) <= fileBytes - offset else {
            return .damage(
                Damage(detail: "the file ends within a checkpoint", kind: .beginning))
        }
        let note = Array(try bytes(lineBytes + Int(length)).dropFirst(lineBytes))
        guard CRC32C().continued(over: note.span).hex.utf8.elementsEqual(fields[1]) else {
            return .damage(Damage(detail: "the checksum of a checkpoint does not match"))
        }
        do throws(SignedCheckpoint.DecodeError) {
            let record = Record(offset: offset, published: try SignedCheckpoint(note))
            offset += lineBytes + note.count
            return .record(record)
        } catch { return .damage(Damage(detail: error.description, kind: .written)) }
    }

    /// Length and checksum from a record's first line.
    private static func firstLine(
        _ head: ArraySlice<UInt8>
    ) -> Result<[ArraySlice<UInt8>], Damage> {
        let word = Array(firstWord.utf8)
        if let version = otherVersion(head) {
            return .failure(
                Damage(
                    detail: "cannot judge: this program knows \(format)1, but the record says "
                        + "\(format)\(version)", kind: .later))
        }
        guard let end = head.firstIndex(of: 0x0A) else {
            let isBeginning = head.count < lineBytesMax && zip(head, word).allSatisfy(==)
            return .failure(
                Damage(
                    detail: "the first line of a checkpoint is missing",
                    kind: isBeginning ? .beginning : .other))
        }
        let line = head[head.startIndex..<end]
        guard line.starts(with: word) else {
            return .failure(Damage(detail: "the first line of a checkpoint is missing"))
        }
        return .success(
            line.dropFirst(word.count).split(separator: 0x20, omittingEmptySubsequences: false))
    }

    /// The version that a record names, if it is not ours.
    private static func otherVersion(_ head: ArraySlice<UInt8>) -> String? {
        guard head.starts(with: format.utf8) else { return nil }
        let rest = head.dropFirst(format.utf8.count)
        let version = rest.prefix { $0 != 0x20 && $0 != 0x0A }
        guard version.count < rest.count, Finding.isVersion(version) else { return nil }
        let text = String(decoding: version, as: UTF8.self)
        return text == "1" ? nil : text
    }

    /// Moves over damage to the next whole record; false if there is none.
    package mutating func skipToRecord() throws(FileFailure) -> Bool {
        while try skipDamage() {
            let start = offset
            guard case .record = try next() else { continue }
            offset = start
            return true
        }
        return false
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
    /// Eight hexadecimal digits in lower case.
    fileprivate var isChecksum: Bool {
        count == 8
            && allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            }
    }

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
        /// `checkpoint` is missing or holds an earlier record.
        package var isCopyBehind = false
    }

    /// Reads the last records and the copy of the newest.
    package static func tail(_ volume: any Volume) throws(OpenFailure) -> Tail {
        var (records, copy): (Result<Tail, Finding>, [UInt8]?)
        do throws(FileFailure) {
            copy = try self.copy(volume)
            records = try lastRecords(volume, copy)
            if case .success(let tail) = records, let copy,
                !tail.recent.contains(where: { $0.note.bytes == copy }),
                let damage = try damage(ofCopy: copy, volume, tail.newest)
            {
                records = .failure(damage)
            }
        } catch { throw .file(error) }
        do throws(Finding) {
            var tail = try records.get()
            tail.isCopyBehind = tail.newest != nil && copy != tail.newest?.note.bytes
            return tail
        } catch { throw .damaged(error) }
    }

    /// Whether bytes behind the last record are what a crash leaves: then nobody has seen them, and
    /// opening cuts them. The only judge of that, for opening and for verification. A record is
    /// written only while `checkpoint` is a copy of the one before.
    package static func isUnfinished(
        _ damage: Damage, after last: SignedCheckpoint?, copy: [UInt8]?
    ) -> Bool {
        guard let last else { return copy == nil && damage.kind == .beginning }
        return !damage.isWritten && copy == last.note.bytes
    }

    /// What `checkpoint` holds; nil if it is missing.
    package static func copy(_ volume: any Volume) throws(FileFailure) -> [UInt8]? {
        do throws(FileFailure) { return try volume.content(of: LedgerLayout.checkpoint) } catch {
            guard error.isMissing else { throw error }
            return nil
        }
    }

    /// What is wrong with a copy that is none of the last records; nil if it is an earlier one.
    private static func damage(
        ofCopy content: [UInt8], _ volume: any Volume, _ newest: SignedCheckpoint?
    ) throws(FileFailure) -> Finding? {
        if newest != nil {
            var cursor = try CheckpointCursor(try volume.open(LedgerLayout.checkpoints, .read))
            while case .record(let record) = try cursor.next() {
                if record.published.note.bytes == content { return nil }
            }
        }
        return damage(ofCopy: content, newest)
    }

    /// What is wrong with a copy that is none of the records.
    package static func damage(ofCopy content: [UInt8], _ newest: SignedCheckpoint?) -> Finding {
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
                "it is none of the records in \(LedgerLayout.checkpoints); its size is \(copy.size)"
            )
        } catch {
            return Finding(.checkpointDamaged, file: LedgerLayout.checkpoint, error.description)
        }
    }

    private static func lastRecords(
        _ volume: any Volume, _ copy: [UInt8]?
    ) throws(FileFailure) -> Result<Tail, Finding> {
        let file: any VolumeFile
        do throws(FileFailure) { file = try volume.open(LedgerLayout.checkpoints, .read) } catch {
            guard error.isMissing else { throw error }
            return .success(Tail())
        }
        let start = max(0, try file.size() - StorageLimits.checkpointTailBytes)
        var cursor = try CheckpointCursor(file, from: start)
        if start > 0, try !cursor.skipDamage() { cursor = try CheckpointCursor(file) }
        var tail = Tail(end: cursor.offset)
        while true {
            switch try cursor.next() {
            case .end: return .success(tail)
            case .record(let record):
                let size = record.published.checkpoint.size
                if let newest = tail.newest?.checkpoint.size, size < newest {
                    return .failure(
                        Finding(
                            .checkpointSizeReversed, file: LedgerLayout.checkpoints,
                            offset: ByteOffset(record.offset), "size \(size) follows \(newest)"))
                }
                tail.recent.append(record.published)
                tail.end = cursor.offset
            case .damage(let damage):
                let place = cursor.offset
                if try !cursor.skipToRecord(), isUnfinished(damage, after: tail.newest, copy: copy)
                {
                    return .success(tail)
                }
                return .failure(damage.finding(at: place))
            }
        }
    }
}
