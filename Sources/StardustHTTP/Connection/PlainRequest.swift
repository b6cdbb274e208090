internal import LedgerFormat

/// A look-up in the form nearly every client sends: one complete GET of a path, without a body and
/// without a header that changes anything. Every other form goes to the decoder.
struct PlainRequest {
    /// Path and query.
    let target: String

    /// Headers that do not change how a request is answered.
    private static let idleHeaders: [StaticString] = ["user-agent", "accept", "accept-encoding"]
    private static let linesMax = 16

    /// Nil unless `bytes` are exactly one such request, from its first to its last byte (RFC 9112
    /// sections 3 and 5).
    init?(_ bytes: Span<UInt8>) {
        guard bytes.count <= ConnectionLimits.headerBytes, bytes.has("GET /", at: 0) else {
            return nil
        }
        let start = 4
        var index = start
        while index < bytes.count, bytes[index] &- 0x21 < 0x5E { index += 1 }
        let targetEnd = index
        guard bytes.has(" HTTP/1.1\r\n", at: index) else { return nil }
        index += " HTTP/1.1\r\n".utf8.count
        var hosts = 0
        for _ in 0..<Self.linesMax {
            if bytes.has("\r\n", at: index) {
                guard index + 2 == bytes.count, hosts == 1 else { return nil }
                target = String(utf8: bytes.extracting(start..<targetEnd))
                return
            }
            if let end = Self.endOfOwnHost(bytes, from: index) {
                hosts += 1
                index = end
            } else {
                guard let end = Self.endOfIdleHeader(bytes, from: index) else { return nil }
                index = end
            }
        }
        return nil
    }

    /// The end of a header `host` that names a machine without a dot, as every client on a Unix
    /// socket sends it; nil for any other header.
    private static func endOfOwnHost(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        guard start + 5 < bytes.count, bytes.hasAnyCase("host", in: start..<start + 4),
            bytes[start + 4] == UInt8(ascii: ":")
        else { return nil }
        var index = start + 5
        while index < bytes.count, bytes[index] == UInt8(ascii: " ") { index += 1 }
        while index < bytes.count,
            bytes[index] &- 0x30 < 10 || (bytes[index] | 0x20) &- 0x61 < 26
                || bytes[index] == UInt8(ascii: "-")
        {
            index += 1
        }
        return bytes.has("\r\n", at: index) ? index + 2 : nil
    }

    /// The end of the header line that begins at `start`; nil if the header may matter.
    private static func endOfIdleHeader(_ bytes: Span<UInt8>, from start: Int) -> Int? {
        var index = start
        while index < bytes.count, bytes[index] != UInt8(ascii: ":") { index += 1 }
        let name = start..<index
        guard idleHeaders.contains(where: { bytes.hasAnyCase($0, in: name) }) else { return nil }
        while index < bytes.count, bytes[index] &- 0x20 < 0x5F { index += 1 }
        return bytes.has("\r\n", at: index) ? index + 2 : nil
    }
}

extension Span<UInt8> {
    fileprivate func has(_ text: StaticString, at offset: Int) -> Bool {
        guard offset + text.utf8CodeUnitCount <= count else { return false }
        for index in 0..<text.utf8CodeUnitCount where self[offset + index] != text.byte(at: index) {
            return false
        }
        return true
    }

    /// Whether a range equals `text` in any case. `text` has only lower-case letters and dashes.
    fileprivate func hasAnyCase(_ text: StaticString, in range: Range<Int>) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        for index in 0..<range.count {
            let byte = self[range.lowerBound + index]
            let lower = byte &- 0x41 < 26 ? byte | 0x20 : byte
            if lower != text.byte(at: index) { return false }
        }
        return true
    }
}
