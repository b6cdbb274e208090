internal import Glibc
package import ReadModel

/// Binds PostgreSQL's text values in the read model's form. Reuses its memory.
package struct ValueBinder: ~Copyable {
    private var scratch: [UInt8] = []

    package init() {}

    /// Binds a value of a table's column to the parameter for the column's number.
    package mutating func bind(
        _ statement: SQLiteStatement, _ table: ModelTable, _ number: Int, _ text: Span<UInt8>
    ) throws(SQLiteFailure) {
        let column = table.columns[number]
        guard try bind(statement, number + 1, column.type, text) else {
            let shown = String(decoding: text.prefix(100), as: UTF8.self)
            throw SQLiteFailure.mismatch(
                "\(shown) does not have the form of its type",
                place: "\(table.name).\(column.name)")
        }
    }

    /// False if the text does not have the form of its type; then nothing is bound.
    mutating func bind(
        _ statement: SQLiteStatement, _ index: Int, _ type: ColumnType, _ text: Span<UInt8>
    ) throws(SQLiteFailure) -> Bool {
        switch type {
        case .uuid, .text, .jsonb, .json, .other: try statement.bind(index, text: text)
        case .timestamp:
            scratch.removeAll(keepingCapacity: true)
            guard PostgresText.appendTimestamp(text, to: &scratch) else { return false }
            try statement.bind(index, text: scratch.span)
        case .textArray:
            scratch.removeAll(keepingCapacity: true)
            guard PostgresText.appendArray(text, to: &scratch) else { return false }
            try statement.bind(index, text: scratch.span)
        case .boolean:
            guard text.count == 1, text[0] == UInt8(ascii: "t") || text[0] == UInt8(ascii: "f")
            else { return false }
            try statement.bind(index, text[0] == UInt8(ascii: "t") ? Int64(1) : 0)
        case .integer, .bigInteger:
            guard let number = Self.integer(text) else { return false }
            try statement.bind(index, number)
        case .float: return try bindFloat(statement, index, text)
        }
        return true
    }

    /// Binds NaN as text, because SQLite would store it as NULL.
    private mutating func bindFloat(
        _ statement: SQLiteStatement, _ index: Int, _ text: Span<UInt8>
    ) throws(SQLiteFailure) -> Bool {
        scratch.removeAll(keepingCapacity: true)
        for place in text.indices { scratch.append(text[place]) }
        if scratch.elementsEqual("NaN".utf8) {
            try statement.bind(index, text: scratch.span)
            return true
        }
        scratch.append(0)
        let count = text.count
        // Safety: the text ends with the zero appended above.
        let number = unsafe scratch.withUnsafeBufferPointer { bytes -> Double? in
            unsafe bytes.withMemoryRebound(to: CChar.self) { text in
                var end: UnsafeMutablePointer<CChar>?
                let number = unsafe strtod(text.baseAddress!, &end)
                return unsafe end.map { unsafe UnsafePointer($0) - text.baseAddress! } == count
                    && count > 0 ? number : nil
            }
        }
        guard let number else { return false }
        try statement.bind(index, number)
        return true
    }

    private static func integer(_ text: Span<UInt8>) -> Int64? {
        let isNegative = text.count > 0 && text[0] == UInt8(ascii: "-")
        let start = isNegative ? 1 : 0
        guard text.count > start else { return nil }
        // Count downwards: there is one more negative number than positive ones.
        var value: Int64 = 0
        for index in start..<text.count {
            let digit = text[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            let (product, overflows) = value.multipliedReportingOverflow(by: 10)
            let (difference, exceeds) = product.subtractingReportingOverflow(Int64(digit))
            if overflows || exceeds { return nil }
            value = difference
        }
        guard !isNegative else { return value }
        return value == .min ? nil : -value
    }
}
