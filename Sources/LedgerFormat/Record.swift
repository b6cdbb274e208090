/// How an entry and its payload lie in a segment: a frame of 16 bytes, the entry, the payload, and
/// zeros up to a multiple of eight. `ledger-format.md`, section "Record", has the bytes.
package struct RecordFrame: Hashable, Sendable {
    package static let byteCount = 16
    /// Frame and entry: where the payload begins in a record.
    package static let payloadOffset = byteCount + Entry.byteCount
    /// Records begin at multiples of this.
    package static let alignment = 8

    /// Where the first record of the same batch begins in the file. A record whose batch began
    /// before some damage may have been lost with it; one whose batch began after it was written
    /// when the damaged place had been durable.
    package var batchStart: ByteOffset
    /// Bytes of entry and payload.
    package var length: UInt32
    /// CRC-32C of the frame's first 12 bytes and the entry, continued from the segment header's.
    package var checksum: CRC32C

    package init(batchStart: ByteOffset, payloadBytes: Int, checksum: CRC32C = CRC32C()) {
        self.batchStart = batchStart
        self.length = UInt32(Entry.byteCount + payloadBytes)
        self.checksum = checksum
    }

    /// Reads the 16 bytes at `offset`. The caller has checked that they are there.
    package init(_ bytes: Span<UInt8>, at offset: Int) {
        batchStart = ByteOffset(bytes.littleEndian(UInt64.self, at: offset))
        length = bytes.littleEndian(at: offset + 8)
        checksum = CRC32C(bytes.littleEndian(at: offset + 12))
    }

    /// Bytes of the payload; nil where the length is below that of an entry.
    package var payloadBytes: Int? {
        let count = Int(length) - Entry.byteCount
        return count < 0 ? nil : count
    }

    /// Bytes that a record with this much payload takes in a segment.
    package static func recordBytes(payloadBytes: Int) -> Int {
        (payloadOffset + payloadBytes + alignment - 1) & ~(alignment - 1)
    }

    /// Whether the frame and entry at `offset` are what was written there in the segment whose
    /// header has the checksum `seed`.
    package static func isIntact(_ bytes: Span<UInt8>, at offset: Int, seed: CRC32C) -> Bool {
        checksum(bytes, at: offset, seed: seed).value
            == bytes.littleEndian(UInt32.self, at: offset + 12)
    }

    private static func checksum(_ bytes: Span<UInt8>, at offset: Int, seed: CRC32C) -> CRC32C {
        seed.continued(over: bytes.extracting(offset..<offset + 12))
            .continued(over: bytes.extracting(offset + byteCount..<offset + payloadOffset))
    }

    /// Appends one whole record, checksum included, and returns the entry's hash.
    package static func append(
        _ entry: Entry, payload: Span<UInt8>, batchStart: ByteOffset, seed: CRC32C,
        to buffer: inout [UInt8]
    ) -> Digest {
        let start = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: payloadOffset))
        buffer.append(payload)
        let padded = recordBytes(payloadBytes: payload.count)
        buffer.append(contentsOf: repeatElement(0, count: start + padded - buffer.count))

        let frame = RecordFrame(batchStart: batchStart, payloadBytes: payload.count)
        var bytes = buffer.mutableSpan
        bytes.store(frame.batchStart.bytes, at: start)
        bytes.store(frame.length, at: start + 8)
        entry.store(in: &bytes, at: start + byteCount)
        bytes.store(checksum(bytes.span, at: start, seed: seed).value, at: start + 12)
        return Merkle.leaf(bytes.span.extracting(start + byteCount..<start + payloadOffset))
    }
}

extension [UInt8] {
    /// A copy of `bytes`.
    package init(_ bytes: Span<UInt8>) {
        self.init()
        append(bytes)
    }

    /// Appends a text.
    package mutating func append(_ text: StaticString) {
        // Safety: a static string lives forever.
        unsafe append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// Appends a copy of `bytes`.
    package mutating func append(_ bytes: Span<UInt8>) {
        // Safety: the pointer is used only while the span lives.
        unsafe bytes.withUnsafeBytes { unsafe append(contentsOf: $0) }
    }
}

extension String {
    /// The text that these bytes are in UTF-8; what is none is replaced.
    package init(utf8 bytes: Span<UInt8>) {
        // Safety: the pointer is used only while the span lives.
        self = unsafe bytes.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }
}
