#if PostgreSQL
    internal import ReadModel

    /// Looks at everything that a copy and the stream after it need, before either is begun.
    struct SourcePreflight {
        let catalog: SourceCatalog
        let settings: SyncSettings

        /// What stands in the way: what is wrong, and what to do about it.
        struct Obstacle {
            let problem: String
            let remedy: String
            /// Only rights are missing.
            var isOfRights = false

            var text: String { "\(problem). \(remedy)" }
        }

        private static let patience = ReplicationLimits.catalogueTime
        private var client: PostgresClient { catalog.client }
        private func name(_ table: String) -> String { "\(settings.schema.quoted).\(table)" }

        func run() throws(ReplicationFailure) -> [Obstacle] {
            let server = try server()
            // Without rights on the schema, there is no telling what its tables are like.
            let rights = try rights()
            guard rights.isEmpty else { return server + rights }
            var found = server + (try tables()) + (try columns())
            found += try publication()
            return found
        }

        // MARK: The server and the role

        private func server() throws(ReplicationFailure) -> [Obstacle] {
            let rows = try client.rows(
                """
                SELECT current_setting('server_encoding'),
                       current_setting('max_replication_slots')::int
                           <= (SELECT count(*) FROM pg_replication_slots),
                       EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = $1)
                """, [settings.slot], within: Self.patience)
            guard let row = rows.first else { return [] }
            var found: [Obstacle] = []
            if row[0] == "SQL_ASCII" {
                found.append(
                    Obstacle(
                        problem:
                            "the database has the encoding SQL_ASCII, so nothing says what its "
                            + "bytes mean",
                        remedy: "Dump it and restore it into a database with ENCODING 'UTF8'"))
            }
            if row[1] == "t", row[2] != "t" {
                found.append(
                    Obstacle(
                        problem: "all replication slots are in use",
                        remedy: "Raise max_replication_slots, and restart PostgreSQL"))
            }
            if let slot = try catalog.slot(settings.slot), !slot.isOurKind {
                found.append(
                    Obstacle(
                        problem:
                            "the slot \(settings.slot) is not a pgoutput slot for this database",
                        remedy: "Choose another name with --slot"))
            }
            return found
        }

        /// Hosted servers give the right by membership in a role of their own.
        func replicationRight() throws(ReplicationFailure) -> [Obstacle] {
            let rows = try client.rows(
                """
                SELECT quote_ident(current_user) FROM pg_roles r
                WHERE r.rolname = current_user AND NOT (r.rolreplication OR r.rolsuper)
                  AND NOT EXISTS (
                      SELECT FROM pg_roles h WHERE h.rolname = 'rds_replication'
                      AND pg_has_role(h.oid, 'MEMBER'))
                """, within: Self.patience)
            guard let role = rows.first?.first ?? nil else { return [] }
            return [.right("\(role) may not replicate", "ALTER ROLE \(role) REPLICATION")]
        }

        private func rights() throws(ReplicationFailure) -> [Obstacle] {
            let rows = try client.rows(
                """
                SELECT quote_ident(current_user), has_schema_privilege(n.oid, 'USAGE'),
                       n.oid IS NULL
                FROM pg_roles r LEFT JOIN pg_namespace n ON n.nspname = $1
                WHERE r.rolname = current_user
                """, [settings.schema], within: Self.patience)
            guard let row = rows.first, let role = row[0] else { return [] }
            if row[2] == "t" {
                return [
                    Obstacle(
                        problem: "there is no schema \(settings.schema)",
                        remedy: "Name the one with the engine's tables: --schema")
                ]
            }
            var found = try replicationRight()
            guard row[1] == "t" else {
                let schema = settings.schema.quoted
                return found + [
                    .right(
                        "\(role) may not use the schema \(settings.schema)",
                        "GRANT USAGE ON SCHEMA \(schema) TO \(role)")
                ]
            }
            let unreadable = try client.rows(
                """
                SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = $1 AND c.relname IN (\(Self.names)) AND c.relkind IN ('r', 'p')
                  AND NOT has_table_privilege(c.oid, 'SELECT')
                ORDER BY c.relname
                """, [settings.schema], within: Self.patience
            ).compactMap { $0.first ?? nil }
            if !unreadable.isEmpty {
                found.append(
                    .right(
                        "\(role) may not read \(unreadable.joined(separator: ", "))",
                        "GRANT SELECT ON \(unreadable.map(name).joined(separator: ", ")) TO \(role)"
                    ))
            }
            return found
        }

        private static var names: String {
            EngineSchema.tables.map { "'\($0.name)'" }.joined(separator: ", ")
        }

        // MARK: Tables

        private func tables() throws(ReplicationFailure) -> [Obstacle] {
            let rows = try client.rows(
                """
                SELECT c.relname, c.relkind, c.relpersistence, c.relreplident,
                       EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid),
                       (SELECT string_agg(a.attname, ',') FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attnum = ANY (p.indkey)),
                       p.indimmediate,
                       (SELECT string_agg(a.attname, ',') FROM pg_index x JOIN pg_attribute a
                            ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey)
                        WHERE x.indrelid = c.oid AND x.indisreplident),
                       (SELECT quote_ident(conname) FROM pg_constraint k
                        WHERE k.conrelid = c.oid AND k.contype = 'p')
                FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                LEFT JOIN pg_index p ON p.indrelid = c.oid AND p.indisprimary
                WHERE n.nspname = $1 AND c.relname IN (\(Self.names))
                """, [settings.schema], within: Self.patience)
            return EngineSchema.tables.compactMap { table in
                guard let row = rows.first(where: { $0[0] == table.name }) else {
                    return Obstacle(
                        problem: "there is no table \(settings.schema).\(table.name)",
                        remedy: "Create it with `stardust model schema --dialect postgres`")
                }
                return obstacle(table, row)
            }
        }

        private func obstacle(_ table: TableSchema, _ row: [String?]) -> Obstacle? {
            let (shown, key) = (name(table.name), table.key.name)
            func alter(_ problem: String, _ change: String) -> Obstacle {
                Obstacle(
                    problem: "\(table.name) \(problem)", remedy: "ALTER TABLE \(shown) \(change);")
            }
            switch row[1] {
            case "r": break
            case "p":
                return Obstacle(
                    problem:
                        "\(table.name) is partitioned: what is done to a partition is not sent "
                        + "as a change of the table",
                    remedy: "Only ordinary tables can be followed")
            default:
                return Obstacle(
                    problem: "\(table.name) is not a table", remedy: "Views are not replicated")
            }
            if row[2] != "p" {
                return alter("is not logged, so it is not replicated", "SET LOGGED")
            }
            if row[4] == "t" {
                return Obstacle(
                    problem:
                        "other tables inherit from \(table.name), and their rows would be read "
                        + "as its own",
                    remedy: "ALTER TABLE … NO INHERIT \(shown);")
            }
            guard row[5] == key else {
                let own = row[5].map { "has the primary key \($0)" } ?? "has no primary key"
                let drop = row[8].map { "DROP CONSTRAINT \($0), " } ?? ""
                return alter("\(own), not \(key)", drop + "ADD PRIMARY KEY (\(key))")
            }
            if row[6] != "t" {
                return Obstacle(
                    problem: "the primary key of \(table.name) is deferrable, so it identifies no "
                        + "rows for replication",
                    remedy: "Make it anew without DEFERRABLE")
            }
            switch row[3] {
            case "d", "f": return nil
            case "i" where row[7]?.split(separator: ",").contains(Substring(key)) == true:
                return nil
            case "i":
                return alter(
                    "has a replica identity without its key", "REPLICA IDENTITY DEFAULT")
            default:
                return alter("has no replica identity", "REPLICA IDENTITY DEFAULT")
            }
        }

        // MARK: Columns

        private func columns() throws(ReplicationFailure) -> [Obstacle] {
            var found: [Obstacle] = []
            for table in EngineSchema.tables {
                let there = try catalog.columns(of: table.name)
                var seen: [String: String] = [:]
                for column in there {
                    let alter = "ALTER TABLE \(name(table.name)) ALTER \(column.name.quoted) TYPE"
                    if let other = seen.updateValue(column.name, forKey: column.name.lowercased()) {
                        found.append(
                            Obstacle(
                                problem:
                                    "\(table.name) has the columns \(other) and \(column.name), "
                                    + "which are one name in SQLite",
                                remedy: "ALTER TABLE \(name(table.name)) RENAME "
                                    + "\(column.name.quoted) TO …;"))
                    }
                    if let kind = column.unwatched {
                        found.append(
                            Obstacle(
                                problem: "\(table.name).\(column.name) is \(kind), whose changes "
                                    + "are not replicated",
                                remedy: "\(alter) text;"))
                    } else if let own = table.column(column.name), !own.type.takes(column.type) {
                        found.append(
                            Obstacle(
                                problem: "\(table.name).\(column.name) has the type "
                                    + "\(column.typeName)",
                                remedy: "\(alter) \(own.type.postgresDefinition);"))
                    }
                }
                if ModelRelation.placeNames.allSatisfy({ seen[$0] != nil }) {
                    let names = ModelRelation.placeNames.joined(separator: ", ")
                    found.append(
                        Obstacle(
                            problem: "\(table.name) has all of the columns \(names), which leaves "
                                + "SQLite no name for a row's place",
                            remedy: "Rename one of them"))
                }
            }
            return found
        }

        // MARK: The publication

        private func publication() throws(ReplicationFailure) -> [Obstacle] {
            let name = settings.publication
            let creation = SourceCatalog.creation(of: name, schema: settings.schema)
            switch try catalog.obstacle(publication: name) {
            case nil: return []
            case .wrong(let detail):
                return [
                    Obstacle(
                        problem: "the publication \(name) \(detail)",
                        remedy: "DROP PUBLICATION \(name.quoted); \(creation);")
                ]
            case .missing:
                let rows = try client.rows(
                    """
                    SELECT has_database_privilege(current_database(), 'CREATE')
                       AND bool_and(pg_has_role(c.relowner, 'USAGE'))
                    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = $1 AND c.relname IN (\(Self.names))
                    """, [settings.schema], within: Self.patience)
                guard rows.first?.first == "t" else {
                    return [
                        .right(
                            "there is no publication \(name), and creating it needs CREATE on the "
                                + "database and the tables' ownership",
                            "As the owner: \(creation)")
                    ]
                }
                return settings.creates
                    ? []
                    : [
                        Obstacle(
                            problem: "there is no publication \(name)",
                            remedy: "Allow creating it with --create, or run: \(creation);")
                    ]
            }
        }
    }

    extension SourcePreflight.Obstacle {
        fileprivate static func right(_ problem: String, _ statement: String) -> Self {
            Self(problem: problem, remedy: statement + ";", isOfRights: true)
        }
    }

    extension ColumnType {
        /// Whether the read model, its indexes and views work with values of another type.
        fileprivate func takes(_ other: ColumnType) -> Bool {
            switch self {
            case .uuid: [.uuid, .text].contains(other)
            case .integer, .bigInteger: [.integer, .bigInteger].contains(other)
            case .jsonb, .json: [.jsonb, .json].contains(other)
            case .timestamp, .textArray, .float, .boolean: other == self
            // Nothing is ordered or compared by them.
            case .text, .other: true
            }
        }

        fileprivate var postgresDefinition: String {
            self == .float ? "double precision" : postgresName.lowercased()
        }
    }
#endif
