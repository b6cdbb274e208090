internal import LedgerFormat
internal import Packets
package import ReadModel

/// What the rows of the read model say of the assets: who mentions them, and whose they are.
package struct ModelScan: ~Copyable {
    private let connection: SQLiteConnection
    private let endpoints: Set<String>

    package init(_ connection: SQLiteConnection, endpoints: Set<String>) {
        (self.connection, self.endpoints) = (connection, endpoints)
    }

    // MARK: Whose they are

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

    /// Why the rows that are there have no such column; nil if they have.
    package func absence(of column: AssetColumn) throws(SQLiteFailure) -> String? {
        let rows = try connection.rows(
            "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2",
            [.string(column.table), .string(column.column)])
        return rows.isEmpty ? "the rows of \(column.table) have no column \(column.column)" : nil
    }

    /// Notes the rows whose assets they are. `isDeleted` tells which names no longer need to be listed. Returns
    /// how many names the column has, and how many of those are listed.
    package func readOwners(
        of column: AssetColumn, _ inventory: inout AssetInventory,
        isDeleted: (AssetURI) -> Bool = { _ in false }
    ) throws(SQLiteFailure) -> (names: Int, listed: Int) {
        let table = EngineSchema.table(column.table)!
        let numbers = inventory.classes.indices.filter { inventory.classes[$0].column == column }
        let made = table.column("created_at") == nil ? "NULL" : "t.created_at"
        let statement = try connection.prepare(
            "SELECT t.\"\(column.column)\", t.\(table.key.name), \(made), "
                + Self.promotion(Self.clips(of: table.name)!) + " FROM \(table.name) t")
        var counts = (names: 0, listed: 0)
        while try statement.step() {
            guard case .text(let text) = statement.value(0) else { continue }
            for name in OwnNames(column, text).texts {
                let uri = AssetURI(name, endpoints: endpoints)
                if let uri, isDeleted(uri) { continue }
                counts.names += 1
                guard let uri else { continue }
                let owner = AssetInventory.Owner(
                    table: table.name, id: statement.text(1) ?? "",
                    made: statement.text(2).flatMap { Timestamp(rfc3339: $0) },
                    promotion: statement.text(3).flatMap(
                        AssetInventory.Promotion.init(joined:)))
                var isListed = false
                for number in numbers where inventory.note(uri, of: number, owner) {
                    isListed = true
                }
                if isListed { counts.listed += 1 }
            }
        }
        return counts
    }

    /// What promotes one of the clips that a row stands for, now; nil if nothing does.
    func promotion(
        of owner: AssetInventory.Owner
    ) throws(SQLiteFailure) -> AssetInventory.Promotion? {
        guard let table = EngineSchema.table(owner.table), let clips = Self.clips(of: owner.table)
        else { return nil }
        let rows = try connection.rows(
            "SELECT \(Self.promotion(clips)) FROM \(table.name) t WHERE t.\(table.key.name) = ?1",
            [.string(owner.id)])
        return rows.lazy.compactMap { $0[0].string }.compactMap(
            AssetInventory.Promotion.init(joined:)
        ).first
    }

    // MARK: Who mentions them

    /// Notes every mention in every table. What a class's column has as the very name of an asset of that class is
    /// its own row's; all else in the same column counts.
    package func readMentions(_ inventory: inout AssetInventory) throws(SQLiteFailure) {
        for table in EngineSchema.tables {
            // What clean-ups say of themselves would keep for ever what was kept once.
            let isLogs = table.name == "logs"
            let statement = try connection.prepare(
                "SELECT * FROM \(table.name)"
                    + (isLogs ? " WHERE source IS NOT '\(CleanupRecord.worker)'" : ""))
            let names = (0..<statement.columnCount).map(statement.name)
            let columns = names.map { name in
                Set(
                    inventory.classes.map(\.column).filter {
                        $0.table == table.name && $0.column == name
                    })
            }
            let key = names.firstIndex(of: table.key.name) ?? 0
            while try statement.step() {
                for (number, name) in names.enumerated() {
                    guard case .text(let text) = statement.value(number),
                        text.contains(UInt8(ascii: "/")) || text.contains(UInt8(ascii: "%"))
                            || text.contains(UInt8(ascii: "\\"))
                    else { continue }
                    let id = { statement.text(key) ?? "" }
                    readMentions(text, columns[number], &inventory) { (inventory, index) in
                        inventory.note(index, row: (table.name, name), id())
                    }
                }
            }
        }
    }

    private func readMentions(
        _ text: [UInt8], _ own: Set<AssetColumn>, _ inventory: inout AssetInventory,
        _ note: (inout AssetInventory, Int) -> Void
    ) {
        guard !own.isEmpty else {
            Mention.all(in: LooseText.of(text), inventory.limits) { mention in
                for index in inventory.indices(of: mention) { note(&inventory, index) }
            }
            return
        }
        // Without the very names that the classes have here, and these names on their own.
        var rest = text
        for column in own {
            let found = OwnNames(column, text)
            for range in found.ranges {
                for index in range { rest[index] = 0x20 }
            }
            for name in found.texts {
                Mention.all(in: LooseText.of(name.utf8), inventory.limits) { mention in
                    for index in inventory.indices(of: mention) {
                        let isOwn =
                            inventory.classes[inventory[index].of].column == column
                            && inventory.isMeant(index, by: name, endpoints)
                        if !isOwn { note(&inventory, index) }
                    }
                }
            }
        }
        Mention.all(in: LooseText.of(rest), inventory.limits) { mention in
            for index in inventory.indices(of: mention) { note(&inventory, index) }
        }
    }
}

/// The names of assets that a class's column has in one row: the whole text, or in JSON the text at the members, or each
/// text in a list there.
struct OwnNames {
    private(set) var texts: [String] = []
    /// Their bytes in the column's text.
    private(set) var ranges: [Range<Int>] = []

    init(_ column: AssetColumn, _ text: [UInt8]) {
        guard !column.members.isEmpty else {
            (texts, ranges) = ([String(decoding: text, as: UTF8.self)], [text.indices])
            return
        }
        guard let document = try? JSONDocument(text, limits: .row) else { return }
        var value = 0
        for member in column.members {
            guard document.tokens[value].kind == .object,
                let next = document.member(member, of: value)
            else { return }
            value = next
        }
        let values =
            document.tokens[value].kind == .array
            ? Array(JSONChildren(document.tokens, of: value)) : [value]
        for value in values {
            guard document.tokens[value].kind == .string, let name = document.string(value) else {
                continue
            }
            texts.append(name)
            ranges.append(document.tokens[value].bytes)
        }
    }
}

extension AssetInventory {
    /// Whether a column's text is a name of this very asset.
    fileprivate func isMeant(_ index: Int, by name: String, _ endpoints: Set<String>) -> Bool {
        AssetURI(name, endpoints: endpoints).map { indices(of: $0).contains(index) } ?? false
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
