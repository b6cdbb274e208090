/// A table, as far as both SQL dialects have it in common.
package struct TableSchema: Hashable, Sendable {
    package var name: String
    /// The first is the primary key.
    package var columns: [Column]
    /// Conditions on each row beyond its types, in SQL that both dialects accept.
    package var checks: [String]
    /// Complete statements that both dialects accept.
    package var indexes: [String]

    package struct Column: Hashable, Sendable {
        package var name: String
        package var type: ColumnType
        package var isRequired = false
        package var defaultValue: Default?
        /// The table whose primary key it references.
        package var references: String?
    }

    package enum Default: Hashable, Sendable {
        case now
        case text(String)
        case no
    }

    init(
        _ name: String, _ columns: [Column], checks: [String] = [], indexes: [String] = []
    ) {
        (self.name, self.columns, self.checks, self.indexes) = (name, columns, checks, indexes)
    }

    package var key: Column { columns[0] }

    package func column(_ name: String) -> Column? { columns.first { $0.name == name } }

    /// A column's line in `CREATE TABLE`, which starts with its name and type. Each dialect spells
    /// the defaults now and false in its own way.
    func definition(
        of column: Column, _ start: String, keyIsRequired: Bool, now: String, no: String
    ) -> String {
        let isKey = column == key
        var line = "    " + start + (isKey ? " PRIMARY KEY" : "")
        if column.isRequired, !isKey || keyIsRequired { line += " NOT NULL" }
        switch column.defaultValue {
        case nil: break
        case .now: line += " DEFAULT \(now)"
        case .text(let text): line += " DEFAULT '\(text)'"
        case .no: line += " DEFAULT \(no)"
        }
        if let parent = column.references.flatMap(EngineSchema.table) {
            line += " REFERENCES \(parent.name) (\(parent.key.name))"
        }
        return line
    }
}

extension TableSchema.Column {
    /// A column that the source has in addition to the engine's.
    package init(_ name: String, _ type: ColumnType) { self.init(name: name, type: type) }

    fileprivate static func key(_ name: String) -> Self {
        Self(name: name, type: .uuid, isRequired: true)
    }

    fileprivate static func parent(_ name: String, _ table: String) -> Self {
        Self(name: name, type: .uuid, isRequired: true, references: table)
    }

    fileprivate static func required(
        _ name: String, _ type: ColumnType, _ defaultValue: TableSchema.Default? = nil
    ) -> Self {
        Self(name: name, type: type, isRequired: true, defaultValue: defaultValue)
    }

    fileprivate static func optional(
        _ name: String, _ type: ColumnType, _ defaultValue: TableSchema.Default? = nil
    ) -> Self {
        Self(name: name, type: type, defaultValue: defaultValue)
    }

    fileprivate static let createdAt = required("created_at", .timestamp, .now)
}

