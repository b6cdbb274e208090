package import Packets

/// Finds what may be the name of an asset in texts: the whole text, and each piece of it between spaces,
/// quotes, brackets, commas and the like, as in the command of a renderer.
package struct NameScanner: Sendable {
    private let endpoints: Set<String>

    package init(endpoints: Set<String>) { self.endpoints = endpoints }

    /// Passes the names in every string of a document to `take`, keys included.
    package func scan(_ document: JSONDocument, _ take: (AssetURI) -> Void) {
        scan(document.bytes.span, document.tokens, take)
    }

    package func scan(_ bytes: Span<UInt8>, _ tokens: [JSONToken], _ take: (AssetURI) -> Void) {
        for token in tokens where token.kind == .string || token.kind == .key {
            guard Self.hasSlash(bytes.extracting(token.bytes)) else { continue }
            scan(text: bytes.text(token), take)
        }
    }

    /// Passes the names in a text to `take`.
    package func scan(text: [UInt8], _ take: (AssetURI) -> Void) {
        guard Self.hasSlash(text.span) else { return }
        if let uri = AssetURI(String(decoding: text, as: UTF8.self), endpoints: endpoints) {
            take(uri)
            // Mostly there is nothing else in it.
            if !text.contains(where: { Self.isBorder($0) || Self.endsSentences($0) }),
                text.lastIndex(of: UInt8(ascii: ":")) == text.firstIndex(of: UInt8(ascii: ":"))
            {
                return
            }
        }
        var start = 0
        for index in 0...text.count
        where index == text.count || Self.isBorder(text[index]) {
            scan(piece: text[start..<index], take)
            start = index + 1
        }
    }

    /// A piece may be a path, or have a URL in it from its scheme on; a sentence's end is not a name's.
    private func scan(piece: ArraySlice<UInt8>, _ take: (AssetURI) -> Void) {
        guard piece.contains(UInt8(ascii: "/")) else { return }
        var starts = [piece.startIndex]
        for index in piece.indices.dropLast(2)
        where piece[index...].starts(with: Array("://".utf8)) {
            let scheme = piece[..<index].lastIndex { !Self.isOfScheme($0) }.map { $0 + 1 }
            starts.append(scheme ?? piece.startIndex)
        }
        for start in Set(starts) {
            var name = piece[start...]
            while true {
                let text = String(decoding: name, as: UTF8.self)
                if let uri = AssetURI(text, endpoints: endpoints) { take(uri) }
                guard let last = name.last, Self.endsSentences(last) || last == UInt8(ascii: ":")
                else { break }
                name = name.dropLast()
            }
        }
    }

    private static func endsSentences(_ byte: UInt8) -> Bool {
        [UInt8(ascii: "."), UInt8(ascii: "!"), UInt8(ascii: "?")].contains(byte)
    }

    private static func isOfScheme(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
            || (0x61...0x7A).contains(byte)
    }

    private static func hasSlash(_ bytes: Span<UInt8>) -> Bool {
        for index in bytes.indices where bytes[index] == UInt8(ascii: "/") { return true }
        return false
    }

    private static func isBorder(_ byte: UInt8) -> Bool {
        switch byte {
        case 0...0x20, UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"), UInt8(ascii: "<"),
            UInt8(ascii: ">"), UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "["),
            UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: ","),
            UInt8(ascii: ";"), UInt8(ascii: "|"):
            true
        default: false
        }
    }
}
