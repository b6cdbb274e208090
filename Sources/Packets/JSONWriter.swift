package import LedgerFormat

/// Writes JSON text piece by piece. The caller keeps the nesting right; commas and escapes are done
/// here. Control characters and those that change the direction of text are escaped.
package struct JSONWriter: Sendable {
    package private(set) var bytes: [UInt8] = []
    private var needsComma = false
    /// Beyond it arrays are not gone on with, and the text is no good.
    private let bytesMax: Int

    package init(bytesMax: Int = .max) { self.bytesMax = bytesMax }

    /// Whether the text became longer than it may.
    package var isTooLong: Bool { bytes.count > bytesMax }

    /// Begins again, keeping the memory.
    package mutating func clear() {
        bytes.removeAll(keepingCapacity: true)
        needsComma = false
    }

    /// A place to come back to.
    package struct Mark: Sendable {
        fileprivate var count: Int
        fileprivate var needsComma: Bool
    }

    package var mark: Mark { Mark(count: bytes.count, needsComma: needsComma) }

    /// Takes back what was written since.
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

    /// A member's name that is made as it is written.
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

    /// An id, with a fragment behind it where there is one.
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

    package mutating func boolean(_ value: Bool) { raw(value ? "true" : "false") }
    package mutating func null() { raw("null") }

    /// JSON that stands already, as it is.
    package mutating func json(_ text: ArraySlice<UInt8>) {
        separate()
        bytes.append(contentsOf: text)
    }

    package mutating func json(_ text: [UInt8]) { json(text[...]) }

    /// Room for so many more bytes.
    package mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    /// A string of characters that need no escape, appended by `body`.
    package mutating func plainString(_ body: (inout [UInt8]) -> Void) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        body(&bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// An array whose elements `write` writes.
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
    /// Control characters, and those that reorder or hide what is shown around them.
    package var isUnsafeOnTerminals: Bool {
        if value &- 0x20 < 0x5F { return false }
        return switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator: true
        default: false
        }
    }
}
