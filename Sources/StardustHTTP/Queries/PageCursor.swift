internal import LedgerFormat
internal import StardustCore

/// Where the next page of a list of packets begins. Bound to the query and to the ledger size of
/// the first page, so that pages stay consistent while packets arrive.
struct PageCursor: Hashable {
    var size: LedgerSize
    /// The first position not yet shown.
    var next: Position
    private var seal: CursorSeal

    init(size: LedgerSize, next: Position, query: String) {
        (self.size, self.next, seal) = (size, next, CursorSeal(query))
    }

    /// Reads the text of a cursor created for this query.
    init(_ text: String, query: String) throws(Problem) {
        seal = CursorSeal(query)
        let numbers = try seal.open(text)
        (size, next) = (LedgerSize(numbers.first), Position(numbers.second))
        guard size.contains(next) else { throw .notACursor }
    }

    var text: String { seal.text(size.entries, next.value) }
}

/// Where the next page of a list of things within packets begins, bound likewise.
struct PlaceCursor: Hashable {
    var size: LedgerSize
    var next: PlaceInPacket
    private var seal: CursorSeal

    /// A packet has fewer nodes, and makes fewer conflicts, than fit in these.
    private static let indexBits: UInt64 = 13

    init(size: LedgerSize, next: PlaceInPacket, query: String) {
        (self.size, self.next, seal) = (size, next, CursorSeal(query))
    }

    init(_ text: String, query: String) throws(Problem) {
        seal = CursorSeal(query)
        let numbers = try seal.open(text)
        size = LedgerSize(numbers.first)
        next = PlaceInPacket(
            position: Position(numbers.second >> Self.indexBits),
            index: Int(numbers.second & (1 << Self.indexBits - 1)))
        guard size.contains(next.position) else { throw .notACursor }
    }

    var text: String {
        seal.text(size.entries, next.position.value << Self.indexBits | UInt64(next.index))
    }
}

/// Where the next page of a table's or view's rows begins. Bound to the query, whose text includes
/// the copy of the read model.
struct RowCursor: Hashable {
    /// A number from the read model.
    var next: UInt64
    private var seal: CursorSeal

    init(next: UInt64, query: String) { (self.next, seal) = (next, CursorSeal(query)) }

    init(_ text: String, query: String) throws(Problem) {
        seal = CursorSeal(query)
        next = try seal.open(text).second
    }

    /// Rows are not bound to a ledger size.
    var text: String { seal.text(.max, next) }
}

/// Binds two numbers to a query, as text that clients pass on.
private struct CursorSeal: Hashable {
    private let checksum: CRC32C

    private static let byteCount = 20

    init(_ query: String) { checksum = CRC32C().continued(over: Array(query.utf8).span) }

    func text(_ first: UInt64, _ second: UInt64) -> String {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        var span = bytes.mutableSpan
        span.store(first, at: 0)
        span.store(second, at: 8)
        span.store(checksum.value, at: 16)
        return String(hexadecimal: bytes)
    }

    func open(_ text: String) throws(Problem) -> (first: UInt64, second: UInt64) {
        guard let bytes = [UInt8](hexadecimal: text.utf8), bytes.count == Self.byteCount else {
            throw .notACursor
        }
        let span = bytes.span
        guard CRC32C(span.littleEndian(at: 16)) == checksum else {
            throw .badParameter("cursor", "belongs to another query; start from the first page")
        }
        return (span.littleEndian(at: 0), span.littleEndian(at: 8))
    }
}

extension Problem {
    fileprivate static let notACursor = badParameter("cursor", "not a cursor issued by this ledger")
}
