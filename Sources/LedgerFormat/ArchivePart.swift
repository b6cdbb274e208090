/// The first line of a part: a piece of the open segment, and of the checkpoints, in an archive.
/// `ledger-format.md`, section "Archive", describes the bytes.
package struct ArchivePart: Hashable, Sendable {
    /// The segment's first position.
    package var first: Position
    /// Where in the segment's file its bytes begin.
    package var offset: Int
    package var bytes: Int
    /// The same of the file of checkpoints.
    package var checkpointOffset: Int
    package var checkpointBytes: Int

    package init(
        first: Position, offset: Int, bytes: Int, checkpointOffset: Int, checkpointBytes: Int
    ) {
        (self.first, self.offset, self.bytes) = (first, offset, bytes)
        (self.checkpointOffset, self.checkpointBytes) = (checkpointOffset, checkpointBytes)
    }

    package static let firstWord = "stardust-part/1"
    /// No first line is longer.
    package static let lineBytesMax = 128

    /// The first line, with its end.
    package var line: [UInt8] {
        let numbers = [
            UInt64(offset), UInt64(bytes), UInt64(checkpointOffset), UInt64(checkpointBytes),
        ]
        return Array(
            ("\(Self.firstWord) \(first) " + numbers.map { "\($0)" }.joined(separator: " ") + "\n")
                .utf8)
    }

    /// Bytes of the whole object.
    package var objectBytes: Int { line.count + bytes + checkpointBytes }

    /// Reads the first line at the beginning of an object; nil if it is none.
    package init?(_ object: some Collection<UInt8>) {
        let line = object.prefix(Self.lineBytesMax).prefix { $0 != 0x0A }
        guard line.count < object.count else { return nil }
        let words = line.split(separator: 0x20, omittingEmptySubsequences: false)
        guard words.count == 6, words[0].elementsEqual(Self.firstWord.utf8) else { return nil }
        let numbers = words.dropFirst().compactMap { word in
            UInt64(canonical: word).flatMap { $0 < 1 << 48 ? Int($0) : nil }
        }
        guard numbers.count == 5 else { return nil }
        self.init(
            first: Position(UInt64(numbers[0])), offset: numbers[1], bytes: numbers[2],
            checkpointOffset: numbers[3], checkpointBytes: numbers[4])
    }
}
