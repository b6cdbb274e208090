/// Which way a graph grows.
package enum GraphLayout: String, CaseIterable, Sendable {
    /// Parents above.
    case portrait
    /// Parents at the left: for a slide.
    case landscape
}

/// The chain as a graph, in the languages of two programs that draw.
extension Chain {
    /// For Graphviz.
    package func dot(_ layout: GraphLayout = .portrait) -> String {
        let picture = ChainPicture(self).drawing()
        var lines = [
            "digraph chain {", "  rankdir=\(layout == .portrait ? "BT" : "RL");",
            "  node [shape=box, fontname=\"sans-serif\"];",
            "  edge [fontname=\"sans-serif\", fontsize=10];",
        ]
        for node in picture.nodes {
            let label = node.lines.map(Self.dotEscaped).joined(separator: "\\n")
            lines.append("  \(node.id) [label=\"\(label)\"\(Self.dotLook(node.look))];")
        }
        for arrow in picture.arrows {
            let style = arrow.isLate ? ", style=dotted" : ""
            let label = Self.dotEscaped(arrow.label)
            lines.append("  \(arrow.from) -> \(arrow.to) [label=\"\(label)\"\(style)];")
        }
        return (lines + ["}"]).joined(separator: "\n") + "\n"
    }

    private static func dotLook(_ look: ChainPicture.Look) -> String {
        switch look {
        case .packet: ""
        case .target: ", penwidth=3"
        case .doubtful: ", color=red"
        case .outside: ", style=dashed"
        }
    }

    /// A label in quotation marks: there are escapes, and entities as in HTML.
    private static func dotEscaped(_ text: String) -> String {
        text.escapedForTerminals.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case "&": "&amp;"
            default: String(scalar)
            }
        }.joined()
    }

    /// For Mermaid. It refuses longer text and more arrows, so what is far from the target may be
    /// left out; a comment and a node then say how much.
    package func mermaid(_ layout: GraphLayout = .portrait) -> String {
        let picture = ChainPicture(self)
        func text(_ nodesMax: Int) -> String? {
            let drawing = picture.drawing(nodesMax: nodesMax)
            guard drawing.arrows.count <= MermaidLimits.arrows else { return nil }
            let text = Self.mermaid(drawing, layout)
            return text.utf16.count <= MermaidLimits.characters ? text : nil
        }
        // The most nodes whose text fits; a single one always does.
        var (fits, most) = (1, min(picture.nodeCount, MermaidLimits.nodes))
        if let text = text(most) { return text }
        while fits < most {
            let half = (fits + most + 1) / 2
            if text(half) != nil { fits = half } else { most = half - 1 }
        }
        return text(fits) ?? "graph BT\n"
    }

    private static func mermaid(_ drawing: ChainPicture.Drawing, _ layout: GraphLayout) -> String {
        var lines = ["graph \(layout == .portrait ? "BT" : "RL")"]
        if drawing.omitted > 0 {
            lines.append("%% \(drawing.omitted) more are not drawn: Mermaid takes no larger graph")
        }
        for node in drawing.nodes {
            let label = node.lines.map(mermaidEscaped).joined(separator: "<br/>")
            let ends = node.look == .outside ? ("([", "])") : ("[", "]")
            lines.append("  \(node.id)\(ends.0)\"\(label)\"\(ends.1)")
            if let look = mermaidLook(node.look) { lines.append("  style \(node.id) \(look)") }
        }
        for arrow in drawing.arrows {
            let line = arrow.isLate ? "-.->" : "-->"
            let label = arrow.label.isEmpty ? "" : "|\"\(mermaidEscaped(arrow.label))\"|"
            lines.append("  \(arrow.from) \(line)\(label) \(arrow.to)")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func mermaidLook(_ look: ChainPicture.Look) -> String? {
        switch look {
        case .packet, .outside: nil
        case .target: "stroke-width:4px"
        case .doubtful: "stroke:red"
        }
    }

    /// Everything but plain letters, digits and spaces as an entity: Mermaid reads directives and
    /// HTML in labels. Line breaks, formulas and icons it looks for once entities are resolved, so an
    /// invisible word joiner stands within what looks like one.
    private static func mermaidEscaped(_ text: String) -> String {
        let scalars = Array(text.escapedForTerminals.unicodeScalars)
        return scalars.indices.map { index in
            let (scalar, next) = (
                scalars[index], index + 1 < scalars.count ? scalars[index + 1] : " "
            )
            let isPlain = scalar.isASCII && scalar.properties.isAlphabetic
            if isPlain || scalar == " " || scalar.value &- 0x30 < 10 { return String(scalar) }
            let joins = ["\\", "$", "ﬂ", "¶"].contains(scalar) || (scalar == ":" && next == "f")
            return "#\(scalar.value);" + (joins ? "#\(0x2060);" : "")
        }.joined()
    }
}

/// What Mermaid draws unless a page sets other limits: `maxTextSize` and `maxEdges`.
private enum MermaidLimits {
    static let characters = 50_000
    static let arrows = 500
    /// No text of more nodes is shorter than `characters`.
    static let nodes = characters / 20
}
