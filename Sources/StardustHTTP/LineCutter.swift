internal import NIOCore
internal import Packets

/// Cuts an NDJSON body that comes in pieces into lines. Blank lines are counted and skipped; a line
/// that is too long is noticed before it is whole, and its rest dropped.
struct LineCutter {
    private var buffer = ByteBuffer()
    private let lineBytesMax: Int
    /// Number of the line that begins at the reader index, from 1.
    private var line = 1
    private var isSkipping = false
    private var hasEnded = false
    private var putBackChunk: Chunk?

    init(lineBytesMax: Int) { self.lineBytesMax = lineBytesMax }

    /// Whole lines, with the number of the first.
    struct Chunk {
        fileprivate var text: ByteBuffer
        fileprivate var firstLine: Int
        fileprivate var lineBytesMax: Int
        /// The last line went on beyond what is kept.
        fileprivate var isCutShort = false

        var bytes: Int { text.readableBytes }
    }

    enum Text: ~Escapable {
        case text(Span<UInt8>)
        case tooLong
    }

    /// Nothing more will come of this body.
    var isDone: Bool { hasEnded && buffer.readableBytes == 0 && putBackChunk == nil }

    mutating func add(_ bytes: ByteBuffer) {
        var bytes = bytes
        if isSkipping {
            guard let end = JSONText.nextLineFeed(bytes.readableBytesUInt8Span, from: 0) else {
                return
            }
            bytes.moveReaderIndex(forwardBy: end + 1)
            isSkipping = false
        }
        if buffer.readableBytes == 0 { buffer = bytes } else { buffer.writeBuffer(&bytes) }
    }

    mutating func end() { hasEnded = true }

    mutating func putBack(_ chunk: Chunk) { putBackChunk = chunk }

    /// The next lines, at least one, about `limit` bytes at most; nil where none is whole.
    mutating func next(atMost limit: Int) -> Chunk? {
        if let chunk = putBackChunk {
            putBackChunk = nil
            return chunk
        }
        let (end, lines) = wholeLines(limit)
        if end > 0 { return cut(end, lines) }
        guard buffer.readableBytes > 0 else { return nil }
        if hasEnded { return cut(buffer.readableBytes, 1) }
        guard buffer.readableBytes > lineBytesMax else { return nil }
        isSkipping = true
        var chunk = cut(buffer.readableBytes, 1)
        chunk.isCutShort = true
        return chunk
    }

    private func wholeLines(_ limit: Int) -> (end: Int, lines: Int) {
        let bytes = buffer.readableBytesUInt8Span
        var (end, lines) = (0, 0)
        while end < limit, let feed = JSONText.nextLineFeed(bytes, from: end) {
            end = feed + 1
            lines += 1
        }
        return (end, lines)
    }

    private mutating func cut(_ bytes: Int, _ lines: Int) -> Chunk {
        defer { line += lines }
        return Chunk(
            text: buffer.readSlice(length: bytes)!, firstLine: line, lineBytesMax: lineBytesMax)
    }
}

extension LineCutter.Chunk {
    /// Lends the lines that are not blank, each with its number and without white space around it.
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
