/// Why the ledger does not admit bytes as JSON: what is wrong, and at which byte.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    package var code: Code
    /// Byte offset of the error, from 0.
    package var offset: Int

    package init(_ code: Code, at offset: Int) {
        self.code = code
        self.offset = offset
    }

    package enum Code: String, CaseIterable, Sendable {
        case unexpectedEnd = "unexpected_end"
        case unexpectedByte = "unexpected_byte"
        case trailingBytes = "trailing_bytes"
        case byteOrderMark = "byte_order_mark"
        case invalidUTF8 = "invalid_utf8"
        case controlCharacter = "control_character"
        case nullCharacter = "null_character"
        case invalidEscape = "invalid_escape"
        case loneSurrogate = "lone_surrogate"
        case invalidNumber = "invalid_number"
        case numberTooLong = "number_too_long"
        case exponentTooLarge = "exponent_too_large"
        case duplicateKey = "duplicate_key"
        case tooDeep = "too_deep"
        case tooManyMembers = "too_many_members"
        case tooLong = "too_long"
    }

    package var description: String { "\(code.sentence), at byte \(offset)" }
}

extension JSONError.Code {
    /// What is wrong and what would be right, without the byte offset.
    package var sentence: String {
        switch self {
        case .unexpectedEnd: "the JSON ends too early"
        case .unexpectedByte: "this byte is not allowed here in JSON"
        case .trailingBytes: "there are more bytes after the JSON value"
        case .byteOrderMark: "a byte order mark is not part of JSON; send plain UTF-8"
        case .invalidUTF8: "the bytes are not UTF-8"
        case .controlCharacter: "a control character in a string must be escaped"
        case .nullCharacter: "U+0000 is not admitted because databases cannot store it"
        case .invalidEscape: "this is not a JSON escape"
        case .loneSurrogate: "surrogates must come in pairs"
        case .invalidNumber: "this is not a JSON number"
        case .numberTooLong:
            "a number may have at most \(PacketLimits.numberCharactersMax) characters"
        case .exponentTooLarge:
            "an exponent must be within ±\(PacketLimits.exponentMagnitudeMax)"
        case .duplicateKey: "this key occurs twice in the same object"
        case .tooDeep:
            "objects and arrays nest too deeply; in a packet at most \(PacketLimits.depthMax) levels"
        case .tooLong: "a document may have at most \(PacketLimits.packetBytesMax) bytes"
        case .tooManyMembers: "an object may have at most \(PacketLimits.membersMax) members"
        }
    }
}
