/// What the source's catalogue says about a table. The stream does not report these facts, and they
/// show whether a table is still the one that was copied.
package struct SourceTable: Hashable, Sendable {
    /// The number of the file that holds the rows. It changes whenever the rows are rewritten.
    package var file: String
    package var columns: [String: Column]

    package struct Column: Hashable, Sendable {
        /// Its number in the table, which never changes.
        package var number: Int64
        package var type: Int64
        /// The type's modifier, such as a length.
        package var modifier: Int64
        /// Changes whenever the column's definition changes.
        package var version: String
        /// Whether rows that existed when it was added take its value from the catalogue.
        package var hasMissing: Bool
        /// False for a generated column, which the stream omits.
        package var isPublished: Bool

        package init(
            number: Int64, type: Int64, modifier: Int64, version: String, hasMissing: Bool = false,
            isPublished: Bool = true
        ) {
            (self.number, self.type, self.modifier) = (number, type, modifier)
            (self.version, self.hasMissing, self.isPublished) = (version, hasMissing, isPublished)
        }
    }

    package init(file: String, columns: [String: Column]) {
        (self.file, self.columns) = (file, columns)
    }

    /// Why rows copied from `self` may differ from those of `now`; nil if they do not. Columns that
    /// `self` lacks are new.
    package func change(to now: SourceTable) -> String? {
        for (name, column) in columns.sorted(by: { $0.key < $1.key }) where column.isPublished {
            guard let other = now.columns[name] else {
                return "has lost \(name): renamed or dropped"
            }
            guard other.number == column.number else {
                return "has another column under the name \(name)"
            }
            guard other.type == column.type, other.modifier == column.modifier else {
                return "has a different type for \(name)"
            }
            // Either change alone is harmless: a new default, or rows that were only moved. Moved
            // rows take their value from the catalogue with them, which changes the column too.
            let isMoved = column.hasMissing && !other.hasMissing
            guard other.version == column.version || now.file == file || isMoved else {
                return "was rewritten when \(name) was changed"
            }
        }
        return nil
    }
}

extension SourceTable {
    /// The table that stores these facts beside the rows.
    static let schema = """
        CREATE TABLE model_source (
            table_name TEXT NOT NULL,
            column_name TEXT NOT NULL,
            number BIGINT NOT NULL,
            type BIGINT NOT NULL,
            modifier BIGINT NOT NULL,
            version TEXT NOT NULL,
            has_missing BOOL NOT NULL,
            is_published BOOL NOT NULL,
            file TEXT NOT NULL,
            PRIMARY KEY (table_name, column_name)
        )
        """

    static func read(_ connection: SQLiteConnection) throws(SQLiteFailure) -> [String: SourceTable]
    {
        var tables: [String: SourceTable] = [:]
        for row in try connection.rows(
            "SELECT table_name, column_name, number, type, modifier, version, has_missing, "
                + "is_published, file FROM model_source")
        {
            guard let table = row[0].string, let name = row[1].string, let number = row[2].integer,
                let type = row[3].integer, let modifier = row[4].integer,
                let version = row[5].string, let file = row[8].string
            else { continue }
            tables[table, default: SourceTable(file: file, columns: [:])].columns[name] = Column(
                number: number, type: type, modifier: modifier, version: version,
                hasMissing: row[6].integer == 1, isPublished: row[7].integer == 1)
        }
        return tables
    }

    func save(_ table: String, _ connection: SQLiteConnection) throws(SQLiteFailure) {
        for (name, column) in columns {
            _ = try connection.rows(
                "INSERT OR REPLACE INTO model_source VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    .string(table), .string(name), .integer(column.number), .integer(column.type),
                    .integer(column.modifier), .string(column.version),
                    .integer(column.hasMissing ? 1 : 0), .integer(column.isPublished ? 1 : 0),
                    .string(file),
                ])
        }
    }
}
