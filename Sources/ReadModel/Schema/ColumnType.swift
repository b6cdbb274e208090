/// The type of a column of the engine's tables, and how SQLite stores it without loss.
///
/// SQLite's declared type records it, so a file states by itself what its columns are. The first
/// word names the type; SQLite derives the affinity from the rest.
package enum ColumnType: String, Hashable, Sendable, CaseIterable {
    /// Lower-case text.
    case uuid = "UUID"
    /// RFC 3339 in UTC with six fractional digits. A year of more than four digits has a sign, one
    /// before 0000 a minus (ISO 8601, expanded). `infinity` and `-infinity` stay as they are.
    case timestamp = "TIMESTAMPTZ"
    case text = "TEXT"
    /// The JSON array that PostgreSQL's `to_json` produces.
    case textArray = "TEXT_ARRAY"
    /// Text in jsonb's own form: numbers keep every digit.
    case jsonb = "JSONB"
    case json = "JSON"
    /// A double; NaN is the text `NaN`, since SQLite has none. −0.0 becomes 0.0.
    case float = "FLOAT"
    case integer = "INT"
    case bigInteger = "BIGINT"
    /// 0 or 1.
    case boolean = "BOOL"
    /// Any other PostgreSQL type, as PostgreSQL writes it.
    case other = "OTHER"

    /// The type in SQLite's `CREATE TABLE`.
    package var sqliteName: String {
        switch self {
        case .text, .float, .integer, .bigInteger, .boolean: rawValue
        case .uuid, .timestamp, .textArray, .jsonb, .json, .other: rawValue + " TEXT"
        }
    }

    package var postgresName: String {
        switch self {
        case .textArray: "TEXT[]"
        case .boolean, .uuid, .timestamp, .text, .jsonb, .json, .float, .integer, .bigInteger:
            rawValue
        case .other: "TEXT"
        }
    }

    /// Reads SQLite's declared type. A type that is not ours becomes `other`: text, kept as it is.
    package init(declared: String) {
        let word = declared.split(separator: " ").first.map { $0.uppercased() } ?? ""
        self = ColumnType(rawValue: word) ?? .other
    }

    /// The type for an object identifier from PostgreSQL's catalogue, `pg_type.dat`.
    package init(postgresOID: UInt32) {
        self =
            switch postgresOID {
            case 2950: .uuid
            case 1184: .timestamp
            case 25, 1042, 1043, 19: .text
            case 1009, 1015: .textArray
            case 3802: .jsonb
            case 114: .json
            case 700, 701: .float
            case 21, 23: .integer
            case 20: .bigInteger
            case 16: .boolean
            default: .other
            }
    }

    /// Whether values are themselves JSON.
    package var isJSON: Bool { self == .jsonb || self == .json || self == .textArray }
}
