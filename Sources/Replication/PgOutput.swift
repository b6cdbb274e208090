package import ReadModel

/// The messages of pgoutput, protocol version 1 (PostgreSQL's manual, "Logical Replication Message
/// Formats"). Every bound is checked: bad input from a socket is an error, never a trap.
package enum PgOutputMessage: Equatable, Sendable {
    case begin(final: LSN, commitTime: Int64, transaction: UInt32)
    case commit(end: LSN, commitTime: Int64)
    case relation(SourceRelation)
    /// The new row is the decoder's `new`.
    case insert(relation: UInt32)
    /// The old key, if it changed, is the decoder's `old`.
    case update(relation: UInt32, hasOld: Bool)
    case delete(relation: UInt32)
    case truncate(relations: [UInt32])
    /// A kind that requires no action: origin, type, message.
    case other
}

/// A table as the stream describes it.
package struct SourceRelation: Hashable, Sendable {
    package var id: UInt32
    package var schema: String
    package var name: String
    package var columns: [Column]

    package struct Column: Hashable, Sendable {
        package var name: String
        package var typeOID: UInt32

        package init(name: String, typeOID: UInt32) { (self.name, self.typeOID) = (name, typeOID) }
    }
}

/// Decodes messages one after the other, reusing its memory.
package struct PgOutputDecoder: ~Copyable {
    /// Columns of a row: how they were sent, and where their text is in the message.
    package private(set) var new: [Field] = []
    package private(set) var old: [Field] = []

    package struct Field: Hashable, Sendable {
        package var kind: Kind
        package var bytes: Range<Int>
    }

    package enum Kind: UInt8, Sendable {
        case null = 0x6E  // n
        /// A large value that did not change and was not sent.
        case unchanged = 0x75  // u
        case text = 0x74  // t
    }

    package init() {}

    package mutating func decode(_ bytes: Span<UInt8>) throws(ReplicationFailure)
        -> PgOutputMessage
    {
        var reader = BoundedReader()
        let message: PgOutputMessage
        let kind = try reader.byte(bytes)
        switch kind {
        case UInt8(ascii: "B"):
            message = .begin(
                final: try reader.lsn(bytes), commitTime: try reader.int64(bytes),
                transaction: try reader.uint32(bytes))
        case UInt8(ascii: "C"):
            _ = try reader.byte(bytes)
            _ = try reader.lsn(bytes)
            message = .commit(end: try reader.lsn(bytes), commitTime: try reader.int64(bytes))
        case UInt8(ascii: "R"): message = .relation(try relation(bytes, &reader))
        case UInt8(ascii: "I"):
            message = .insert(relation: try reader.uint32(bytes))
            try expect("N", bytes, &reader)
            try Self.tuple(bytes, &reader, into: &new)
        case UInt8(ascii: "U"): message = try update(bytes, &reader)
        case UInt8(ascii: "D"):
            message = .delete(relation: try reader.uint32(bytes))
            try expect("KO", bytes, &reader)
            try Self.tuple(bytes, &reader, into: &old)
        case UInt8(ascii: "T"): message = try truncate(bytes, &reader)
        case UInt8(ascii: "O"), UInt8(ascii: "Y"), UInt8(ascii: "M"): return .other
        default: throw .protocolViolated("a message of kind \(kind)")
        }
        guard reader.index == bytes.count else {
            throw .protocolViolated("\(bytes.count - reader.index) bytes after a message")
        }
        return message
    }

    private func expect(
        _ kinds: StaticString, _ bytes: Span<UInt8>, _ reader: inout BoundedReader
    ) throws(ReplicationFailure) {
        let kind = try reader.byte(bytes)
        guard "\(kinds)".utf8.contains(kind) else {
            throw .protocolViolated("a row of kind \(kind), not one of \(kinds)")
        }
    }

    private func relation(
        _ bytes: Span<UInt8>, _ reader: inout BoundedReader
    ) throws(ReplicationFailure) -> SourceRelation {
        let id = try reader.uint32(bytes)
        let schema = try reader.string(bytes)
        let name = try reader.string(bytes)
        _ = try reader.byte(bytes)  // The replica identity; SQLite's own keys are used.
        var columns: [SourceRelation.Column] = []
        for _ in 0..<(try reader.uint16(bytes)) {
            _ = try reader.byte(bytes)
            let name = try reader.string(bytes)
            let type = try reader.uint32(bytes)
            _ = try reader.uint32(bytes)
            columns.append(SourceRelation.Column(name: name, typeOID: type))
        }
        return SourceRelation(
            id: id, schema: schema.isEmpty ? "pg_catalog" : schema, name: name, columns: columns)
    }

    private mutating func update(
        _ bytes: Span<UInt8>, _ reader: inout BoundedReader
    ) throws(ReplicationFailure) -> PgOutputMessage {
        let relation = try reader.uint32(bytes)
        var kind = try reader.byte(bytes)
        let hasOld = kind != UInt8(ascii: "N")
        if hasOld {
            guard kind == UInt8(ascii: "K") || kind == UInt8(ascii: "O") else {
                throw .protocolViolated("a row of kind \(kind) in an update")
            }
            try Self.tuple(bytes, &reader, into: &old)
            kind = try reader.byte(bytes)
        }
        guard kind == UInt8(ascii: "N") else {
            throw .protocolViolated("an update without its new row")
        }
        try Self.tuple(bytes, &reader, into: &new)
        return .update(relation: relation, hasOld: hasOld)
    }

    private func truncate(
        _ bytes: Span<UInt8>, _ reader: inout BoundedReader
    ) throws(ReplicationFailure) -> PgOutputMessage {
        let count = try reader.uint32(bytes)
        _ = try reader.byte(bytes)
        guard count <= bytes.count / 4 else {
            throw .protocolViolated("a truncation of \(count) tables")
        }
        var relations: [UInt32] = []
        for _ in 0..<count { relations.append(try reader.uint32(bytes)) }
        return .truncate(relations: relations)
    }

    private static func tuple(
        _ bytes: Span<UInt8>, _ reader: inout BoundedReader, into fields: inout [Field]
    ) throws(ReplicationFailure) {
        fields.removeAll(keepingCapacity: true)
        for _ in 0..<(try reader.uint16(bytes)) {
            let code = try reader.byte(bytes)
            guard let kind = Kind(rawValue: code) else {
                throw .protocolViolated("a column of kind \(code)")
            }
            guard kind == .text else {
                fields.append(Field(kind: kind, bytes: 0..<0))
                continue
            }
            let count = try reader.uint32(bytes)
            fields.append(Field(kind: .text, bytes: try reader.range(Int(count), bytes)))
        }
    }
}

