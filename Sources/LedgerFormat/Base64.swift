internal import CLibCrypto

/// Base64 with the standard alphabet and padding (RFC 4648 section 4). Canonical form only.
package enum Base64 {
    package static func encoded(_ bytes: [UInt8]) -> String {
        // Safety: EVP_EncodeBlock writes four characters per started group of three bytes, then a
        // zero byte.
        var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let count = unsafe EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
        return String(decoding: text.prefix(Int(count)), as: UTF8.self)
    }

    /// Nil for anything but what `encoded` returns: white space, missing padding and bits set after
    /// the last byte are all refused.
    package static func decoded(_ text: some Collection<UInt8>) -> [UInt8]? {
        let text = Array(text)
        guard text.count.isMultiple(of: 4), text.count <= 1 << 24 else { return nil }
        let padding = text.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        var bytes = [UInt8](repeating: 0, count: text.count / 4 * 3)
        // Safety: EVP_DecodeBlock writes three bytes per four characters, which fills `bytes`.
        let count = unsafe EVP_DecodeBlock(&bytes, text, Int32(text.count))
        guard Int(count) == bytes.count else { return nil }
        bytes.removeLast(padding)
        return encoded(bytes).utf8.elementsEqual(text) ? bytes : nil
    }

    package static func digest(_ text: some Collection<UInt8>) -> Digest? {
        guard let bytes = decoded(text), bytes.count == Digest.byteCount else { return nil }
        return Digest(bytes.span)
    }
}

extension Digest {
    /// 44 characters, the form of a hash in C2SP formats.
    package var base64: String { Base64.encoded(bytes) }
}