/// The engine's tables (its data models, section 3). `stardust_metadata` is not among them: that is
/// the ledger.
package enum EngineSchema {
    /// Parents before children.
    package static let tables = [
        TableSchema(
            "creators",
            [
                .key("creator_id"), .required("platform", .text), .required("username", .text),
                .optional("profile_url", .text), .createdAt,
                .required("updated_at", .timestamp, .now),
            ], indexes: ["CREATE UNIQUE INDEX creators_handle ON creators (platform, username)"]),
        TableSchema(
            "posts",
            [
                .key("post_id"), .parent("creator_id", "creators"),
                .required("platform_post_id", .text), .required("url", .text),
                .optional("posted_at", .timestamp), .optional("downloaded_at", .timestamp),
                .optional("raw_metadata", .jsonb),
            ], indexes: ["CREATE INDEX posts_of_creator ON posts (creator_id, posted_at)"]),
        TableSchema(
            "videos",
            [
                .key("video_id"), .parent("post_id", "posts"), .required("file_path", .text),
                .optional("duration_seconds", .integer), .optional("resolution", .text),
                .required("checksum", .text), .createdAt,
            ],
            indexes: [
                "CREATE INDEX videos_of_post ON videos (post_id)",
                "CREATE UNIQUE INDEX videos_checksum ON videos (checksum)",
            ]),
        TableSchema(
            "analysis",
            [
                .key("analysis_id"), .parent("video_id", "videos"),
                .optional("transcript", .text), .optional("keywords", .textArray),
                .optional("virality_score", .float), .optional("relevance_score", .float),
                .optional("raw_ai_output", .jsonb), .createdAt,
            ],
            indexes: [
                "CREATE INDEX analysis_of_video ON analysis (video_id)",
                "CREATE INDEX analysis_trending ON analysis (virality_score DESC) "
                    + "WHERE virality_score IS NOT NULL",
            ]),
        TableSchema(
            "clips",
            [
                .key("clip_id"), .parent("video_id", "videos"), .required("start_time", .float),
                .required("end_time", .float), .optional("confidence", .float),
                .optional("semantic_tags", .textArray), .optional("pantheon_votes", .jsonb),
                .optional("lattice_priority", .float), .optional("metadata", .jsonb),
            ], checks: ["end_time > start_time"],
            indexes: [
                "CREATE INDEX clips_of_video ON clips (video_id)",
                "CREATE INDEX clips_confidence ON clips (confidence DESC)",
            ]),
        TableSchema(
            "edit_jobs",
            [
                .key("edit_job_id"), .parent("clip_id", "clips"), .required("operations", .jsonb),
                .optional("ffmpeg_commands", .textArray), .optional("gpu_required", .boolean, .no),
                .optional("estimated_duration_seconds", .integer),
                .required("status", .text, .text("PENDING")), .createdAt,
            ],
            indexes: [
                "CREATE INDEX edit_jobs_of_clip ON edit_jobs (clip_id)",
                "CREATE INDEX edit_jobs_pending ON edit_jobs (created_at) "
                    + "WHERE status = 'PENDING'",
            ]),
        TableSchema(
            "upload_jobs",
            [
                .key("upload_job_id"), .parent("clip_id", "clips"), .optional("title", .text),
                .optional("description", .text), .optional("keywords", .textArray),
                .optional("scheduled_time", .timestamp), .optional("privacy_status", .text),
                .optional("yt_video_id", .text), .required("status", .text, .text("PENDING")),
                .createdAt,
            ],
            indexes: [
                "CREATE INDEX upload_jobs_calendar ON upload_jobs (scheduled_time)",
                "CREATE INDEX upload_jobs_open ON upload_jobs (status) "
                    + "WHERE status IN ('PENDING', 'FAILED')",
            ]),
        TableSchema(
            "schedules",
            [
                .key("schedule_id"), .parent("clip_id", "clips"),
                .optional("recommended_time", .timestamp),
                .optional("final_scheduled_time", .timestamp),
                .optional("horizon_adjustments", .jsonb),
                .required("status", .text, .text("PENDING")),
            ],
            indexes: [
                "CREATE INDEX schedules_calendar ON schedules (final_scheduled_time)",
                "CREATE INDEX schedules_of_clip ON schedules (clip_id)",
            ]),
        TableSchema(
            "logs",
            [
                .key("log_id"), .required("source", .text), .required("level", .text),
                .required("message", .text), .optional("metadata", .jsonb), .createdAt,
            ],
            indexes: [
                "CREATE INDEX logs_source ON logs (source)",
                "CREATE INDEX logs_level ON logs (level)",
                "CREATE INDEX logs_newest ON logs (created_at DESC)",
            ]),
    ]

    package static func table(_ name: String) -> TableSchema? { tables.first { $0.name == name } }

    /// The views derived from the tables (section 4), and the one active analysis of each video.
    package static let views = [
        "latest_analysis_per_video", "best_clip_per_video", "pending_edit_jobs",
        "upcoming_upload_schedule", "active_analysis_per_video",
    ]
}
