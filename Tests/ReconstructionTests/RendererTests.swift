import Foundation
import LedgerFormat
import LedgerTestSupport
import Packets
import Reconstruction
import TestSupport
import Testing

/// Pictures and documents as the programs of others draw and read them, from packets whose every text
/// looks like their syntax.
@Suite struct RendererTests {
    // MARK: Ugly texts

    private static let pieces = [
        "\"", "'", "`", "\\", "\\n", "\\N", "C:\\new", "\"]", "\"];", "]]", "))", "}", "{{", "|",
        "||",
        "-->", "--", "==>", "~~~", "%%",
        "%%{init: {'themeCSS': '.node:first-child{display:none}'}}%%",
        "%%{wrap}%%", "---", "---\ntitle: x\n---", "end", "subgraph", "graph TD",
        "click p0 href \"x\"",
        "style p0 display:none", "class p0 hidden", "classDef default fill:#000", ":::hidden",
        "linkStyle 0 stroke-width:0", "&", "&amp;", "&lt;b&gt;", "&#34;", "&#x22;", "&quot;",
        "#quot;",
        "#34;", "#35;", "#", "<", ">", "<b>", "</text>", "<br/>", "<img src=/stolen>",
        "<script>fetch('/stolen')</script>", "<a href='javascript:1'>", "<svg/onload=1>", "<!--",
        "-->x",
        "<![CDATA[", "$$x$$", "$$\\frac{1}{2}$$", "$x$", "fa:fa-ban", "fab:fa-github", "mdi:x",
        "**bold**", "__b__", "*i*", "~~s~~", "# heading", "- item", "1. item", "1) item",
        "[x](/stolen)",
        "![x](/stolen)", "> quote", "`code`", "```", "\u{202E}gnp.exe", "\u{200B}", "\u{FEFF}",
        "\u{9B}31m",
        "\u{1B}[31m", "\u{7F}", "\u{1}", "\u{0B}", "\r\n", "\n", "\t", "\u{2028}", "\u{FFFE}",
        "\u{FFFF}",
        "\u{10FFFF}", "日本語", "é", "e\u{301}", "👩‍👩‍👧", "ﬂ°°x¶ß", "ﬂ°34¶ß", "\u{A0}", ";", "; p9 -> p0;",
        "//", "/*",
        "/* x */", "rankdir=LR", "label=\"x\"", "node [style=invis]", "\\G", "\\l", "\\L", "\\E",
        "\\T",
        "<<b>x</b>>", "prov:type", "xsd:string", "a:b", "urn:x", "_:b", "''", "\"\"", "$", "type",
        "@type",
        "^^xsd:int", "@en", "\\u0022", "\\uD800", "null", "0", "because “policy 9 approved it”",
        "“", "”",
        "RETRACTED", "position 4", "p0", "p1", "@{ shape: circle }", "p0@{ label: \"x\" }",
        "e1@-->", "☃",
    ]

    /// The pieces, some of them amid others, and long ones.
    private static let texts: [String] =
        pieces.filter { !$0.isEmpty }
        + pieces.indices.map { pieces[$0] + " " + pieces[($0 * 7 + 3) % pieces.count] }
        + [String(repeating: "x", count: 128), String(repeating: "\"&<", count: 40)]

    private static func json(_ text: String) -> String {
        var json = JSONWriter()
        json.string(text)
        return String(decoding: json.bytes, as: UTF8.self)
    }

    private static func id(_ number: Int) -> UUID128 { UUID128(high: 0x4000, low: UInt64(number)) }

    /// A parent that was rejected, the packet asked for, and a reference to elsewhere: the text stands
    /// wherever a packet may have some.
    private static func chain(_ text: String) throws -> Chain {
        let (source, text) = (MemorySource(), json(text))
        let reasoning = """
            {"question":\(text),"nodes":[{"id":\(text),"kind":\(text),"agent":\(text),"title":\(text),\
            "votes":{\(text):{"option":\(text),"rationale":\(text)}},"chosen":\(text),\
            "alternatives":[{"id":\(text),"label":\(text),"why_not":\(text)}],"rationale":\(text)}]}
            """
        let said = """
            "event":\(text),"_producer":{"worker":\(text)},"evidence":[{"digest":\
            "sha256:\(String(repeating: "0", count: 64))","uri":\(text),"role":"output"}]
            """
        source.append(
            id(0), type: "clips", entity: id(10), lineage: #""_meta_parents":[],"# + said,
            chain: reasoning)
        source.append(
            id(1), entity: id(11),
            lineage:
                #""_meta_parents":[{"stardust_id":"\#(id(0))","relation":\#(text),"why":\#(text)},"#
                + #"{"uri":\#(text),"relation":\#(text)},{"entity_type":\#(text),"entity_id":"\#(id(9))"}],"#
                + said, chain: reasoning)
        return try Chain(ChainRequest(.packet(id(1))), in: source)
    }

