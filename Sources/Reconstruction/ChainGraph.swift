internal import LedgerFormat
internal import Packets

/// The chain as a graph: packets, and edges from child to parent.
extension Chain {
    /// For Graphviz.
    package var dot: String {
        var lines = [
            "digraph chain {", "  rankdir=BT;", "  node [shape=box, fontname=\"sans-serif\"];",
        ]
        for entry in packets {
            let label = label(entry).map(Self.dotEscaped).joined(separator: "\\n")
            let color = entry.isTainted == true ? ", color=red" : ""
            lines.append("  p\(entry.packet.position) [label=\"\(label)\"\(color)];")
        }
        for node in outside {
            lines.append(
                "  \(node.id) [label=\"\(Self.dotEscaped(node.label))\", style=dashed];")
        }
        for edge in edges {
            let style = edge.order == .late ? ", style=dotted" : ""
            lines.append(
                "  p\(edge.from) -> \(target(edge)) "
                    + "[label=\"\(Self.dotEscaped(edge.relation))\"\(style)];")
        }
        return (lines + ["}"]).joined(separator: "\n") + "\n"
    }

    /// For Mermaid.
    package var mermaid: String {
        var lines = ["graph BT"]
        for entry in packets {
            let label = label(entry).map(Self.mermaidEscaped).joined(separator: "<br/>")
            lines.append("  p\(entry.packet.position)[\"\(label)\"]")
        }
        for node in outside {
            lines.append("  \(node.id)([\"\(Self.mermaidEscaped(node.label))\"])")
        }
        for edge in edges {
            let arrow = edge.order == .late ? "-.->" : "-->"
            lines.append(
                "  p\(edge.from) \(arrow)|\"\(Self.mermaidEscaped(edge.relation))\"| "
                    + target(edge))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func label(_ entry: Entry) -> [String] {
        let packet = entry.packet
        var label = ["\(packet.entityType) \(packet.event ?? "")", "\(packet.entityID)"]
        if let chosen = packet.decision?.chosen {
            label.append("chose \(String(decoding: chosen, as: UTF8.self).shortened(to: 60))")
        }
        return label + ["position \(packet.position)"]
    }

    /// Edge targets that are not among the packets.
    private var outside: [(id: String, label: String)] {
        let walked = Set(packets.map(\.packet.position))
        var seen: Set<String> = []
        var nodes: [(id: String, label: String)] = []
        for edge in edges {
            if let to = edge.to, walked.contains(to) { continue }
            let id = target(edge)
            guard seen.insert(id).inserted else { continue }
            let named = String(decoding: edge.reference.source, as: UTF8.self).shortened(to: 120)
            let label =
                edge.to.map { "position \($0), not followed" } ?? edge.reference.uri
                ?? "not in the ledger: \(named)"
            nodes.append((id, label))
        }
        return nodes
    }

    private func target(_ edge: ChainEdge) -> String {
        edge.to.map { "p\($0)" } ?? "m\(edge.from)_\(edge.reference.index)"
    }

    private static func dotEscaped(_ text: String) -> String {
        text.escapedForTerminals.unicodeScalars.map { scalar in
            scalar == "\"" || scalar == "\\" ? "\\\(scalar)" : String(scalar)
        }.joined()
    }

    private static func mermaidEscaped(_ text: String) -> String {
        text.escapedForTerminals.unicodeScalars.map { scalar in
            ["\"", "<", ">", "#", "&", "\\", "|", "`"].contains(scalar)
                ? "#\(scalar.value);" : String(scalar)
        }.joined()
    }
}
