internal import LedgerFormat

/// Where the next page of a list begins. Bound to the question and the ledger size it was asked at,
/// so that pages fit together while packets arrive.
struct PageCursor: Hashable {
    var size: LedgerSize
    /// The first position that was not shown.
    var next: Position
    /// Stands for the question.
    private var question: CRC32C

    init(size: LedgerSize, next: Position, question: String) {
        self.size = size
        self.next = next
        self.question = Self.checksum(question)
    }

    /// Reads the text of a cursor that was made for this question.
    init(_ text: String, question: String) throws(Problem) {
        guard let bytes = [UInt8](hexadecimal: text.utf8), bytes.count == Self.byteCount else {
            throw .badParameter("cursor", "not a cursor that this ledger gave")
        }
        let span = bytes.span
        size = LedgerSize(span.littleEndian(at: 0))
        next = Position(span.littleEndian(at: 8))
        self.question = CRC32C(span.littleEndian(at: 16))
        guard self.question == Self.checksum(question) else {
            throw .badParameter("cursor", "belongs to another question; ask from the start")
        }
        guard size.contains(next) else {
            throw .badParameter("cursor", "not a cursor that this ledger gave")
        }
    }

    private static let byteCount = 20

    private static func checksum(_ question: String) -> CRC32C {
        let bytes = Array(question.utf8)
        return CRC32C().continued(over: bytes.span)
    }

    var text: String {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        var span = bytes.mutableSpan
        span.store(size.entries, at: 0)
        span.store(next.value, at: 8)
        span.store(question.value, at: 16)
        return String(hexadecimal: bytes)
    }
}
