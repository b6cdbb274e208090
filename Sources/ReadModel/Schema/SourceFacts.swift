/// What the source's catalogue says about a table. The stream does not report these facts, and they
/// show whether a table is still the one that was copied.
package struct SourceTable: Hashable, Sendable {
    /// The number of the file that holds the rows. It changes whenever the rows are rewritten.
    package var file: String
    /// Changes whenever what is published of the table changes, even if it is changed back.
    package var publication: String
    /// The highest number of a column that was dropped; 0 if none was.
    package var lastDropped: Int64
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
        /// The object that is its default; 0 if it has none. `ALTER … TYPE` makes a new one.
        package var defaultID: Int64

        package init(
            number: Int64, type: Int64, modifier: Int64, version: String, hasMissing: Bool = false,
            isPublished: Bool = true, defaultID: Int64 = 0
        ) {
            (self.number, self.type, self.modifier) = (number, type, modifier)
            (self.version, self.hasMissing, self.isPublished) = (version, hasMissing, isPublished)
            self.defaultID = defaultID
        }
    }

    package init(
        file: String, publication: String = "", lastDropped: Int64 = 0, columns: [String: Column]
    ) {
        (self.file, self.publication, self.columns) = (file, publication, columns)
        self.lastDropped = lastDropped
    }

    /// The highest number of a column, dropped or not.
    package var lastNumber: Int64 { max(lastDropped, columns.values.map(\.number).max() ?? 0) }

    /// Why rows copied from `self` may differ from those of `now`; nil if they do not. Columns that
    /// `self` lacks are new.
    package func change(to now: SourceTable) -> String? {
        guard now.publication == publication else {
            return "was published in another way: what happened meanwhile may be missing"
        }
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
            // rows take their value from the catalogue with them, which changes the column too; but
            // its default stays the same object.
            let isMoved =
                column.hasMissing && !other.hasMissing && column.defaultID != 0
                && column.defaultID == other.defaultID
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
            default_id BIGINT NOT NULL,
            file TEXT NOT NULL,
            publication TEXT NOT NULL,
            last_dropped BIGINT NOT NULL,
            PRIMARY KEY (table_name, column_name)
        )
        """

    static func read(_ connection: SQLiteConnection) throws(SQLiteFailure) -> [String: SourceTable]
    {
        var tables: [String: SourceTable] = [:]
        for row in try connection.rows(
            "SELECT table_name, column_name, number, type, modifier, version, has_missing, "
                + "is_published, file, default_id, publication, last_dropped FROM model_source")
        {
            guard let table = row[0].string, let name = row[1].string, let number = row[2].integer,
                let type = row[3].integer, let modifier = row[4].integer,
                let version = row[5].string, let file = row[8].string,
                let defaultID = row[9].integer, let publication = row[10].string,
                let lastDropped = row[11].integer
            else { continue }
            let empty = SourceTable(
                file: file, publication: publication, lastDropped: lastDropped, columns: [:])
            tables[table, default: empty].columns[name] = Column(
                number: number, type: type, modifier: modifier, version: version,
                hasMissing: row[6].integer == 1, isPublished: row[7].integer == 1,
                defaultID: defaultID)
        }
        return tables
    }

    func save(_ table: String, _ connection: SQLiteConnection) throws(SQLiteFailure) {
        _ = try connection.rows("DELETE FROM model_source WHERE table_name = ?", [.string(table)])
        for (name, column) in columns {
            _ = try connection.rows(
                "INSERT INTO model_source VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    .string(table), .string(name), .integer(column.number), .integer(column.type),
                    .integer(column.modifier), .string(column.version),
                    .integer(column.hasMissing ? 1 : 0), .integer(column.isPublished ? 1 : 0),
                    .integer(column.defaultID), .string(file), .string(publication),
                    .integer(lastDropped),
                ])
        }
    }
}
