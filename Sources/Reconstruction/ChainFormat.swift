/// The output formats of a chain.
package enum ChainFormat: String, CaseIterable, Sendable {
    case json, text, dot, mermaid, prov

    package var contentType: String {
        switch self {
        case .json, .prov: "application/json"
        case .text, .mermaid: "text/plain; charset=utf-8"
        case .dot: "text/vnd.graphviz; charset=utf-8"
        }
    }
}

extension Chain {
    /// The document in one of its formats. Nil if it is longer than `bytesMax`.
    package func rendered(
        _ format: ChainFormat, bytesMax: Int = ChainLimits.documentBytesMax
    ) -> [UInt8]? {
        let bytes: [UInt8]? =
            switch format {
            case .json: json(bytesMax: bytesMax).map { $0 + [0x0A] }
            case .text: Array(text.utf8)
            case .dot: Array(dot.utf8)
            case .mermaid: Array(mermaid.utf8)
            case .prov: provenance + [0x0A]
            }
        return bytes.flatMap { $0.count > bytesMax ? nil : $0 }
    }
}
