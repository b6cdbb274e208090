package import LedgerFormat

/// Where a stored packet's parts are among its tokens. It was admitted, so only its shape is read.
package struct PacketOutline: Sendable {
    package var entityType: String
    package var entityID: UUID128
    /// Token of `lineage`.
    package var lineage: Int
    /// Token of `decision_chain`; nil if it is missing or null, both of which mean SQL's NULL.
    package var decisionChain: Int?

    /// Nil if the document is not a packet.
    package init?(_ tokens: [JSONToken], _ bytes: Span<UInt8>) {
        guard tokens.first?.kind == .object else { return nil }
        var (type, id, lineage): (String?, UUID128?, Int?) = (nil, nil, nil)
        for key in JSONChildren(tokens, of: 0) {
            let value = key + 1
            switch bytes.memberName(tokens[key]) {
            case .entityType: type = bytes.string(tokens[value])
            case .entityID: id = UUID128(text: bytes.text(tokens[value]).span)
            case .lineage: lineage = value
            case .decisionChain: decisionChain = tokens[value].kind == .null ? nil : value
            default: break
            }
        }
        guard let type, let id, let lineage else { return nil }
        (entityType, entityID, self.lineage) = (type, id, lineage)
    }
}

extension Span<UInt8> {
    /// The member name that a key spells; nil if the schema does not define it.
    @inline(__always)
    package func memberName(_ key: JSONToken) -> MemberName? {
        if key.isEscaped {
            let text = text(key)
            return ShortText(text.span, 0..<text.count).flatMap(MemberName.named)
        }
        return ShortText(self, key.bytes).flatMap(MemberName.named)
    }

    /// The text of a string or key as a string.
    package func string(_ token: JSONToken) -> String {
        guard !token.isEscaped else { return String(decoding: text(token), as: UTF8.self) }
        // Safety: the bytes are read only while they are borrowed.
        return unsafe extracting(token.bytes).withUnsafeBufferPointer {
            unsafe String(decoding: $0, as: UTF8.self)
        }
    }
}

extension JSONDocument {
    /// The value of a member by name; nil if there is none.
    package func member(_ name: String, of object: Int) -> Int? {
        guard tokens[object].kind == .object else { return nil }
        for key in JSONChildren(tokens, of: object) where bytes.span.string(tokens[key]) == name {
            return key + 1
        }
        return nil
    }

    /// The names of an object's members, in the order of the text.
    package func memberNames(of object: Int) -> [String] {
        guard tokens[object].kind == .object else { return [] }
        return JSONChildren(tokens, of: object).map { bytes.span.string(tokens[$0]) }
    }

    /// Passes `body` the name and value of each member whose name the schema defines.
    package func eachKnownMember(of object: Int, _ body: (MemberName, Int) -> Void) {
        guard tokens[object].kind == .object else { return }
        for key in JSONChildren(tokens, of: object) {
            if let name = bytes.span.memberName(tokens[key]) { body(name, key + 1) }
        }
    }

    /// The text of a string; nil for any other value.
    package func string(_ index: Int) -> String? {
        tokens[index].kind == .string ? bytes.span.string(tokens[index]) : nil
    }

    /// The UUID that a string spells; nil if it is not one. The form without dashes is accepted
    /// only if `isAllowed`.
    package func id(_ index: Int, withoutDashes isAllowed: Bool = false) -> UUID128? {
        let token = tokens[index]
        func read(_ text: Span<UInt8>) -> UUID128? {
            isAllowed ? UUID128(anyText: text) : UUID128(text: text)
        }
        if token.isEscaped { return read(bytes.span.text(token).span) }
        return read(bytes.span.extracting(token.bytes))
    }

    /// A value as it was written, strings with their quotes.
    package func source(_ index: Int) -> ArraySlice<UInt8> {
        let range = tokens[index].bytes
        let isText = tokens[index].kind == .string || tokens[index].kind == .key
        return isText ? bytes[range.lowerBound - 1..<range.upperBound + 1] : bytes[range]
    }
}
