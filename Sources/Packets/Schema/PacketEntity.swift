package import LedgerFormat

/// The row that a stored packet is about.
package struct PacketEntity: Hashable, Sendable {
    package var type: String
    package var id: UUID128

    package init(type: String, id: UUID128) { (self.type, self.id) = (type, id) }

    /// Reads an admitted payload. If `entity_type` and `entity_id` come early, as most workers
    /// write them, the rest is not read. Nil if the payload is not a packet.
    package init?(_ payload: Span<UInt8>) {
        if let found = Self.atFront(of: payload) {
            self = found
            return
        }
        var parser = JSONParser()
        guard (try? parser.parse(payload)) != nil,
            let outline = PacketOutline(parser.tokens, payload)
        else { return nil }
        self.init(type: outline.entityType, id: outline.entityID)
    }

    /// Reads the first members of the top object as long as they are plain strings. Nil unless both
    /// are among them. No name repeats, or the payload would not have been admitted.
    private static func atFront(of payload: Span<UInt8>) -> PacketEntity? {
        var (type, id): (String?, UUID128?)
        var index = 0
        guard step(payload, &index, over: "{") else { return nil }
        while true {
            guard let name = text(payload, &index), step(payload, &index, over: ":"),
                let value = text(payload, &index)
            else { return nil }
            switch ShortText(payload, name).flatMap(MemberName.named) {
            case .entityType: type = String(utf8: payload.extracting(value))
            case .entityID: id = UUID128(text: payload.extracting(value))
            default: break
            }
            if let type, let id { return PacketEntity(type: type, id: id) }
            guard step(payload, &index, over: ",") else { return nil }
        }
    }

    /// Steps over a character and the white space before it; false if it is not next.
    private static func step(
        _ bytes: Span<UInt8>, _ index: inout Int, over character: Unicode.Scalar
    ) -> Bool {
        while index < bytes.count, JSONText.isSpace(bytes[index]) { index += 1 }
        guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    /// The range of the next string's text. Nil for any other value, and for a string with escapes
    /// or non-ASCII characters.
    private static func text(_ bytes: Span<UInt8>, _ index: inout Int) -> Range<Int>? {
        guard step(bytes, &index, over: "\"") else { return nil }
        let start = index
        index = JSONText.firstSpecial(bytes, from: start)
        guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { return nil }
        index += 1
        return start..<index - 1
    }
}
