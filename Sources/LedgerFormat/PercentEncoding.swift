extension String {
    /// The text as a component of a URL: everything but unreserved characters is percent-encoded
    /// (RFC 3986 sections 2.1 and 2.3).
    package var percentEncoded: String {
        var result: [UInt8] = []
        for byte in utf8 {
            let isPlain =
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
                || (0x61...0x7A).contains(byte) || [0x2D, 0x2E, 0x5F, 0x7E].contains(byte)
            if isPlain {
                result.append(byte)
            } else {
                result.append(UInt8(ascii: "%"))
                result += Array(String(byte, radix: 16, uppercase: true).leftPadded.utf8)
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    private var leftPadded: String { utf8.count < 2 ? "0" + self : self }
}

extension String {
    /// The text of a component of a URL; nil if it is not properly encoded, or not UTF-8.
    package init?(percentEncoded text: some StringProtocol) {
        var (bytes, rest) = ([UInt8](), Array(text.utf8)[...])
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, let decoded = [UInt8](hexadecimal: rest.prefix(2)) else {
                return nil
            }
            bytes += decoded
            rest = rest.dropFirst(2)
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        self = text
    }
}
