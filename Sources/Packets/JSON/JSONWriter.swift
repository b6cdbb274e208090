package import LedgerFormat

/// Writes JSON text piece by piece. The caller is responsible for correct nesting; the writer adds
/// commas and escapes. Control characters and those that change text direction are escaped.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false
    /// Beyond this size arrays are cut short, and the text is unusable.
    private let bytesMax: Int

    package init(bytesMax: Int = .max) { self.bytesMax = bytesMax }

    /// Whether the text exceeds its limit.
    package var isTooLong: Bool { bytes.count > bytesMax }

    /// Starts over, keeping the memory.
    package mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    /// A place to return to.
    package struct Mark: Sendable {
        fileprivate var count: Int
        fileprivate var needsComma: Bool
    }

    package var mark: Mark { Mark(count: bytes.count, needsComma: needsComma) }

    /// Discards everything written since `mark`.
    package mutating func cut(to mark: Mark) {
        bytes.removeSubrange(mark.count...)
        needsComma = mark.needsComma
    }

    package mutating func beginObject() { open(UInt8(ascii: "{")) }
    package mutating func endObject() { close(UInt8(ascii: "}")) }
    package mutating func beginArray() { open(UInt8(ascii: "[")) }
    package mutating func endArray() { close(UInt8(ascii: "]")) }

    package mutating func key(_ name: StaticString) {
        separate()
        appendASCII(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    /// A member's name that is only known at run time.
    package mutating func key(_ name: String) {
        string(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    package mutating func string(_ text: String) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        append(text)
        bytes.append(UInt8(ascii: "\""))
    }

    /// An id, followed by `#` and the fragment if there is one.
    package mutating func string(_ id: UUID128, fragment: String? = nil) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        id.appendText(to: &bytes)
        if let fragment {
            bytes.append(UInt8(ascii: "#"))
            append(fragment)
        }
        bytes.append(UInt8(ascii: "\""))
    }

    package mutating func integer(_ value: Int) {
        separate()
        bytes.append(decimal: value)
    }

    /// Numbers from outside may exceed an `Int`.
    package mutating func integer(_ value: UInt64) {
        separate()
        if let value = Int(exactly: value) { return bytes.append(decimal: value) }
        bytes.append(contentsOf: String(value).utf8)
    }

    package mutating func boolean(_ value: Bool) { raw(value ? "true" : "false") }
    package mutating func null() { raw("null") }

    /// JSON that already exists as text, copied unchanged.
    package mutating func json(_ text: ArraySlice<UInt8>) {
        separate()
        bytes.append(contentsOf: text)
    }

    package mutating func json(_ text: [UInt8]) { json(text[...]) }

    /// Reserves room for `count` more bytes.
    package mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    /// A string of characters that need no escape, appended by `body`.
    package mutating func plainString(_ body: (inout [UInt8]) -> Void) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        body(&bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// An array. `write` is called for each element.
    package mutating func array<Element>(
        _ elements: [Element], _ write: (Element, inout JSONWriter) -> Void
    ) {
        beginArray()
        for element in elements {
            if isTooLong { break }
            write(element, &self)
        }
        endArray()
    }

    package mutating func member(_ name: StaticString, _ text: String) {
        key(name)
        string(text)
    }

    package mutating func member(_ name: String, _ text: String) {
        key(name)
        string(text)
    }

    package mutating func member(_ name: StaticString, _ value: Int) {
        key(name)
        integer(value)
    }

    package mutating func member(_ name: StaticString, _ value: UInt64) {
        key(name)
        integer(value)
    }

    package mutating func member(_ name: String, _ value: Int) {
        key(name)
        integer(value)
    }

    package mutating func member(_ name: StaticString, _ value: Bool) {
        key(name)
        boolean(value)
    }

    package mutating func member(_ name: StaticString, _ id: UUID128) {
        key(name)
        plainString { id.appendText(to: &$0) }
    }

    package mutating func member(_ name: StaticString, _ time: Timestamp) {
        key(name)
        plainString { time.appendText(to: &$0) }
    }

    package mutating func member(_ name: StaticString, _ digest: Digest) {
        key(name)
        plainString { text in
            text.append("sha256:")
            digest.appendHex(to: &text)
        }
    }

    // MARK: Pieces

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func raw(_ text: StaticString) {
        separate()
        bytes.append(text)
    }

    private mutating func appendASCII(_ name: StaticString) {
        bytes.append(UInt8(ascii: "\""))
        bytes.append(name)
        bytes.append(UInt8(ascii: "\""))
    }

    private mutating func append(_ text: String) {
        let start = bytes.count
        bytes.append(contentsOf: text.utf8)
        let isPlain = bytes[start...].allSatisfy {
            $0 &- 0x20 < 0x5F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
        if isPlain { return }
        bytes.removeSubrange(start...)
        for scalar in text.unicodeScalars { append(scalar) }
    }

    private mutating func append(_ scalar: Unicode.Scalar) {
        switch scalar {
        case "\"", "\\":
            bytes.append(UInt8(ascii: "\\"))
            bytes.append(UInt8(ascii: scalar))
        case "\n": bytes.append(contentsOf: [0x5C, 0x6E])
        default:
            guard scalar.isUnsafeOnTerminals else {
                bytes.append(contentsOf: UTF8.encode(scalar)!)
                return
            }
            for unit in UTF16.encode(scalar)! {
                bytes.append(contentsOf: [0x5C, 0x75])
                bytes.append(hexadecimal: UInt8(unit >> 8))
                bytes.append(hexadecimal: UInt8(unit & 0xFF))
            }
        }
    }
}

extension Unicode.Scalar {
    /// Control characters, those that reorder or hide the text around them, and those that are
    /// none, which XML cannot hold.
    package var isUnsafeOnTerminals: Bool {
        if value &- 0x20 < 0x5F { return false }
        return switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: properties.isNoncharacterCodePoint
        }
    }
}
