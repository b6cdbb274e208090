internal import LedgerFormat
internal import Packets

/// A line of the change feed, parsed but not yet checked against the tables.
struct FeedChange {
    var operation: Operation
    var table: String?
    /// Token of the row. `oldKey` is the token of the old key, if an update changes the key.
    var row: Int?
    var oldKey: Int?
    var lsn: LSN?
    var committedAt: String?

    enum Operation: String, CaseIterable {
        case insert, update, delete, truncate, begin, commit, rollback

        var isChange: Bool {
            switch self {
            case .insert, .update, .delete, .truncate: true
            case .begin, .commit, .rollback: false
            }
        }
    }

    init(_ document: JSONDocument) throws(ModelRefusal) {
        guard document.tokens[0].kind == .object else {
            throw ModelRefusal(.notAChange, "a line must be an object with table, op and row")
        }
        var operation: Operation?
        for key in JSONChildren(document.tokens, of: 0) {
            let (name, value) = (document.bytes.span.string(document.tokens[key]), key + 1)
            switch name {
            case "op":
                operation = document.string(value).flatMap(Operation.init)
                guard operation != nil else {
                    throw ModelRefusal(
                        .notAChange, value: document.sourceText(value),
                        "op must be one of "
                            + Operation.allCases.map(\.rawValue).joined(separator: ", "))
                }
            case "table": table = try Self.text(document, value, "table")
            case "row": row = try Self.object(document, value, "row")
            case "key": oldKey = try Self.object(document, value, "key")
            case "lsn":
                lsn = try LSN(Self.text(document, value, "lsn"))
                guard lsn != nil else {
                    throw ModelRefusal(
                        .notAChange, value: document.sourceText(value),
                        "lsn must have the form 16/B374D848")
                }
            case "committed_at":
                let text = try Self.text(document, value, "committed_at")
                guard let time = Timestamp(rfc3339: text) else {
                    throw ModelRefusal(
                        .notAChange, value: text, "committed_at must be RFC 3339 in UTC")
                }
                committedAt = "\(time)"
            default:
                throw ModelRefusal(
                    .notAChange,
                    "\(name) is not a member of a change; the members are table, op, row, key, "
                        + "committed_at and lsn")
            }
        }
        guard let operation else { throw ModelRefusal(.notAChange, "op is missing") }
        self.operation = operation
        if operation.isChange, table == nil {
            throw ModelRefusal(.notAChange, "table is missing")
        }
        if [.insert, .update, .delete].contains(operation), row == nil {
            throw ModelRefusal(.notAChange, table: table, "row is missing")
        }
    }

    private static func text(
        _ document: JSONDocument, _ value: Int, _ name: String
    ) throws(ModelRefusal) -> String {
        guard let text = document.string(value) else {
            throw ModelRefusal(
                .notAChange, value: document.sourceText(value), "\(name) must be a string")
        }
        return text
    }

    private static func object(
        _ document: JSONDocument, _ value: Int, _ name: String
    ) throws(ModelRefusal) -> Int {
        guard document.tokens[value].kind == .object else {
            throw ModelRefusal(
                .notAChange, value: document.sourceText(value), "\(name) must be an object")
        }
        return value
    }
}

extension JSONDocument {
    /// A value as written, for messages.
    func sourceText(_ index: Int) -> String { String(decoding: source(index), as: UTF8.self) }
}

/// Converts values of the change feed to the read model's form.
enum FeedValue {
    /// Reads a column's value. The refusal names table, column and value.
    static func read(
        _ document: JSONDocument, _ index: Int, _ column: ModelTable.Column, of table: String
    ) throws(ModelRefusal) -> ModelValue {
        if document.tokens[index].kind == .null { return .null }
        guard let value = read(document, index, column.type) else {
            throw ModelRefusal(
                .wrongType, table: table, column: column.name, value: document.sourceText(index),
                "must be " + words(column.type))
        }
        return value
    }

