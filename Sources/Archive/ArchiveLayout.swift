package import LedgerFormat

/// Names of a ledger's objects in a store. `ledger-format.md`, section "Archive", lists them. Numbers
/// have 20 digits, so that names sort as numbers do.
package struct ArchiveLayout: Hashable, Sendable {
    package let ledgerID: UUID128

    package init(_ ledgerID: UUID128) { self.ledgerID = ledgerID }

    package var root: String { "\(ledgerID)/" }
    package var identity: String { root + "identity" }
    package var segments: String { root + "segments/" }
    package var epochs: String { root + "epochs/" }

    package func epoch(_ number: UInt64) -> String { epochs + Self.digits(number) }

    /// Where an epoch's parts are.
    package func parts(_ area: PartArea, _ epoch: UInt64) -> String {
        "\(root)\(area.rawValue)/\(Self.digits(epoch))/"
    }

    package func part(_ epoch: UInt64, _ part: ArchivePart) -> String {
        parts(.open, epoch) + "\(Self.digits(part.first.value))/"
            + "\(Self.digits(UInt64(part.offset)))-\(Self.digits(UInt64(part.checkpointOffset)))"
    }

    package enum PartArea: String, Sendable {
        case open
        /// Copies of what a writer took after another machine had taken over.
        case superseded
    }

    package func segment(_ first: Position, _ epoch: UInt64, _ kind: SegmentObject) -> String {
        segments + "\(Self.digits(first.value)).\(Self.digits(epoch)).\(kind.rawValue)"
    }

    /// In the order in which they are written: the mark says that the others are there.
    package enum SegmentObject: String, CaseIterable, Sendable {
        case segment = "seg"
        case entries
        case checkpoints
        case mark = "sealed"
    }

    /// What an object's name says.
    package enum Name: Hashable, Sendable {
        case identity
        case epoch(UInt64)
        case part(
            PartArea, epoch: UInt64, first: Position, offset: Int, checkpointOffset: Int)
        case segment(first: Position, epoch: UInt64, SegmentObject)
    }

    /// Nil for a name that this program does not write.
    package func name(of key: String) -> Name? {
        guard key.hasPrefix(root) else { return nil }
        let parts = key.dropFirst(root.count).split(
            separator: "/", omittingEmptySubsequences: false)
        switch (parts.first, parts.count) {
        case ("identity", 1): return .identity
        case ("epochs", 2): return Self.number(parts[1]).map { .epoch($0) }
        case ("open", 4), ("superseded", 4):
            let places = parts[3].split(separator: "-", omittingEmptySubsequences: false)
            guard places.count == 2, let epoch = Self.number(parts[1]),
                let first = Self.number(parts[2]), let offset = Self.number(places[0]),
                let checkpointOffset = Self.number(places[1])
            else { return nil }
            return .part(
                PartArea(rawValue: String(parts[0]))!, epoch: epoch, first: Position(first),
                offset: Int(offset),
                checkpointOffset: Int(checkpointOffset))
        case ("segments", 2):
            let words = parts[1].split(separator: ".", omittingEmptySubsequences: false)
            guard words.count == 3, let first = Self.number(words[0]),
                let epoch = Self.number(words[1]),
                let kind = SegmentObject(rawValue: String(words[2]))
            else { return nil }
            return .segment(first: Position(first), epoch: epoch, kind)
        default: return nil
        }
    }

    static func digits(_ number: UInt64) -> String {
        let text = String(number)
        return String(repeating: "0", count: 20 - text.utf8.count) + text
    }

    private static func number(_ text: Substring) -> UInt64? {
        guard text.utf8.count == 20, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = UInt64(text), number < 1 << 48
        else { return nil }
        return number
    }
}
