import LedgerFormat
import Testing

/// Bytes of `ledger-format.md`. Each claim names the rule it stands for.
@Suite struct LayoutTests {
    static let entry = Entry(
        kind: .packet, flags: [.createdAtAssigned], position: Position(0x0102_0304_0506_0708),
        receivedAt: Timestamp(microseconds: 0x1112_1314_1516_1718),
        stardustID: UUID128(high: 0x2122_2324_2526_2728, low: 0x3132_3334_3536_3738),
        createdAt: Timestamp(microseconds: -2),
        peer: Entry.Peer(uid: 0x4142_4344, gid: 0x5152_5354),
        payloadBytes: 0x61, payloadDigest: .sha256([1]), previous: .sha256([2]))

    static func isIntact(_ bytes: [UInt8], _ seed: CRC32C) -> Bool {
        RecordFrame.isIntact(bytes.span, at: 0, seed: seed)
    }

    @Test func `E-01 an entry is 160 bytes, fields at their offsets, little-endian`() {
        let bytes = Self.entry.bytes
        #expect(bytes.count == 160)
        #expect(Array(bytes[0..<8]) == [1, 0, 0, 0, 2, 0, 0, 0])
        #expect(Array(bytes[8..<16]) == [8, 7, 6, 5, 4, 3, 2, 1])
        #expect(Array(bytes[16..<24]) == [0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11])
        #expect(Array(bytes[24..<28]) == [0x21, 0x22, 0x23, 0x24])
        #expect(Array(bytes[36..<40]) == [0x35, 0x36, 0x37, 0x38])
        #expect(Array(bytes[40..<48]) == [0xFE, 255, 255, 255, 255, 255, 255, 255])
        #expect(Array(bytes[48..<56]) == [0x44, 0x43, 0x42, 0x41, 0x54, 0x53, 0x52, 0x51])
        #expect(Array(bytes[56..<64]) == [0x61, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[64..<96]) == Digest.sha256([1]).bytes)
        #expect(Array(bytes[96..<128]) == [UInt8](repeating: 0, count: 32))
        #expect(Array(bytes[128..<160]) == Digest.sha256([2]).bytes)
    }

    @Test func `E-02 an entry is read as it was written`() throws {
        let read = try Entry(Self.entry.bytes.span, at: 0)
        #expect(read == Self.entry)
    }

    @Test func `E-03 another version, a reserved flag and a reserved byte are refused`() {
        func error(_ change: (inout [UInt8]) -> Void) -> Entry.DecodeError? {
            var bytes = Self.entry.bytes
            change(&bytes)
            do throws(Entry.DecodeError) {
                _ = try Entry(bytes.span, at: 0)
                return nil
            } catch { return error }
        }
        #expect(error { $0[0] = 2 } == .formatVersion(2))
        #expect(error { $0[4] = 8 } == .reservedFlags(8))
        for place in 96..<128 { #expect(error { $0[place] = 1 } == .reservedBytes) }
        #expect(error { _ in } == nil)
    }

    @Test func `R-01 a record is frame, entry, payload and zeros to a multiple of eight`() {
        for count in 0...17 {
            var buffer: [UInt8] = []
            let payload = [UInt8](repeating: 0x7B, count: count)
            let hash = RecordFrame.append(
                Self.entry, payload: payload.span, batchStart: ByteOffset(128), seed: CRC32C(7),
                to: &buffer)
            #expect(buffer.count == RecordFrame.recordBytes(payloadBytes: count))
            #expect(buffer.count.isMultiple(of: 8) && buffer.count - 176 - count < 8)
            #expect(Array(buffer[16..<176]) == Self.entry.bytes)
            #expect(Array(buffer[176..<176 + count]) == payload)
            #expect(buffer[(176 + count)...].allSatisfy { $0 == 0 })
            let leaf = Merkle.leaf(Self.entry.bytes.span)
            #expect(hash == leaf)
            #expect(Self.isIntact(buffer, CRC32C(7)))
            #expect(!Self.isIntact(buffer, CRC32C(8)))
        }
    }

    @Test func `R-02 a flipped bit of frame or entry breaks the checksum`() {
        var buffer: [UInt8] = []
        let payload: [UInt8] = []
        _ = RecordFrame.append(
            Self.entry, payload: payload.span, batchStart: ByteOffset(128), seed: CRC32C(),
            to: &buffer)
        for bit in 0..<176 * 8 {
            var changed = buffer
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(!Self.isIntact(changed, CRC32C()))
        }
    }

    @Test func `S-01 a segment header is read as it was written, and no bit may differ`() throws {
        let header = SegmentHeader(
            ledgerID: UUID128(high: 1, low: 2), firstPosition: Position(99), previous: .sha256([3]))
        #expect(header.bytes.count == 128)
        #expect(Array(header.bytes[0..<8]) == Array("SDSEG".utf8) + [0x1A, 0x0D, 0x0A])
        let read = try SegmentHeader(header.bytes.span)
        #expect(read == header)
        for bit in 0..<128 * 8 {
            var changed = header.bytes
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: SegmentHeader.DecodeError.self) {
                try SegmentHeader(changed.span)
            }
        }
    }

    @Test func `I-01 an identity is read as it was written`() throws {
        let identity = LedgerIdentity(
            ledgerID: UUID128(high: 1, low: 2), origin: "log.example/omniva",
            verifierKey: NoteSigner(
                name: "log.example/omniva", Ed25519Key(seed: Array(repeating: 7, count: 32))
            ).verifier,
            createdAt: Timestamp(microseconds: 5))
        #expect(try LedgerIdentity(fileContent: identity.fileContent) == identity)
        #expect(identity.digest == .sha256(identity.fileContent))
        for line in 0..<5 {
            var lines = String(decoding: identity.fileContent, as: UTF8.self)
                .split(separator: "\n", omittingEmptySubsequences: false)
            lines[line] = "?"
            #expect(throws: LedgerIdentity.DecodeError.self) {
                try LedgerIdentity(fileContent: Array(lines.joined(separator: "\n").utf8))
            }
        }
    }

    @Test func `C-01 a close marker is read as it was written, and no bit may differ`() {
        let marker = CloseMarker(size: LedgerSize(1234), lastHash: .sha256([4]))
        #expect(CloseMarker(fileContent: marker.fileContent) == marker)
        for bit in 0..<marker.fileContent.count * 8 {
            var changed = marker.fileContent
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(CloseMarker(fileContent: changed) == nil)
        }
    }
}