    private static func words(_ type: ColumnType) -> String {
        switch type {
        case .uuid: "a UUID"
        case .timestamp:
            "an RFC 3339 time in UTC with Z and at most microseconds, or an infinity"
        case .text: "a string"
        case .textArray: "an array of strings"
        case .jsonb, .json: "JSON"
        case .float: "a number, or \"NaN\", \"Infinity\" or \"-Infinity\""
        case .integer: "a 32-bit integer"
        case .bigInteger: "a 64-bit integer"
        case .boolean: "true or false"
        case .other: "a string or a number"
        }
    }

    private static func read(
        _ document: JSONDocument, _ index: Int, _ type: ColumnType
    ) -> ModelValue? {
        let token = document.tokens[index]
        let text = token.kind == .string ? document.bytes.span.text(token) : nil
        switch type {
        case .uuid: return text.flatMap { UUID128(text: $0.span) }.map { .string("\($0)") }
        case .text: return text.map(ModelValue.text)
        case .timestamp: return text.flatMap { time(String(decoding: $0, as: UTF8.self)) }
        case .textArray:
            var array: [UInt8] = []
            return appendArray(document, index, to: &array) ? .text(array) : nil
        case .jsonb, .json: return .text(JSONBText.of(document, at: index))
        case .float:
            if let text { return float(named: String(decoding: text, as: UTF8.self)) }
            guard token.kind == .number, let number = Double(document.sourceText(index)),
                number.isFinite
            else { return nil }
            return .real(number)
        case .integer:
            return token.kind == .number
                ? Int32(document.sourceText(index)).map { .integer(Int64($0)) } : nil
        case .bigInteger:
            return token.kind == .number
                ? Int64(document.sourceText(index)).map(ModelValue.integer) : nil
        case .boolean:
            switch token.kind {
            case .true: return .integer(1)
            case .false: return .integer(0)
            default: return nil
            }
        case .other:
            if token.kind == .number { return .string(document.sourceText(index)) }
            return text.map(ModelValue.text)
        }
    }

    private static func float(named name: String) -> ModelValue? {
        switch name {
        case "NaN": .string("NaN")
        case "Infinity": .real(.infinity)
        case "-Infinity": .real(-.infinity)
        default: nil
        }
    }

    /// A time in any year. Years beyond four digits have a sign (ISO 8601, expanded).
    private static func time(_ text: String) -> ModelValue? {
        if text == "infinity" || text == "-infinity" { return .string(text) }
        // Digits beyond microseconds cannot be kept. Refuse them rather than drop them silently.
        let fraction = text.split(separator: ".", maxSplits: 1).dropFirst().first?.utf8
            .prefix { $0 &- 0x30 < 10 }
        guard fraction.map({ $0.count <= 6 }) ?? true else { return nil }
        if let time = Timestamp(rfc3339: text) { return .string("\(time)") }
        guard let sign = text.first, sign == "+" || sign == "-",
            let end = text.dropFirst().firstIndex(of: "-")
        else { return nil }
        let digits = text[text.index(after: text.startIndex)..<end]
        guard (4...6).contains(digits.utf8.count), let year = UInt(digits), year > 0,
            sign == "-" || (year > 9999 && !digits.hasPrefix("0"))
        else { return nil }
        // The calendar repeats every 400 years.
        let magnitude = Int(year)
        let place = (sign == "-" ? -magnitude : magnitude) % 400 + 2000
        guard let like = Timestamp(rfc3339: "\(place)" + text[end...]),
            let rest = "\(like)".split(separator: "-", maxSplits: 1).last
        else { return nil }
        return .string("\(sign)\(digits)-\(rest)")
    }

    private static func appendArray(
        _ document: JSONDocument, _ index: Int, to text: inout [UInt8]
    ) -> Bool {
        guard document.tokens[index].kind == .array else { return false }
        text.append(UInt8(ascii: "["))
        for (place, element) in JSONChildren(document.tokens, of: index).enumerated() {
            if place > 0 { text.append(UInt8(ascii: ",")) }
            let token = document.tokens[element]
            switch token.kind {
            case .string: JSONBText.append(string: document.bytes.span.text(token), to: &text)
            case .null: text.append("null")
            case .array: guard appendArray(document, element, to: &text) else { return false }
            default: return false
            }
        }
        text.append(UInt8(ascii: "]"))
        return true
    }
}
