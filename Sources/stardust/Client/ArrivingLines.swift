package import NIOCore

/// The lines of an answer that arrives in pieces. Each byte is inspected once, however long its line.
package struct ArrivingLines {
    private var bytes = ByteBuffer()
    /// How many of the readable bytes are known to hold no line feed.
    private var inspected = 0

    package init() {}

    package mutating func add(_ piece: ByteBuffer) {
        bytes.discardReadBytes()
        bytes.writeImmutableBuffer(piece)
    }

    /// The next whole line without its line feed; nil until more bytes arrive.
    package mutating func next() -> [UInt8]? {
        let view = bytes.readableBytesView.dropFirst(inspected)
        guard let end = view.firstIndex(of: 0x0A) else {
            inspected = bytes.readableBytes
            return nil
        }
        let line = bytes.readBytes(length: end - bytes.readerIndex)
        bytes.moveReaderIndex(forwardBy: 1)
        inspected = 0
        return line
    }

    package var bytesWaiting: Int { bytes.readableBytes }

    /// What has arrived and was not taken as a line.
    package var rest: [UInt8] { Array(bytes.readableBytesView) }
}
