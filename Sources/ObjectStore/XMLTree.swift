internal import CLibExpat

/// An element of an XML document: what is in it, without attributes and namespaces.
struct XMLElement {
    var name: String
    /// The text in it, without that of its elements.
    var text = ""
    var elements: [XMLElement] = []

    /// The first element of a name, at the end of a path of such names.
    subscript(_ path: String...) -> XMLElement? {
        var found: XMLElement? = self
        for name in path { found = found?.elements.first { $0.name == name } }
        return found
    }

    func all(_ name: String) -> [XMLElement] { elements.filter { $0.name == name } }

    /// Parses a document of a store; nil if it is none.
    init?(_ document: [UInt8]) {
        guard document.count <= StoreLimits.answerBytes, let parser = unsafe XML_ParserCreate(nil)
        else { return nil }
        defer { unsafe XML_ParserFree(parser) }
        let reader = unsafe Reader(parser)
        // Safety: the reader outlives the parser, and libexpat calls back only while it parses.
        unsafe XML_SetUserData(parser, Unmanaged.passUnretained(reader).toOpaque())
        unsafe XML_SetElementHandler(
            parser,
            { data, name, _ in
                let reader = unsafe Reader.from(data)
                guard reader.open.count < StoreLimits.elementDepth else {
                    _ = unsafe XML_StopParser(reader.parser, 0)
                    return
                }
                reader.begin(unsafe String(cString: name!))
            }, { data, _ in unsafe Reader.from(data).end() })
        unsafe XML_SetCharacterDataHandler(
            parser,
            { data, text, count in
                let bytes = unsafe UnsafeBufferPointer(start: text, count: Int(count))
                unsafe Reader.from(data).text.append(
                    contentsOf: bytes.lazy.map { UInt8(bitPattern: $0) })
            })
        let status = unsafe document.withUnsafeBytes { buffer in
            unsafe XML_Parse(
                parser, buffer.baseAddress?.assumingMemoryBound(to: CChar.self),
                Int32(buffer.count), 1)
        }
        guard status == XML_STATUS_OK, let root = reader.root else { return nil }
        self = root
    }

    private init(name: String) { self.name = name }

    /// Collects elements while they are parsed.
    @safe private final class Reader {
        let parser: XML_Parser
        var open: [XMLElement] = []
        var root: XMLElement?
        /// What stands behind the last beginning or end of an element.
        var text: [UInt8] = []

        init(_ parser: XML_Parser) { unsafe self.parser = parser }

        static func from(_ data: UnsafeMutableRawPointer?) -> Reader {
            // Safety: it is what XML_SetUserData was given.
            unsafe Unmanaged<Reader>.fromOpaque(data!).takeUnretainedValue()
        }

        func begin(_ name: String) {
            text.removeAll()
            let local = name.split(separator: ":").last.map(String.init) ?? name
            open.append(XMLElement(name: local))
        }

        func end() {
            var element = open.removeLast()
            // The text of an element with elements in it is of no use here.
            if element.elements.isEmpty { element.text = String(decoding: text, as: UTF8.self) }
            text.removeAll()
            if open.isEmpty {
                root = element
            } else {
                open[open.count - 1].elements.append(element)
            }
        }
    }
}