    /// One packet and more children than Mermaid draws arrows.
    private static func star(children: Int) throws -> Chain {
        let source = MemorySource()
        source.append(id(0), entity: id(0), lineage: #""_meta_parents":[]"#)
        for number in 1...children {
            source.append(
                id(number), entity: id(number), lineage: #""_meta_parents":["\#(id(0))"]"#)
        }
        return try Chain(ChainRequest(.packet(id(0)), direction: .downstream), in: source)
    }

    /// A longer text than Mermaid takes, with few arrows.
    private static func deep() throws -> Chain {
        let source = MemorySource()
        source.append(id(0), entity: id(0), lineage: #""_meta_parents":[]"#)
        let event = String(repeating: "\u{201C}", count: 100)
        for number in 1...400 {
            source.append(
                id(number), entity: id(0),
                lineage: #""event":"\#(event)","_meta_parents":["\#(id(number - 1))"]"#)
        }
        var limits = ChainLimits()
        limits.depth = 1_000
        return try Chain(
            ChainRequest(.entity("clips", id(0)), direction: .both, limits: limits), in: source)
    }

    // MARK: What is drawn

    private struct Drawn: Codable {
        var nodes: [String: String?]
        var arrows: [String]
        var error: String?
    }

    /// Without the spaces that programs set as they like, and without what nobody sees.
    private static func plain(_ text: String) -> String {
        text.unicodeScalars.filter { !$0.properties.isWhitespace && $0 != "\u{2060}" }
            .map(String.init).joined()
    }

    private static func expect(_ drawn: Drawn, _ text: String, _ chain: Chain) {
        let drawing = ChainPicture(chain).drawing()
        #expect(drawn.error == nil, "\(text.debugDescription)")
        #expect(drawn.nodes.keys.sorted() == drawing.nodes.map(\.id).sorted(), "\(text)")
        for node in drawing.nodes {
            let (shown, wanted) = (drawn.nodes[node.id] ?? nil, node.lines.joined())
            #expect(
                plain(shown ?? "") == plain(wanted.escapedForTerminals), "\(text.debugDescription)")
        }
        let labels = drawing.arrows.map(\.label).filter { !$0.isEmpty }
        let wanted = labels.map { plain($0.escapedForTerminals) }.sorted()
        let found = drawn.arrows.map(plain).filter { !$0.isEmpty }.sorted()
        #expect(found == wanted, "\(text.debugDescription)")
    }

    @Test(.timeLimit(.minutes(10))) func `no text of a packet is syntax for Mermaid`() throws {
        let python = AuditTools.python
        guard Repository.has("chromium"), try run([python, "-c", Self.lookForMermaid]).status == 0
        else {
            try Repository.skip(lacking: "chromium, or nicegui of PyPI with Mermaid in it,")
        }
        let chains = try Self.texts.map(Self.chain)
        let large = try Self.star(children: 1_500)
        let graphs = try JSONEncoder().encode(
            chains.map { $0.mermaid() } + [large.mermaid(.landscape), Self.deep().mermaid()])
        let script = Repository.root + "/Tests/ReconstructionTests/mermaid.py"
        let result = try run([python, script], input: Array(graphs))
        #expect(result.status == 0, "\(result.error)")
        let drawn = try JSONDecoder().decode([Drawn].self, from: Data(result.output.utf8))
        try #require(drawn.count == Self.texts.count + 2 && drawn.count >= 100)
        for picture in drawn.suffix(2) {
            #expect(picture.error == nil && picture.nodes["p0"] != nil)
            #expect(picture.nodes["others"]??.hasSuffix(" more, not drawn") == true)
            #expect(picture.nodes.count > 100)
        }
        for (index, text) in Self.texts.enumerated() {
            Self.expect(drawn[index], text, chains[index])
        }
    }

    private static let lookForMermaid = """
        import importlib.util as u, sys; sys.exit(u.find_spec('nicegui') is None)
        """

    @Test func `no text of a packet is syntax for Graphviz`() throws {
        guard Repository.has("dot") else { try Repository.skip(lacking: "graphviz") }
        let chains = try Self.texts.map(Self.chain)
        let graphs = try JSONEncoder().encode(chains.map { $0.dot() })
        let script = Repository.root + "/Tests/ReconstructionTests/graphviz.py"
        let result = try run(["/usr/bin/python3", script], input: Array(graphs))
        #expect(result.status == 0, "\(result.error)")
        let drawn = try JSONDecoder().decode([Drawn].self, from: Data(result.output.utf8))
        try #require(drawn.count == Self.texts.count)
        for (index, text) in Self.texts.enumerated() {
            Self.expect(drawn[index], text, chains[index])
        }
    }

    @Test func `no text of a packet spoils PROV in any of its forms`() throws {
        let look = "import prov, lxml, rdflib"
        guard try run(["/usr/bin/python3", "-c", look]).status == 0 else {
            try Repository.skip(lacking: "python3-prov with lxml and rdflib")
        }
        let documents = try Self.texts.map { text in
            String(
                decoding: try Self.chain(text).provenance(of: MemorySource.ledger), as: UTF8.self)
        }
        let script = Repository.root + "/Tests/ReconstructionTests/provenance.py"
        let result = try run(
            ["/usr/bin/python3", script], input: Array(try JSONEncoder().encode(documents)))
        #expect(result.status == 0, "\(result.error)")
        #expect(result.output == "\(documents.count) documents\n")
    }
}