/// Reads numbers in network byte order, and texts. Never reads beyond the end.
struct BoundedReader {
    private(set) var index = 0

    mutating func range(
        _ count: Int, _ bytes: Span<UInt8>
    ) throws(ReplicationFailure) -> Range<Int> {
        guard count <= bytes.count - index else {
            throw .protocolViolated("a message that ends after \(bytes.count) bytes")
        }
        defer { index += count }
        return index..<index + count
    }

    mutating func byte(_ bytes: Span<UInt8>) throws(ReplicationFailure) -> UInt8 {
        bytes[try range(1, bytes).lowerBound]
    }

    mutating func uint16(_ bytes: Span<UInt8>) throws(ReplicationFailure) -> UInt16 {
        UInt16(try number(2, bytes))
    }

    mutating func uint32(_ bytes: Span<UInt8>) throws(ReplicationFailure) -> UInt32 {
        UInt32(try number(4, bytes))
    }

    mutating func int64(_ bytes: Span<UInt8>) throws(ReplicationFailure) -> Int64 {
        Int64(bitPattern: try number(8, bytes))
    }

    mutating func lsn(_ bytes: Span<UInt8>) throws(ReplicationFailure) -> LSN {
        LSN(try number(8, bytes))
    }

    private mutating func number(
        _ count: Int, _ bytes: Span<UInt8>
    ) throws(ReplicationFailure) -> UInt64 {
        var value: UInt64 = 0
        for index in try range(count, bytes) { value = value << 8 | UInt64(bytes[index]) }
        return value
    }

    /// A zero-terminated text.
    mutating func string(_ bytes: Span<UInt8>) throws(ReplicationFailure) -> String {
        var text: [UInt8] = []
        while case let byte = try byte(bytes), byte != 0 { text.append(byte) }
        return String(decoding: text, as: UTF8.self)
    }
}
