internal import LedgerFormat
internal import Packets
package import ReadModel

/// What the rows of the read model say of the assets: who names them, and whose they are.
package struct ModelScan: ~Copyable {
    private let connection: SQLiteConnection
    private let scanner: NameScanner
    /// URIs in the classes' columns below their stores' URLs, and how many of those are listed.
    package private(set) var expected: [Int]
    package private(set) var found: [Int]

    package init(_ connection: SQLiteConnection, _ scanner: NameScanner, classes: Int) {
        (self.connection, self.scanner) = (connection, scanner)
        expected = Array(repeating: 0, count: classes)
        found = expected
    }

    /// A clip counts as promoted while a job or a schedule of it is not at an end that is known to be none.
    private static let endsUnused = "'FAILED', 'CANCELLED', 'CANCELED', 'REJECTED'"
    private static let endsOfEdits = endsUnused + ", 'DONE', 'COMPLETED', 'SUCCEEDED'"

    /// An expression with table, id and status of a row that promotes one of the clips of `condition`, with
    /// unit separators between; null if there is none.
    private static func promotion(_ condition: String) -> String {
        func first(_ table: String, _ key: String, _ ends: String) -> String {
            """
            (SELECT '\(table)' || char(31) || j.\(key) || char(31) || coalesce(j.status, 'without a status') \
            FROM \(table) j \
            JOIN clips c ON c.clip_id = j.clip_id WHERE \(condition) \
            AND upper(trim(coalesce(j.status, ''))) NOT IN (\(ends)) LIMIT 1)
            """
        }
        return "coalesce(\(first("upload_jobs", "upload_job_id", endsUnused)), "
            + "\(first("schedules", "schedule_id", endsUnused)), "
            + "\(first("edit_jobs", "edit_job_id", endsOfEdits)))"
    }

    /// Which clips a row of a table stands for: its own, or all of its video.
    private static func clips(of table: String) -> String? {
        switch table {
        case "clips", "edit_jobs", "upload_jobs", "schedules": "c.clip_id = t.clip_id"
        case "videos", "analysis": "c.video_id = t.video_id"
        case "posts":
            "c.video_id IN (SELECT v.video_id FROM videos v WHERE v.post_id = t.post_id)"
        default: nil
        }
    }

    /// Why assets cannot be a table's column's; nil if they can.
    package static func problem(_ column: AssetColumn) -> String? {
        guard let table = EngineSchema.table(column.table), clips(of: column.table) != nil else {
            return
                "\(column.table) is none of posts, videos, analysis, clips, edit_jobs, upload_jobs "
                + "and schedules"
        }
        // A source may have more columns than the engine's.
        guard table.column(column.column)?.type == .jsonb || column.members.isEmpty else {
            return "\(column.table).\(column.column) is no column of JSON"
        }
        return nil
    }

    /// Notes the rows whose assets they are.
    package mutating func readOwners(
        _ number: Int, _ inventory: inout AssetInventory
    ) throws(SQLiteFailure) {
        let of = inventory.classes[number]
        let (table, column) = (EngineSchema.table(of.column.table)!, of.column)
        let value =
            column.members.isEmpty
            ? "t.\(column.column)"
            : "t.\(column.column) ->> ?1"
        let made = table.column("created_at") == nil ? "NULL" : "t.created_at"
        let statement = try connection.prepare(
            "SELECT \(value), t.\(table.key.name), \(made), "
                + Self.promotion(Self.clips(of: table.name)!) + " FROM \(table.name) t")
        if !column.members.isEmpty {
            let path = "$" + column.members.map { ".\"\($0)\"" }.joined()
            try statement.bind(1, .text(Array(path.utf8)))
        }
        let root = AssetURI(of.url, key: "").loose
        while try statement.step() {
            guard case .text(let text) = statement.value(0) else { continue }
            let owner = AssetInventory.Owner(
                table: table.name, id: statement.text(1) ?? "",
                made: statement.text(2).flatMap { Timestamp(rfc3339: $0) },
                promotion: statement.text(3).flatMap(AssetInventory.Promotion.init(joined:)))
            var uris: Set<AssetURI> = []
            scanner.scan(text: text) { uris.insert($0) }
            for uri in uris {
                let isThere = inventory.note(uri, of: number, owner)
                if uri.loose.hasPrefix(root) {
                    expected[number] += 1
                    if isThere { found[number] += 1 }
                }
            }
        }
    }

    /// Notes every name in every table, but for the columns of the classes: those are the assets' own rows.
    package func readNames(_ inventory: inout AssetInventory) throws(SQLiteFailure) {
        let own = Set(inventory.classes.map { "\($0.column.table).\($0.column.column)" })
        for table in EngineSchema.tables {
            // What clean-ups say of themselves would keep for ever what was kept once.
            let isLogs = table.name == "logs"
            let statement = try connection.prepare(
                "SELECT * FROM \(table.name)"
                    + (isLogs ? " WHERE source IS NOT '\(CleanupRecord.worker)'" : ""))
            let types = (0..<statement.columnCount).map(statement.type)
            let names = (0..<statement.columnCount).map(statement.name)
            let key = names.firstIndex(of: table.key.name) ?? 0
            while try statement.step() {
                for column in types.indices {
                    let isJSON = [.jsonb, .json, .textArray].contains(types[column])
                    guard isJSON || types[column] == .text else { continue }
                    guard case .text(let text) = statement.value(column) else { continue }
                    let place = "\(table.name).\(names[column])"
                    func take(_ uri: AssetURI) {
                        guard !own.contains(place) || !isOwn(uri, place, inventory) else { return }
                        inventory.note(
                            uri, row: (table.name, names[column]), statement.text(key) ?? "")
                    }
                    if isJSON, let document = try? JSONDocument(text, limits: .row) {
                        scanner.scan(document, take)
                    } else {
                        scanner.scan(text: text, take)
                    }
                }
            }
        }
    }

    /// Whether a column's name is of an asset of the class that the column is of.
    private func isOwn(
        _ uri: AssetURI, _ place: String, _ inventory: AssetInventory
    ) -> Bool {
        inventory.indices(of: uri).allSatisfy { index in
            let column = inventory.classes[inventory[index].of].column
            return "\(column.table).\(column.column)" == place
        }
    }
}

extension AssetInventory.Promotion {
    /// Table, id and status with unit separators between.
    fileprivate init?(joined text: String) {
        let parts = text.split(
            separator: "\u{1F}", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        self.init(table: String(parts[0]), id: String(parts[1]), status: String(parts[2]))
    }
}

extension SQLiteStatement {
    fileprivate func text(_ column: Int) -> String? {
        guard case .text(let bytes) = value(column) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
