package import LedgerFormat

/// The output formats of a chain.
package enum ChainFormat: String, CaseIterable, Sendable {
    case json, text, summary, dot, mermaid, prov

    package var contentType: String {
        switch self {
        case .json, .prov: "application/json"
        case .text, .summary, .mermaid: "text/plain; charset=utf-8"
        case .dot: "text/vnd.graphviz; charset=utf-8"
        }
    }
}

extension Chain {
    /// The document in one of its formats. Nil if it is longer than `bytesMax`.
    package func rendered(
        _ format: ChainFormat, _ layout: GraphLayout = .portrait, of ledger: UUID128,
        bytesMax: Int = ChainLimits.documentBytesMax
    ) -> [UInt8]? {
        let bytes: [UInt8]? =
            switch format {
            case .json: json(bytesMax: bytesMax).map { $0 + [0x0A] }
            case .text: Array(text.utf8)
            case .summary: Array(summary.utf8)
            case .dot: Array(dot(layout).utf8)
            case .mermaid: Array(mermaid(layout).utf8)
            case .prov: provenance(of: ledger) + [0x0A]
            }
        return bytes.flatMap { $0.count > bytesMax ? nil : $0 }
    }
}
