package import Packets

/// How many rows there are, and how many of them are not as they should be.
package struct ModelCensus: Sendable {
    package var rows: [(table: String, count: Int64)] = []
    /// Rows whose parent is missing. The source enforces foreign keys; the read model only reports.
    package var orphans: [(table: String, column: String, count: Int64)] = []
    /// Logs whose metadata violates its schema.
    package var unfitLogs: Int64 = 0

    package init(_ connection: SQLiteConnection) throws(ModelFailure) {
        do throws(SQLiteFailure) {
            for table in EngineSchema.tables {
                let count = try connection.integer("SELECT count(*) FROM \(table.name)")
                rows.append((table.name, count ?? 0))
                for column in table.columns {
                    guard let parent = column.references.flatMap(EngineSchema.table) else {
                        continue
                    }
                    let orphans = try connection.integer(
                        """
                        SELECT count(*) FROM \(table.name) child WHERE \(column.name) IS NOT NULL \
                        AND NOT EXISTS (SELECT 1 FROM \(parent.name) parent \
                        WHERE parent.\(parent.key.name) = child.\(column.name))
                        """)
                    self.orphans.append((table.name, column.name, orphans ?? 0))
                }
            }
            unfitLogs =
                try connection.integer(
                    "SELECT count(*) FROM logs WHERE \(SQLiteSchema.isUnfit)")
                ?? 0
        } catch { throw .database(error) }
    }

    /// Nil if the connection's time runs out.
    package static func unlessTooSlow(
        _ connection: SQLiteConnection
    ) throws(ModelFailure) -> ModelCensus? {
        do throws(ModelFailure) { return try ModelCensus(connection) } catch {
            guard case .database(let failure) = error, failure.isInterrupted else { throw error }
            return nil
        }
    }

    package func write(to json: inout JSONWriter) {
        json.key("tables")
        json.beginObject()
        for table in rows { json.member(table.table, Int(table.count)) }
        json.endObject()
        json.key("orphans")
        json.array(orphans.filter { $0.count > 0 }) { orphan, json in
            json.beginObject()
            json.member("table", orphan.table)
            json.member("column", orphan.column)
            json.member("rows", Int(orphan.count))
            json.endObject()
        }
        json.member("logs_unfit", Int(unfitLogs))
    }
}

extension ModelState {
    /// Bytes of the source's log that are not applied yet.
    package var lagBytes: Int64 { Int64(clamping: sourceLSN.value) - Int64(clamping: lsn.value) }

    package func write(to json: inout JSONWriter) {
        func optional(_ name: StaticString, _ text: String?) {
            json.key(name)
            if let text { json.string(text) } else { json.null() }
        }
        json.member("source", source.rawValue)
        json.member("phase", phase.rawValue)
        json.member("lsn", lsn.description)
        json.member("source_lsn", sourceLSN.description)
        json.member("lag_bytes", Int(max(0, lagBytes)))
        optional("slot", slot)
        optional("publication", publication)
        json.key("retained_bytes")
        if let retainedBytes { json.integer(Int(retainedBytes)) } else { json.null() }
        optional("committed_at", committedAt)
        optional("behind_since", behindSince)
        optional("updated_at", updatedAt)
        optional("last_error", lastError)
        json.key("warnings")
        json.array(warnings) { $1.string($0) }
    }
}
