internal import CSQLite

/// The schema of `model.sqlite`: the engine's tables, what is derived from them, and the record of
/// where they come from.
package enum SQLiteSchema {
    /// The complete script.
    package static var text: String {
        let tables = EngineSchema.tables.map { statement($0) + ";" }
        return
            (tables + [indexes, derived].joined().map { $0 + ";" }
            + [state + ";", SourceTable.schema + ";"])
            .joined(separator: "\n\n") + "\n"
    }

    /// Statements that run only after a copy's rows are in, as do those of `derived`.
    /// None is unique: within a transaction the source may be less strict, and it has checked.
    package static var indexes: [String] {
        EngineSchema.tables.flatMap(\.indexes).map {
            $0.replacing("CREATE UNIQUE ", with: "CREATE ")
        }
    }

    package static var derived: [String] { derivedTables + triggers + views }

    // MARK: Tables

    package static func statement(_ table: TableSchema) -> String {
        // The source enforces foreign keys. Here they only say what belongs together, and orphans
        // are reported. SQLite allows NULL in a text key unless it is declared NOT NULL.
        var lines = table.columns.map { column in
            table.definition(
                of: column, column.name.quotedIfNeeded + " " + column.type.sqliteName,
                keyIsRequired: true, now: "(\(now))", no: "0")
        }
        for column in table.columns {
            switch column.type {
            case .timestamp:
                let name = column.name.quotedIfNeeded
                lines.append(
                    "    CONSTRAINT \(table.name)_\(column.name)_utc CHECK "
                        + "(\(name) GLOB '*Z' OR \(name) IN ('infinity', '-infinity'))")
            case .uuid where column == table.key:
                lines.append(
                    "    CONSTRAINT \(table.name)_uuid4 CHECK (\(column.name) GLOB "
                        + "'????????-????-4???-[89ab]???-????????????' AND "
                        + "\(column.name) NOT GLOB '*[^0-9a-f-]*')")
            default: break
            }
        }
        for (number, check) in table.checks.enumerated() {
            let suffix = number == 0 ? "" : "\(number + 1)"
            lines.append("    CONSTRAINT \(table.name)_order\(suffix) CHECK (\(check))")
        }
        return "CREATE TABLE \(table.name) (\n\(lines.joined(separator: ",\n"))\n)"
    }

    /// The current time in the form the tables use.
    static let now = "strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')"

    /// A value that sorts times by year before their text is compared. Text alone sorts wrongly for
    /// years beyond four digits and for years before 0.
    static func year(_ time: String) -> String {
        "CASE \(time) WHEN 'infinity' THEN 999999 WHEN '-infinity' THEN -999999 "
            + "ELSE CAST(\(time) AS INTEGER) END"
    }

    /// Values whose ascending order is PostgreSQL's, in which NULL comes last.
    private static func nullsLast(_ column: String) -> [String] {
        ["\(column) IS NULL", "coalesce(\(column), 0)"]
    }

    // MARK: Derived

    /// A materialised view that is kept current: a table with the first row for each video.
    private struct FirstOfVideo: Sendable {
        var name: String
        var source: String
        var columns: [String]
        /// The sort keys of a row. `prefix`, such as `NEW.`, goes before each column.
        var order: @Sendable (_ prefix: String) -> [String]

        func rank(_ prefix: String) -> String { order(prefix).joined(separator: ", ") }
        var descending: String { order("").map { $0 + " DESC" }.joined(separator: ", ") }
    }

    private static let latestAnalysis = FirstOfVideo(
        name: "latest_analysis_per_video", source: "analysis",
        columns: ["analysis_id", "virality_score", "relevance_score", "created_at"]
    ) {
        [year($0 + "created_at"), $0 + "created_at", $0 + "analysis_id"]
    }

    private static let bestClip = FirstOfVideo(
        name: "best_clip_per_video", source: "clips",
        columns: ["clip_id", "confidence", "lattice_priority"]
    ) {
        nullsLast($0 + "confidence") + nullsLast($0 + "lattice_priority") + [$0 + "clip_id"]
    }

    private static let firsts = [latestAnalysis, bestClip]

    private static var derivedTables: [String] {
        firsts.map { first in
            let source = EngineSchema.table(first.source)!
            let columns = first.columns.map { name in
                "    \(name) \(source.column(name)!.type.sqliteName)"
            }
            return "CREATE TABLE \(first.name) (\n    video_id UUID TEXT PRIMARY KEY NOT NULL,\n"
                + columns.joined(separator: ",\n") + "\n)"
        }
    }

    /// Statements that fill the materialised views from all rows, for a file whose views are empty.
    package static var fillDerived: [String] {
        firsts.map { first in
            let columns = first.columns.joined(separator: ", ")
            return """
                INSERT INTO \(first.name) (video_id, \(columns))
                SELECT video_id, \(columns) FROM (
                    SELECT *, row_number() OVER (PARTITION BY video_id ORDER BY \(first.descending)) AS place
                    FROM \(first.source))
                WHERE place = 1
                """
        }
    }

    private static var triggers: [String] { firsts.flatMap(triggers) }

    /// Whether a view is stored as a table.
    package static func isMaterialised(_ view: String) -> Bool {
        firsts.contains { $0.name == view }
    }

    package static func derivedTables(of source: String) -> [String] {
        firsts.filter { $0.source == source }.map(\.name)
    }

    private static func triggers(_ first: FirstOfVideo) -> [String] {
        let columns = first.columns.joined(separator: ", ")
        let new = first.columns.map { "NEW.\($0)" }.joined(separator: ", ")
        let sets = first.columns.map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
        let watched = (["video_id"] + first.columns).joined(separator: ", ")
        let changed = (["video_id"] + first.columns).map { "OLD.\($0) IS NOT NEW.\($0)" }
            .joined(separator: " OR ")
        let insert = """
                INSERT INTO \(first.name) (video_id, \(columns)) VALUES (NEW.video_id, \(new))
                    ON CONFLICT (video_id) DO UPDATE SET \(sets)
                    WHERE (\(first.rank("excluded."))) > (\(first.rank("")));
            """
        // The other rows are only examined if the first row goes.
        let id = first.columns.first { $0.hasSuffix("_id") }!
        let isFirst = "(SELECT \(id) FROM \(first.name) WHERE video_id = OLD.video_id) = OLD.\(id)"
        let again = """
                DELETE FROM \(first.name) WHERE video_id = OLD.video_id;
                INSERT INTO \(first.name) (video_id, \(columns))
                    SELECT video_id, \(columns) FROM \(first.source)
                    WHERE video_id = OLD.video_id ORDER BY \(first.descending) LIMIT 1;
            """
        // A first row that moves further ahead stays first.
        let stays =
            "NEW.video_id = OLD.video_id AND (\(first.rank("NEW."))) >= (\(first.rank("OLD.")))"
        return [
            """
            CREATE TRIGGER \(first.name)_inserted AFTER INSERT ON \(first.source) BEGIN
            \(insert)
            END
            """,
            """
            CREATE TRIGGER \(first.name)_passed AFTER UPDATE OF \(watched) ON \(first.source)
            WHEN (\(changed)) AND NOT coalesce(\(isFirst), 0) BEGIN
            \(insert)
            END
            """,
            """
            CREATE TRIGGER \(first.name)_risen AFTER UPDATE OF \(watched) ON \(first.source)
            WHEN (\(changed)) AND \(isFirst) AND \(stays) BEGIN
                UPDATE \(first.name) SET \(first.columns.map { "\($0) = NEW.\($0)" }.joined(separator: ", "))
                    WHERE video_id = NEW.video_id;
            END
            """,
            """
            CREATE TRIGGER \(first.name)_fallen AFTER UPDATE OF \(watched) ON \(first.source)
            WHEN (\(changed)) AND \(isFirst) AND NOT coalesce(\(stays), 0) BEGIN
            \(again)
            \(insert)
            END
            """,
            """
            CREATE TRIGGER \(first.name)_deleted AFTER DELETE ON \(first.source)
            WHEN \(isFirst) BEGIN
            \(again)
            END
            """,
        ]
    }

    private static let views = [
        """
        CREATE VIEW pending_edit_jobs AS
        SELECT *
        FROM edit_jobs
        WHERE status = 'PENDING'
        ORDER BY \(year("created_at")), created_at
        """,
        """
        CREATE VIEW upcoming_upload_schedule AS
        SELECT uj.upload_job_id,
               uj.clip_id,
               uj.title,
               uj.scheduled_time,
               s.final_scheduled_time,
               s.status AS schedule_status
        FROM upload_jobs uj
        LEFT JOIN schedules s ON s.clip_id = uj.clip_id
        WHERE uj.status IN ('PENDING', 'SCHEDULED')
          AND (\(isUpcoming("uj.scheduled_time")) OR \(isUpcoming("s.final_scheduled_time")))
        ORDER BY \(year("coalesce(s.final_scheduled_time, uj.scheduled_time)")),
                 coalesce(s.final_scheduled_time, uj.scheduled_time)
        """,
        """
        CREATE VIEW active_analysis_per_video AS
        SELECT a.*
        FROM latest_analysis_per_video l
        JOIN analysis a ON a.analysis_id = l.analysis_id
        """,
    ]

    private static func isUpcoming(_ time: String) -> String {
        "(\(year(time)), \(time)) >= (CAST(\(now) AS INTEGER), \(now))"
    }

    // MARK: Logs

    /// Whether a log's metadata violates its schema. NULL is fit: a log need not name an entity.
    /// There is no index on this, because SQLite refuses JSON functions in an untrusted schema.
    package static let isUnfit = """
        metadata IS NOT NULL AND NOT coalesce(CASE WHEN json_valid(metadata) THEN \
        json_type(metadata) = 'object' \
        AND coalesce(json_type(metadata, '$.entity_type') = 'text', 1) \
        AND coalesce(json_extract(metadata, '$.entity_type') IN (\(entityTypes)), 1) \
        AND \(isUUID("$.entity_id")) AND \(isUUID("$.stardust_id")) \
        AND (json_type(metadata, '$.entity_type') IS NULL) = (json_type(metadata, '$.entity_id') IS NULL) END, 0)
        """

    private static let entityTypes = EngineSchema.tables.map { "'\($0.name)'" }
        .joined(separator: ", ")

    private static func isUUID(_ path: String) -> String {
        let hex = "[0-9a-f]"
        let groups = [8, 4, 4, 4, 12].map { String(repeating: hex, count: $0) }
        return "coalesce(json_type(metadata, '\(path)') = 'text' AND "
            + "lower(json_extract(metadata, '\(path)')) GLOB '\(groups.joined(separator: "-"))', 1)"
    }

    // MARK: Where the rows come from

    /// One row. `lsn` and `source_lsn` are PostgreSQL's positions as numbers.
    package static let state = """
        CREATE TABLE model_state (
            id INT PRIMARY KEY NOT NULL CHECK (id = 1),
            schema_version INT NOT NULL,
            source TEXT NOT NULL,
            phase TEXT NOT NULL,
            lsn BIGINT NOT NULL,
            source_lsn BIGINT NOT NULL,
            slot TEXT,
            publication TEXT,
            system_id TEXT,
            timeline INT,
            committed_at TIMESTAMPTZ TEXT,
            behind_since TIMESTAMPTZ TEXT,
            updated_at TIMESTAMPTZ TEXT,
            retained_bytes BIGINT,
            last_error TEXT,
            warnings TEXT,
            absent_columns TEXT,
            refused_lsns TEXT,
            committed_lsn BIGINT NOT NULL
        )
        """
}

extension String {
    /// As an identifier in SQL.
    package var quoted: String {
        "\"" + split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
            + "\""
    }

    /// The same, but without quotes if possible, which makes the engine's column names easier to
    /// read.
    var quotedIfNeeded: String {
        let isPlain = utf8.allSatisfy {
            (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F
        }
        // Safety: the text is lent for the call.
        let isWord = unsafe sqlite3_keyword_check(self, Int32(utf8.count)) != 0
        return isPlain && !isWord && first?.isLetter == true ? self : quoted
    }
}
