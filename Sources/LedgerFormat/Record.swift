/// How an entry and its payload are stored in a segment: a 16-byte frame, the entry, the payload,
/// and zeros up to a multiple of eight. `ledger-format.md`, section "Record", describes the bytes.
package struct RecordFrame: Hashable, Sendable {
    package static let byteCount = 16
    /// Size of frame and entry: where the payload begins in a record.
    package static let payloadOffset = byteCount + Entry.byteCount
    /// Records begin at multiples of this.
    package static let alignment = 8

    /// Where the first record of the same batch begins in the file. This tells a torn tail from
    /// damage. A record whose batch begins at or before a bad place may belong to the same batch,
    /// which a crash left half written. If its batch begins after that place, the place was already
    /// durable when the record was written.
    package var batchStart: ByteOffset
    /// Size of entry and payload in bytes.
    package var length: UInt32
    /// CRC-32C of the frame's first 12 bytes and the entry, continued from the checksum of the
    /// segment's header.
    package var checksum: CRC32C

    package init(batchStart: ByteOffset, payloadBytes: Int, checksum: CRC32C = CRC32C()) {
        self.batchStart = batchStart
        self.length = UInt32(Entry.byteCount + payloadBytes)
        self.checksum = checksum
    }

    /// Reads the 16 bytes at `offset`. The caller has checked the bounds.
    package init(_ bytes: Span<UInt8>, at offset: Int) {
        batchStart = ByteOffset(bytes.littleEndian(UInt64.self, at: offset))
        length = bytes.littleEndian(at: offset + 8)
        checksum = CRC32C(bytes.littleEndian(at: offset + 12))
    }

    /// Size of the payload in bytes; nil if `length` is less than that of an entry.
    package var payloadBytes: Int? {
        let count = Int(length) - Entry.byteCount
        return count < 0 ? nil : count
    }

    /// Size in a segment of a record with this much payload.
    package static func recordBytes(payloadBytes: Int) -> Int {
        (payloadOffset + payloadBytes + alignment - 1) & ~(alignment - 1)
    }

    /// Whether the checksum of the frame and entry at `offset` is right for the segment whose
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
    /// Decodes UTF-8; invalid sequences are replaced.
    package init(utf8 bytes: Span<UInt8>) {
        // Safety: the pointer is used only while the span lives.
        self = unsafe bytes.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
    }
}
