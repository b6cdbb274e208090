package import Packets

/// A value as SQLite stores it.
package enum ModelValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case real(Double)
    /// UTF-8.
    case text([UInt8])

    package static func string(_ text: String) -> ModelValue { .text(Array(text.utf8)) }

    package static func optional(_ text: String?) -> ModelValue { text.map(string) ?? .null }

    package var string: String? {
        if case .text(let bytes) = self { String(decoding: bytes, as: UTF8.self) } else { nil }
    }

    package var integer: Int64? { if case .integer(let value) = self { value } else { nil } }
}

extension JSONWriter {
    /// Writes a column's value as JSON. JSON and arrays stay what they are, booleans become true or
    /// false, and a float JSON lacks becomes its name. `type` is nil for an expression's value.
    package mutating func value(_ value: ModelValue, _ type: ColumnType?) {
        switch value {
        case .null: null()
        case .integer(let number) where type == .boolean && (0...1).contains(number):
            boolean(number != 0)
        case .integer(let number) where type == .float: double(Double(number))
        case .integer(let number): integer(Int(number))
        case .real(let number): double(number)
        case .text(let bytes):
            // A union's column has the type of its first part, so the text might not be JSON.
            if type?.isJSON == true, (try? JSONDocument(bytes, limits: .row)) != nil {
                json(bytes)
            } else {
                string(String(decoding: bytes, as: UTF8.self))
            }
        }
    }

    private mutating func double(_ number: Double) {
        if number.isFinite {
            json(Array("\(number)".utf8))
        } else {
            string(number.isNaN ? "NaN" : number < 0 ? "-Infinity" : "Infinity")
        }
    }
}
