internal import Packets

/// A row of the feed: values by column number.
struct FeedRow {
    let table: ModelTable
    private(set) var values: [Int: ModelValue] = [:]
    private(set) var columns: UInt64 = 0

    init(
        _ document: JSONDocument, _ row: Int, _ table: ModelTable
    ) throws(ModelFailure) {
        self.table = table
        for key in JSONChildren(document.tokens, of: row) {
            let name = document.bytes.span.string(document.tokens[key])
            guard let number = table.number(name) else {
                throw .refused(
                    ModelRefusal(
                        .unknownColumn, table: table.name, column: name,
                        value: document.sourceText(key + 1),
                        "there is no such column; there are "
                            + table.columns.map(\.name).joined(separator: ", ")))
            }
            do throws(ModelRefusal) {
                values[number] = try FeedValue.read(
                    document, key + 1, table.columns[number], of: table.name)
            } catch { throw .refused(error) }
            columns |= 1 << UInt64(number)
        }
    }

    /// The value of the primary key.
    func key() throws(ModelFailure) -> ModelValue {
        guard let number = table.number(table.key), let value = values[number], value != .null
        else {
            throw .refused(
                ModelRefusal(
                    .missingValue, table: table.name, column: table.key,
                    "the key is needed to identify the row"))
        }
        return value
    }

    /// Turns a violated constraint into a refusal: SQLite names the columns or the check.
    func refusal(_ failure: SQLiteFailure) -> ModelRefusal? {
        guard failure.isConstraint else { return nil }
        let subject =
            failure.message.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? ""
        let columns = subject.split(separator: ", ").map { name in
            String(name.split(separator: ".").last ?? name)
        }
        let column = columns.first { table.number($0) != nil }
        func shown(_ column: String?) -> String? {
            guard let column, let number = table.number(column) else { return nil }
            return self.values[number]?.shown
        }
        if failure.message.hasPrefix("UNIQUE") {
            let values = columns.compactMap(shown).joined(separator: ", ")
            return ModelRefusal(
                .notUnique, table: table.name, column: columns.joined(separator: ", "),
                value: values, "another row already has this value")
        }
        if failure.message.hasPrefix("NOT NULL") {
            return ModelRefusal(
                .missingValue, table: table.name, column: column, value: "null",
                "a value is required")
        }
        if subject == "\(table.name)_uuid4" {
            return ModelRefusal(
                .checkViolated, table: table.name, column: table.key, value: shown(table.key),
                "must be a UUID of version 4")
        }
        let check = table.schema.checks.first ?? subject
        let named = check.split(separator: " ").map(String.init).filter { table.number($0) != nil }
        let shownValues = named.map { "\($0) = \(shown($0) ?? "unchanged")" }
        return ModelRefusal(
            .checkViolated, table: table.name, column: named.first,
            value: shownValues.joined(separator: ", "), "\(check) does not hold")
    }
}

extension ModelValue {
    /// For messages.
    fileprivate var shown: String {
        switch self {
        case .null: "null"
        case .integer(let number): "\(number)"
        case .real(let number): "\(number)"
        case .text(let bytes): String(decoding: bytes, as: UTF8.self)
        }
    }
}
