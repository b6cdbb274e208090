/// The engine's own database, for PostgreSQL 13 and later.
package enum PostgresSchema {
    /// A complete script. Running it again fails at the first table, and changes nothing.
    package static var text: String {
        let parts =
            [header] + EngineSchema.tables.map(table)
            + EngineSchema.tables.flatMap(\.indexes)
            .map { $0 + ";" } + [updatedAt, views, roles, "COMMIT;"]
        return parts.joined(separator: "\n\n") + "\n"
    }

    private static let header = """
        -- The engine's database. Lineage packets are not stored here: Stardust is their ledger, and
        -- shows them as the table stardust_metadata beside these tables.
        BEGIN;
        """

    private static func table(_ table: TableSchema) -> String {
        var lines = table.columns.map { column in
            table.definition(
                of: column, column.name + " " + column.type.postgresName, keyIsRequired: false,
                now: "now()", no: "false")
        }
        let key = table.key.name
        lines.append(
            "    CONSTRAINT \(table.name)_uuid4 CHECK (\(key)::text ~ "
                + "'^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]')")
        for (number, check) in table.checks.enumerated() {
            let suffix = number == 0 ? "" : "\(number + 1)"
            lines.append("    CONSTRAINT \(table.name)_order\(suffix) CHECK (\(check))")
        }
        return "CREATE TABLE \(table.name) (\n\(lines.joined(separator: ",\n"))\n);"
    }

    private static let updatedAt = """
        -- Records when a row last changed. timestamptz is an instant: UTC, however it is displayed.
        CREATE FUNCTION set_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.updated_at = now();
            RETURN NEW;
        END $$;

        CREATE TRIGGER creators_updated_at BEFORE UPDATE ON creators
            FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION set_updated_at();
        """

    /// Ids break ties, so that the same rows always produce the same answer.
    private static let views = """
        CREATE MATERIALIZED VIEW latest_analysis_per_video AS
        SELECT DISTINCT ON (video_id)
               video_id, analysis_id, virality_score, relevance_score, created_at
        FROM analysis
        ORDER BY video_id, created_at DESC, analysis_id DESC;

        CREATE UNIQUE INDEX latest_analysis_per_video_key ON latest_analysis_per_video (video_id);

        -- DESC puts clips without a confidence first.
        CREATE MATERIALIZED VIEW best_clip_per_video AS
        SELECT DISTINCT ON (video_id)
               video_id, clip_id, confidence, lattice_priority
        FROM clips
        ORDER BY video_id, confidence DESC, lattice_priority DESC, clip_id DESC;

        CREATE UNIQUE INDEX best_clip_per_video_key ON best_clip_per_video (video_id);

        CREATE VIEW pending_edit_jobs AS
        SELECT *
        FROM edit_jobs
        WHERE status = 'PENDING'
        ORDER BY created_at ASC;

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
          AND (uj.scheduled_time >= now() OR s.final_scheduled_time >= now())
        ORDER BY COALESCE(s.final_scheduled_time, uj.scheduled_time);

        CREATE VIEW active_analysis_per_video AS
        SELECT DISTINCT ON (video_id) *
        FROM analysis
        ORDER BY video_id, created_at DESC, analysis_id DESC;
        """

    /// Section 7: cognitive services read, workers write, and nobody deletes.
    private static var roles: String {
        let names = (EngineSchema.tables.map(\.name) + EngineSchema.views).joined(separator: ", ")
        let tables = EngineSchema.tables.map(\.name).joined(separator: ", ")
        return """
            -- Roles belong to the whole server, so they may already exist.
            DO $$
            DECLARE name text;
            BEGIN
                FOREACH name IN ARRAY ARRAY['omniva_cognitive', 'omniva_worker'] LOOP
                    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
                    END IF;
                END LOOP;
            END $$;

            -- Cognitive services read; workers also insert and update. Nobody deletes: the owner of
            -- the tables archives what is finished.
            GRANT SELECT ON \(names) TO omniva_cognitive, omniva_worker;
            GRANT INSERT, UPDATE ON \(tables) TO omniva_worker;

            -- Only the owner may refresh a materialised view, so this function does it for workers:
            -- after a restore, and whenever somebody needs current data.
            CREATE FUNCTION refresh_derived_views() RETURNS void LANGUAGE plpgsql
            SECURITY DEFINER SET search_path FROM CURRENT AS $$
            BEGIN
                REFRESH MATERIALIZED VIEW CONCURRENTLY latest_analysis_per_video;
                REFRESH MATERIALIZED VIEW CONCURRENTLY best_clip_per_video;
            END $$;

            REVOKE EXECUTE ON FUNCTION refresh_derived_views() FROM PUBLIC;
            GRANT EXECUTE ON FUNCTION refresh_derived_views() TO omniva_worker;
            """
    }
}
