package import LedgerFormat
internal import Packets

/// A table or view of the read model, as queries see it.
package struct ModelRelation: Sendable {
    package var name: String
    package var isView: Bool
    package var columns: [(name: String, type: ColumnType)]

    /// Nil if no table or view has this name.
    package init?(
        _ name: String, isView: Bool, _ connection: SQLiteConnection
    ) throws(ModelFailure) {
        let names = isView ? EngineSchema.views : EngineSchema.tables.map(\.name)
        guard names.contains(name) else { return nil }
        (self.name, self.isView) = (name, isView)
        do throws(SQLiteFailure) {
            columns = try connection.rows(
                "SELECT name, type FROM pragma_table_info(?)", [.string(name)]
            ).map { ($0[0].string!, ColumnType(declared: $0[1].string ?? "")) }
        } catch { throw .database(error) }
    }

    package struct Page: Sendable {
        /// Each row is an object with all columns.
        package var rows: [[UInt8]] = []
        /// Where the next page starts; nil if this is the last.
        package var next: UInt64?
    }

    /// SQLite's name for a row's place, which a column of that name hides. Tables with columns of all
    /// three names are not followed.
    private var place: String {
        let hidden = Set(columns.map { $0.name.lowercased() })
        return Self.placeNames.first { !hidden.contains($0) } ?? "rowid"
    }

    package static let placeNames = ["rowid", "_rowid_", "oid"]

    /// Rows that match every filter, starting at a given place: a table's in order of arrival, a
    /// view's in the view's own order.
    package func page(
        _ filter: [(column: String, value: ModelValue)], from start: UInt64, limit: Int,
        bytes: Int, _ connection: SQLiteConnection
    ) throws(ModelFailure) -> Page {
        let isKeyset = !isView || SQLiteSchema.isMaterialised(name)
        var conditions = filter.map { "\($0.column.quoted) = ?" }
        if isKeyset { conditions.append("\(place) >= ?") }
        let sql =
            "SELECT \(isKeyset ? place : "0"), * FROM \(name)"
            + (conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND "))
            + (isKeyset ? " ORDER BY \(place) LIMIT ?" : " LIMIT ? OFFSET ?")
        var values = filter.map(\.value)
        let from = ModelValue.integer(Int64(clamping: start))
        let count = ModelValue.integer(Int64(limit + 1))
        values += isKeyset ? [from, count] : [count, from]
        var page = Page()
        do throws(SQLiteFailure) {
            let statement = try connection.prepare(sql)
            for (index, value) in values.enumerated() { try statement.bind(index + 1, value) }
            var size = 0
            while try statement.step() {
                let place = statement.value(0).integer ?? 0
                guard page.rows.count < limit, size <= bytes else {
                    page.next = isKeyset ? UInt64(place) : start + UInt64(page.rows.count)
                    break
                }
                page.rows.append(object(statement, from: 1))
                size += page.rows.last!.count
            }
        } catch { throw .database(error) }
        return page
    }

    /// The row with this primary key; nil if there is none.
    package func row(
        _ id: UUID128, _ connection: SQLiteConnection
    ) throws(ModelFailure) -> [UInt8]? {
        guard let key = columns.first?.name else { return nil }
        do throws(SQLiteFailure) {
            let statement = try connection.prepare(
                "SELECT * FROM \(name) WHERE \(key.quoted) = ?")
            try statement.bind(1, .string("\(id)"))
            return try statement.step() ? object(statement, from: 0) : nil
        } catch { throw .database(error) }
    }

    private func object(_ statement: SQLiteStatement, from first: Int) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        for (place, column) in columns.enumerated() {
            json.key(column.name)
            json.value(statement.value(first + place), column.type)
        }
        json.endObject()
        return json.bytes
    }
}

extension ModelValue {
    /// Reads a column's value as people write it in a URL; nil if it is not of the column's type.
    package init?(_ text: String, of type: ColumnType) {
        switch type {
        case .uuid:
            guard let id = UUID128(text) else { return nil }
            self = .string("\(id)")
        case .timestamp:
            if let time = Timestamp(rfc3339: text) {
                self = .string("\(time)")
            } else {
                self = .string(text)
            }
        case .integer, .bigInteger:
            guard let number = Int64(text) else { return nil }
            self = .integer(number)
        case .float:
            guard let number = Double(text) else { return nil }
            self = number.isNaN ? .string("NaN") : .real(number)
        case .boolean:
            guard text == "true" || text == "false" else { return nil }
            self = .integer(text == "true" ? 1 : 0)
        case .text, .textArray, .jsonb, .json, .other: self = .string(text)
        }
    }
}
