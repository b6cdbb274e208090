internal import NIOCore
internal import Packets

/// Cuts an NDJSON body that arrives in pieces into lines. Blank lines are counted and skipped. A
/// line that is too long is noticed before it is complete, and the rest of it is dropped.
///
/// Every added byte is accounted for once: as dropped by `add` or `dropLeadingSpace`, in a chunk,
/// or in `bytesHeld`.
struct LineCutter {
    private var buffer = ByteBuffer()
    private let lineBytesMax: Int
    /// Number of the line that begins at the reader index, from 1.
    private var line = 1
    /// Bytes from the reader index onwards that are known to contain no line feed.
    private var searched = 0
    private var isSkipping = false
    private(set) var hasEnded = false

    init(lineBytesMax: Int) { self.lineBytesMax = lineBytesMax }

    /// Complete lines, with the number of the first.
    struct Chunk {
        fileprivate var text: ByteBuffer
        fileprivate var firstLine: Int
        fileprivate var lineBytesMax: Int
        /// The last line was longer than the part that was kept.
        fileprivate var isCutShort = false
        fileprivate(set) var lines: Int

        var bytes: Int { text.readableBytes }
    }

    enum Text: ~Escapable {
        case text(Span<UInt8>)
        case tooLong
    }

    /// No more lines will come from this body.
    var isDone: Bool { hasEnded && buffer.readableBytes == 0 }

    /// Bytes that are waiting for the end of their line, or to be cut.
    var bytesHeld: Int { buffer.readableBytes }

    /// Takes a piece of the body; returns how many of its bytes were dropped.
    mutating func add(_ bytes: ByteBuffer) -> Int {
        var bytes = bytes
        var dropped = 0
        if isSkipping {
            let end = JSONText.nextLineFeed(bytes.readableBytesUInt8Span, from: 0)
            dropped = end.map { $0 + 1 } ?? bytes.readableBytes
            bytes.moveReaderIndex(forwardBy: dropped)
            isSkipping = end == nil
        }
        if buffer.readableBytes == 0 { buffer = bytes } else { buffer.writeBuffer(&bytes) }
        return dropped
    }

    mutating func end() { hasEnded = true }

    /// The next lines: at least one, at most about `limit` bytes and `linesMax` lines. Nil if none is
    /// complete.
    mutating func next(
        atMost limit: Int, lines linesMax: Int = EmissionLimits.streamChunkLines
    ) -> Chunk? {
        let (end, lines) = wholeLines(limit, linesMax)
        if end > 0 { return cut(end, lines) }
        guard buffer.readableBytes > 0 else { return nil }
        if hasEnded { return cut(buffer.readableBytes, 1) }
        guard buffer.readableBytes > lineBytesMax else { return nil }
        isSkipping = true
        var chunk = cut(buffer.readableBytes, 1)
        chunk.isCutShort = true
        return chunk
    }

    /// Drops the leading white space of an incomplete line; returns how many bytes were dropped.
    mutating func dropLeadingSpace() -> Int {
        let count = Self.leadingSpace(buffer.readableBytesUInt8Span)
        guard count > 0, searched >= count else { return 0 }
        buffer.moveReaderIndex(forwardBy: count)
        searched -= count
        return count
    }

    private static func leadingSpace(_ bytes: Span<UInt8>) -> Int {
        var count = 0
        while count < bytes.count, bytes[count] != 0x0A, JSONText.isSpace(bytes[count]) {
            count += 1
        }
        return count
    }

    private mutating func wholeLines(_ limit: Int, _ linesMax: Int) -> (end: Int, lines: Int) {
        let found = Self.wholeLines(
            buffer.readableBytesUInt8Span, from: searched, limit, linesMax)
        if found.lines == 0 { searched = buffer.readableBytes }
        return found
    }

    private static func wholeLines(
        _ bytes: Span<UInt8>, from start: Int, _ limit: Int, _ linesMax: Int
    ) -> (end: Int, lines: Int) {
        var (end, lines, from) = (0, 0, start)
        while end < limit, lines < linesMax,
            let feed = JSONText.nextLineFeed(bytes, from: from)
        {
            end = feed + 1
            from = end
            lines += 1
        }
        return (end, lines)
    }

    private mutating func cut(_ bytes: Int, _ lines: Int) -> Chunk {
        defer {
            line += lines
            searched = 0
        }
        return Chunk(
            text: buffer.readSlice(length: bytes)!, firstLine: line, lineBytesMax: lineBytesMax,
            lines: lines)
    }
}

extension LineCutter.Chunk {
    /// Passes each line that is not blank to `body`, with its number and without surrounding white
    /// space.
    func eachLine(_ body: (Int, borrowing LineCutter.Text) -> Void) {
        let bytes = text.readableBytesUInt8Span
        var (start, number) = (0, firstLine)
        while start < bytes.count {
            let end = JSONText.nextLineFeed(bytes, from: start) ?? bytes.count
            let line = bytes.extracting(start..<end)
            let trimmed = line.extracting(JSONText.trimmed(line))
            if isCutShort || trimmed.count > lineBytesMax {
                body(number, .tooLong)
            } else if !trimmed.isEmpty {
                body(number, .text(trimmed))
            }
            start = end + 1
            number += 1
        }
    }
}
