package import Packets

/// A value as SQLite has it.
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
    /// A value of a column as JSON: JSON and arrays as what they are, truth values as such, a float
    /// that JSON has not as its name. `type` is nil for an expression's value.
    package mutating func value(_ value: ModelValue, _ type: ColumnType?) {
        switch value {
        case .null: null()
        case .integer(let number) where type == .boolean && (0...1).contains(number):
            boolean(number != 0)
        case .integer(let number) where type == .float: double(Double(number))
        case .integer(let number): integer(Int(number))
        case .real(let number): double(number)
        case .text(let bytes):
            // A column of a union has the type of its first part only.
            if type?.isJSON == true, (try? JSONDocument(bytes, limits: .answer)) != nil {
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
