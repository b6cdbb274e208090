internal import Reconstruction

/// The columns of lists of packets.
struct PacketColumns {
    /// Whether the packets may be about different entities.
    let showsEntity: Bool
    private var columns: TextColumns

    init(_ terminal: Terminal, showsEntity: Bool) {
        self.showsEntity = showsEntity
        columns = TextColumns(
            terminal,
            ["POSITION", "CREATED", "EVENT", "WORKER"] + (showsEntity ? ["ENTITY"] : [])
                + ["STARDUST_ID"])
    }

    mutating func lines(_ packets: [ListedPacket]) -> [String] {
        columns.lines(
            packets.map { packet in
                [packet.position, packet.createdAt, packet.event, packet.worker]
                    + (showsEntity ? [packet.entity] : []) + [packet.stardustID]
            })
    }
}

/// Lists in aligned columns.
struct TextColumns {
    let terminal: Terminal
    let head: [String]
    private var widths: [Int] = []
    private var hasHead = false

    init(_ terminal: Terminal, _ head: [String]) { (self.terminal, self.head) = (terminal, head) }

    /// The lines for some rows. Columns never get narrower than in earlier lines.
    mutating func lines(_ cells: [[String]]) -> [String] {
        // A worker who writes a line end writes no line.
        var rows = cells.map { $0.map(\.escapedForTerminals) }
        if !hasHead, !rows.isEmpty, terminal.isTerminal { rows.insert(head, at: 0) }
        for row in rows {
            widths = row.enumerated().map { index, cell in
                max(cell.count, index < widths.count ? widths[index] : 0)
            }
        }
        return rows.enumerated().map { number, row in
            let isHead = number == 0 && !hasHead && terminal.isTerminal
            defer { hasHead = true }
            let padded = row.enumerated().map { index, cell in
                let space = String(repeating: " ", count: widths[index] - cell.count)
                return index == 0 ? space + cell : index == row.count - 1 ? cell : cell + space
            }
            if isHead { return terminal.dim(padded.joined(separator: "  ")) }
            return padded.enumerated().map { index, cell in
                switch index {
                case 0: terminal.bold(cell)
                case 2: terminal.green(cell)
                case row.count - 1: terminal.dim(cell)
                default: cell
                }
            }.joined(separator: "  ")
        }
    }
}
