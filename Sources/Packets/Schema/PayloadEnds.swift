package import LedgerFormat

/// A packet's id and time, read from its two ends, where workers usually put them.
///
/// The first member of the top object is read from the front. The last one is read backwards: a
/// quote after a colon or before a comma cannot be escaped, so the member that ends at the final
/// brace belongs to the top object. Nil if either is missing; then the packet must be parsed.
package enum PayloadEnds {
    package static func read(
        _ payload: Span<UInt8>
    ) -> (stardustID: UUID128, createdAt: Timestamp)? {
        guard let id = first(payload), let time = last(payload) else { return nil }
        return (id, time)
    }

    private static let idStart = ShortText("{\"stardust_id\":")
    private static let idStartCount = 15
    private static let timeStart = ShortText("\"created_at\":")
    private static let timeStartCount = 13

    private static func first(_ payload: Span<UInt8>) -> UUID128? {
        guard payload.count > idStartCount, ShortText(payload, 0..<idStartCount) == idStart else {
            return nil
        }
        var start = idStartCount
        if start < payload.count, payload[start] == 0x20 { start += 1 }
        let end = start + UUID128.textCount + 1
        guard end < payload.count, payload[start] == UInt8(ascii: "\""),
            payload[end] == UInt8(ascii: "\"")
        else { return nil }
        return UUID128(text: payload.extracting(start + 1..<end))
    }

    private static func last(_ payload: Span<UInt8>) -> Timestamp? {
        guard payload.count > 2, payload[payload.count - 1] == UInt8(ascii: "}"),
            payload[payload.count - 2] == UInt8(ascii: "\"")
        else { return nil }
        let end = payload.count - 2
        var start = end
        while start > 0, end - start < 40, payload[start - 1] != UInt8(ascii: "\"") { start -= 1 }
        var key = start - 1  // The quote that opens the value.
        guard key > 0 else { return nil }
        if payload[key - 1] == 0x20 { key -= 1 }
        key -= timeStartCount
        guard key > 0, ShortText(payload, key..<key + timeStartCount) == timeStart,
            [UInt8(ascii: ","), 0x20].contains(payload[key - 1])
        else { return nil }
        return Timestamp(rfc3339: payload.extracting(start..<end))
    }
}
