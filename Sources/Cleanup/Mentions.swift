/// Texts in a form in which different spellings of one name are the same: escapes of URLs and of JSON are undone as
/// often as they can be, letters are small. Protects more than it must.
package enum LooseText {
    package static func of(_ text: some Sequence<UInt8>) -> [UInt8] {
        var bytes = text.map(small)
        for _ in 0..<8 {
            let before = bytes.count
            if bytes.contains(UInt8(ascii: "%")) { bytes = withoutPercents(bytes) }
            if bytes.contains(UInt8(ascii: "\\")) { bytes = withoutBackslashes(bytes) }
            guard bytes.count < before else { break }
        }
        return bytes
    }

    private static func small(_ byte: UInt8) -> UInt8 {
        (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }

    /// What is no escape stays.
    private static func withoutPercents(_ bytes: [UInt8]) -> [UInt8] {
        var (result, index) = ([UInt8](), 0)
        result.reserveCapacity(bytes.count)
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
                let high = digit(bytes[index + 1]), let low = digit(bytes[index + 2])
            {
                result.append(small(high << 4 | low))
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }

    /// `\/`, `\"`, `\\` and `\u` with four digits; a pair of surrogates is one character.
    private static func withoutBackslashes(_ bytes: [UInt8]) -> [UInt8] {
        var (result, index) = ([UInt8](), 0)
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.count else {
                result.append(bytes[index])
                index += 1
                continue
            }
            if bytes[index + 1] == UInt8(ascii: "u"), let first = unit(bytes, index + 2) {
                index += 6
                var units = [first]
                if UTF16.isLeadSurrogate(first), index + 5 < bytes.count,
                    bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u"),
                    let second = unit(bytes, index + 2)
                {
                    units.append(second)
                    index += 6
                }
                result += String(decoding: units, as: UTF16.self).utf8.map(small)
            } else {
                result.append(bytes[index + 1])
                index += 2
            }
        }
        return result
    }

    private static func unit(_ bytes: [UInt8], _ start: Int) -> UInt16? {
        guard start + 4 <= bytes.count else { return nil }
        var value: UInt16 = 0
        for byte in bytes[start..<start + 4] {
            guard let digit = digit(byte) else { return nil }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x61...0x66: byte - 0x57
        case 0x41...0x46: byte - 0x37
        default: nil
        }
    }
}

/// What counts as the mention of an asset: its name and that of the folder or bucket that it is in, with a slash
/// between, wherever they are in a text and whatever surrounds them.
package struct Mention: Hashable, Comparable, Sendable {
    /// Of the loose form, in this process only.
    private let hash: UInt64

    fileprivate init(_ hash: UInt64) { self.hash = hash }

    package static func < (left: Mention, right: Mention) -> Bool { left.hash < right.hash }

    /// What the names of some assets may have in them, so that no more is looked for.
    package struct Limits: Hashable, Sendable {
        /// Borders in the name of a folder, and of an asset.
        fileprivate var folder = 0
        fileprivate var name = 0

        mutating func include(_ uri: AssetURI) {
            let (text, start, slash) = Mention.parts(of: uri)
            folder = max(folder, text[start..<slash].count(where: Mention.isBorder))
            name = max(name, text[slash...].dropFirst().count(where: Mention.isEnd))
        }
    }

    /// Of an asset.
    package init(_ uri: AssetURI) {
        let (text, start, _) = Self.parts(of: uri)
        self.init(Self.hash(text[start...]))
    }

    /// Whether an asset's name cannot be told from what surrounds it.
    static func isImpossible(_ uri: AssetURI) -> Bool {
        let (text, start, _) = parts(of: uri)
        return text[start...].contains(where: isWall)
    }

    private static func parts(of uri: AssetURI) -> (text: [UInt8], start: Int, slash: Int) {
        let text = LooseText.of(uri.description.utf8)
        let slash = text.lastIndex(of: UInt8(ascii: "/")) ?? 0
        let start = text[..<slash].lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? 0
        return (text, start, slash)
    }

    private static let seed: UInt64 = 0xCBF2_9CE4_8422_2325

    /// FNV-1a of ASCII. Other characters may be composed in several ways, which are the same to a `String`.
    private static func hash(_ bytes: ArraySlice<UInt8>, from start: UInt64 = seed) -> UInt64 {
        guard bytes.allSatisfy({ $0 < 0x80 }) else {
            return UInt64(
                bitPattern: Int64(String(decoding: bytes, as: UTF8.self).lowercased().hashValue))
        }
        var hash = start
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    /// Passes everything in a loose text that may be a mention to `take`. Names may have spaces and brackets in
    /// them, so of several possible beginnings and ends each counts.
    package static func all(in text: [UInt8], _ limits: Limits, _ take: (Mention) -> Void) {
        for middle in text.indices where text[middle] == UInt8(ascii: "/") {
            let starts = starts(text, middle, limits)
            guard !starts.isEmpty else { continue }
            let ends = ends(text, middle, limits)
            for start in starts {
                var (place, current) = (middle + 1, hash(text[start...middle]))
                for end in ends {
                    guard text[start..<end].allSatisfy({ $0 < 0x80 }) else {
                        take(Mention(hash(text[start..<end])))
                        continue
                    }
                    current = hash(text[place..<end], from: current)
                    place = end
                    take(Mention(current))
                }
            }
        }
    }

    /// No name of a file or folder is longer.
    private static let nameBytesMax = 1024

    private static func starts(_ text: [UInt8], _ middle: Int, _ limits: Limits) -> [Int] {
        var (starts, index) = ([Int](), middle)
        while middle - index < nameBytesMax, starts.count <= limits.folder {
            guard index > 0 else {
                if middle > 0 { starts.append(0) }
                return starts
            }
            let before = text[index - 1]
            let isEdge = before == UInt8(ascii: "/") || isWall(before)
            if index < middle, isEdge || isBorder(before) { starts.append(index) }
            if isEdge { return starts }
            index -= 1
        }
        return starts
    }

    private static func ends(_ text: [UInt8], _ middle: Int, _ limits: Limits) -> [Int] {
        var (ends, index) = ([Int](), middle + 1)
        while index - middle <= nameBytesMax, ends.count <= limits.name {
            guard index < text.count else {
                if index > middle + 1 { ends.append(index) }
                return ends
            }
            let isEdge = text[index] == UInt8(ascii: "/") || isWall(text[index])
            if index > middle + 1, isEdge || isEnd(text[index]) { ends.append(index) }
            if isEdge { return ends }
            index += 1
        }
        return ends
    }

    /// What no name goes over.
    private static func isWall(_ byte: UInt8) -> Bool {
        switch byte {
        case 0...0x1F, 0x7F, UInt8(ascii: "\""), UInt8(ascii: "`"), UInt8(ascii: "<"),
            UInt8(ascii: ">"), UInt8(ascii: "|"), UInt8(ascii: "{"), UInt8(ascii: "}"),
            UInt8(ascii: "\\"):
            true
        default: false
        }
    }

    /// What surrounds names, and may be in one.
    private static func isBorder(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: " "), UInt8(ascii: "'"), UInt8(ascii: "("), UInt8(ascii: ")"),
            UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ","), UInt8(ascii: ";"),
            UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "&"), UInt8(ascii: "?"),
            UInt8(ascii: "#"), UInt8(ascii: "@"):
            true
        default: false
        }
    }

    private static func isEnd(_ byte: UInt8) -> Bool {
        isBorder(byte) || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "!")
    }
}
