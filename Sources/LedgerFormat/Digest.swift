internal import CLibCrypto

/// A SHA-256 digest: 32 bytes, held as four words in memory order.
package struct Digest: Hashable, Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64)

    package static let byteCount = 32
    package static let zero = Digest()

    private init() { words = (0, 0, 0, 0) }

    /// Reads the 32 bytes at `offset`. The caller has checked the bounds.
    package init(_ bytes: Span<UInt8>, at offset: Int = 0) {
        words = (
            bytes.littleEndian(at: offset), bytes.littleEndian(at: offset + 8),
            bytes.littleEndian(at: offset + 16), bytes.littleEndian(at: offset + 24)
        )
    }

    /// Reads 64 hexadecimal digits of either case; nil for anything else.
    package init?(hex: some StringProtocol) {
        guard let bytes = [UInt8](hexadecimal: hex.utf8), bytes.count == Self.byteCount else {
            return nil
        }
        self.init(bytes.span)
    }

    package func store(in bytes: inout MutableSpan<UInt8>, at offset: Int) {
        bytes.store(words.0, at: offset)
        bytes.store(words.1, at: offset + 8)
        bytes.store(words.2, at: offset + 16)
        bytes.store(words.3, at: offset + 24)
    }

    package var bytes: [UInt8] {
        var result = [UInt8](repeating: 0, count: Self.byteCount)
        var span = result.mutableSpan
        store(in: &span, at: 0)
        return result
    }

    /// 64 lower-case hexadecimal digits.
    package var hex: String { String(hexadecimal: bytes) }

    /// Appends the same digits without creating a string.
    package func appendHex(to text: inout [UInt8]) {
        let start = text.count
        text.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: 2 * Self.byteCount))
        var span = text.mutableSpan
        Self.store(words.0, in: &span, at: start)
        Self.store(words.1, in: &span, at: start + 16)
        Self.store(words.2, in: &span, at: start + 32)
        Self.store(words.3, in: &span, at: start + 48)
    }

    @inline(__always)
    private static func store(_ word: UInt64, in text: inout MutableSpan<UInt8>, at offset: Int) {
        let number = word.byteSwapped
        text.store(HexadecimalWord(number: UInt32(number >> 32)).digits, at: offset)
        text.store(
            HexadecimalWord(number: UInt32(truncatingIfNeeded: number)).digits, at: offset + 8)
    }

    /// The form used in the interface: `sha256:` followed by 64 hexadecimal digits.
    package var tagged: String { "sha256:" + hex }

    package static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }

    package func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

/// Incremental SHA-256 (FIPS 180-4) by OpenSSL. Does not allocate.
package struct SHA256Hasher {
    private var context = SHA256_CTX()

    package init() {
        // Safety: we own the context for the duration of the call, here and below.
        unsafe SHA256_Init(&context)
    }

    package mutating func update(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBytes { buffer in
            _ = unsafe SHA256_Update(&context, buffer.baseAddress, buffer.count)
        }
    }

    package mutating func update(_ byte: UInt8) {
        var byte = byte
        unsafe SHA256_Update(&context, &byte, 1)
    }

    package mutating func update(_ digest: Digest) {
        var digest = digest
        unsafe SHA256_Update(&context, &digest, Digest.byteCount)
    }

    /// The digest of all bytes given so far. Consumes the hasher.
    package consuming func finish() -> Digest {
        var digest = Digest.zero
        // Safety: a Digest is 32 bytes without padding, which is what SHA256_Final writes.
        unsafe withUnsafeMutableBytes(of: &digest) { buffer in
            _ = unsafe SHA256_Final(
                buffer.baseAddress!.assumingMemoryBound(to: UInt8.self), &context)
        }
        return digest
    }
}

extension Digest {
    /// The SHA-256 of `bytes`.
    package static func sha256(_ bytes: Span<UInt8>) -> Digest {
        var hasher = SHA256Hasher()
        hasher.update(bytes)
        return hasher.finish()
    }

    package static func sha256(_ bytes: [UInt8]) -> Digest { sha256(bytes.span) }
}
