/// A line of COPY's text format: fields separated by tabs, with backslash escapes.
package struct CopyLine: ~Copyable {
    /// The fields' texts, concatenated.
    package private(set) var text: [UInt8] = []
    /// Where each field is in `text`; nil for NULL.
    package private(set) var fields: [Range<Int>?] = []

    package init() {}

    /// Reads a line, with or without its line feed. False if it is not in this format.
    package mutating func read(_ line: Span<UInt8>) -> Bool {
        text.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
        let end = line.count > 0 && line[line.count - 1] == 0x0A ? line.count - 1 : line.count
        var start = 0
        var index = 0
        while index < end {
            switch line[index] {
            case 0x09:
                fields.append(start..<text.count)
                start = text.count
                index += 1
            case UInt8(ascii: "\\"):
                guard index + 1 < end else { return false }
                let next = line[index + 1]
                index += 2
                guard next == UInt8(ascii: "N"), text.count == start,
                    index == end || line[index] == 0x09
                else {
                    text.append(Self.meaning(next))
                    continue
                }
                fields.append(nil)
                if index == end { return true }
                index += 1
                if index == end { break }
                continue
            case let byte:
                text.append(byte)
                index += 1
            }
        }
        fields.append(start..<text.count)
        return true
    }

    private static func meaning(_ escaped: UInt8) -> UInt8 {
        switch escaped {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        case UInt8(ascii: "v"): 0x0B
        default: escaped
        }
    }
}
