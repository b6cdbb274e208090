import LedgerFormat
import PipelineWorkload
import TestSupport
import Testing

@Suite struct TimestampTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2026-09-14T10:42:07.311Z", 1_789_382_527_311_000),
        ("2000-02-29T12:00:00+00:00", 951_825_600_000_000),
        ("0000-01-01T00:00:00Z", -62_167_219_200_000_000),
        ("9999-12-31T23:59:59.999999999Z", 253_402_300_799_999_999),
    ])
    func `a time is read as microseconds, finer fractions cut`(text: String, expected: Int64) {
        #expect(Timestamp(rfc3339: text)?.microseconds == expected)
    }

    @Test(arguments: [
        "", "2026-09-14", "2026-09-14T10:42:07", "2026-09-14t10:42:07Z", "2026-09-14T10:42:07z",
        "2026-09-14T10:42:07.Z", "2026-09-14T10:42:07.1234567890Z", "2026-09-14T10:42:07+01:00",
        "2026-09-14T10:42:07-00:00", "2026-13-14T10:42:07Z", "2026-00-14T10:42:07Z",
        "2026-02-29T10:42:07Z", "2100-02-29T10:42:07Z", "2026-04-31T10:42:07Z",
        "2026-09-14T24:00:00Z", "2026-09-14T10:60:07Z", "2026-12-31T23:59:60Z",
        "2026-09-14T10:42:07ZZ", " 2026-09-14T10:42:07Z", "+026-09-14T10:42:07Z",
    ])
    func `what is no time in UTC, or no time at all, is refused`(text: String) {
        #expect(Timestamp(rfc3339: text) == nil)
    }

    @Test func `each day from 1600 to 2400 is written as it is read`() {
        let day: Int64 = 86_400_000_000
        let first = Timestamp(rfc3339: "1600-01-01T00:00:00Z")!.microseconds
        var days = 0
        for offset in stride(from: Int64(0), to: 800 * 366, by: 1) {
            let time = Timestamp(microseconds: first + offset * day + 123_456)
            guard time.description < "2400" else { break }
            #expect(Timestamp(rfc3339: time.description) == time)
            days += 1
        }
        #expect(days == 292_194)
    }
}

@Suite struct UUIDTests {
    @Test func `both cases are the same id, written in lower case`() {
        let lower = UUID128("5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10")
        #expect(lower != nil)
        #expect(UUID128("5B0F6C1E-2A47-4D7E-9A51-0C2F3D9B7E10") == lower)
        #expect(lower?.description == "5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10")
        #expect(lower?.isVersion4 == true)
    }

    @Test func `any byte in place of a digit is judged like the digit alone`() {
        let text = Array("5b0f6c1e-2a47-4d7e-9a51-0c2f3d9b7e10".utf8)
        for place in text.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = text
                changed[place] = byte
                let isDash = text[place] == UInt8(ascii: "-")
                let isValid = isDash ? byte == text[place] : hexadecimalValue(byte) != nil
                let id = UUID128(text: changed.span)
                #expect((id != nil) == isValid, "\(place) \(byte)")
            }
        }
    }

    @Test func `text and bytes round-trip`() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<1000 {
            let id = UUID128.random(using: &generator)
            #expect(id.isVersion4)
            #expect(UUID128(id.description) == id)
            var bytes = [UInt8](repeating: 0, count: 16)
            var span = bytes.mutableSpan
            id.store(in: &span, at: 0)
            let read = UUID128(bytes.span, at: 0)
            #expect(read == id)
        }
    }
}

@Suite struct DigestTests {
    @Test func `SHA-256 gives the values of FIPS 180-4`() {
        #expect(
            Digest.sha256(Array("abc".utf8)).hex
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        var hasher = SHA256Hasher()
        for _ in 0..<1000 { hasher.update([UInt8](repeating: 0x61, count: 1000).span) }
        #expect(
            hasher.finish().hex
                == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
    }

    @Test func `hexadecimal text round-trips and refuses other text`() {
        let digest = Digest.sha256([1, 2, 3])
        #expect(Digest(hex: digest.hex) == digest)
        #expect(Digest(hex: digest.hex.uppercased()) == digest)
        #expect(Digest(hex: String(digest.hex.dropLast())) == nil)
        #expect(Digest(hex: "g" + digest.hex.dropFirst()) == nil)
    }

    @Test func `CRC-32C by instruction and by table agree, and with RFC 3720`() {
        let nines = Array("123456789".utf8)
        let ofNines = CRC32C().continued(over: nines.span)
        #expect(ofNines.value == 0xE306_9283)
        let zeros = [UInt8](repeating: 0, count: 32)
        let ofZeros = CRC32C().continued(over: zeros.span)
        #expect(ofZeros.value == 0x8A91_36AA)
        var generator = SeededGenerator(seed: 3)
        for count in 0..<300 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let seed = CRC32C(UInt32(count))
            let (fast, portable) = (
                seed.continued(over: bytes.span), seed.continuedPortably(over: bytes.span)
            )
            #expect(fast == portable)
        }
    }
}

@Suite struct KeyTests {
    @Test func `a key is written as other tools for signed notes write it`() {
        let seed = [UInt8](
            hexadecimal: "810a1402d5146c8d84f2443330f54080ebf98ee17d9c74f6252fc5d5c7283173".utf8)!
        let key = NoteSigner(name: "PeterNeumann", Ed25519Key(seed: seed))
        #expect("\(key.verifier)".hasPrefix("PeterNeumann+c74f20a3+A"))
        #expect("\(key)".hasPrefix("PRIVATE+KEY+PeterNeumann+c74f20a3+"))
    }

    @Test func `the public key is that of RFC 8032, test 1`() {
        let seed = [UInt8](
            hexadecimal: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60".utf8)!
        #expect(
            String(hexadecimal: Ed25519Key(seed: seed).publicKey)
                == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    }

    @Test(arguments: ["", "a b", "a+b", "a\tb", "a\u{A0}b", "a\u{1}"])
    func `a name that a note cannot carry is refused`(name: String) {
        #expect(!NoteKeyName.isValid(name))
    }
}
