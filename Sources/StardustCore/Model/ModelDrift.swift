package import LedgerFormat
package import LedgerStorage
package import Packets
internal import Platform
package import ReadModel

/// The differences between rows and packets. Blocks; reads the whole ledger and all rows.
package struct ModelDrift: Sendable {
    package private(set) var coverage: [Coverage] = []
    package private(set) var counts: [Kind: Int] = [:]
    package private(set) var findings: [Finding] = []

    package struct Coverage: Sendable {
        package var table: String
        package var rows = 0
        /// Rows that have a packet.
        package var covered = 0
    }

    package enum Kind: String, CaseIterable, Sendable {
        case rowWithoutPacket = "row_without_packet"
        case packetWithoutRow = "packet_without_row"
        case wrongStardustID = "wrong_stardust_id"
        case votesDiffer = "votes_differ"
        case unfitLog = "log_unfit"
        case unreadValue = "value_unread"
    }

    package struct Finding: Sendable {
        package var kind: Kind
        package var table: String
        package var id: String
        package var detail: String
    }

    /// How many findings of one kind are listed.
    package static let findingsMax = 100

    package enum Failure: Error {
        case model(ModelFailure)
        case read(ReadFailure)
        case timeIsOver
    }

    package init(
        _ map: LedgerMap, size: LedgerSize, _ connection: SQLiteConnection,
        _ patience: Patience
    ) throws(Failure) {
        let packets = try PacketCensus(map, size, patience)
        for table in EngineSchema.tables {
            do throws(SQLiteFailure) {
                try compare(table, packets, connection)
            } catch { throw .model(.database(error)) }
            try compareEmbedded(table, map, size, connection, patience)
        }
        do throws(SQLiteFailure) { try findUnfitLogs(connection) } catch {
            throw .model(.database(error))
        }
    }

    private mutating func add(_ kind: Kind, _ table: String, _ id: String, _ detail: String) {
        counts[kind, default: 0] += 1
        if counts[kind]! <= Self.findingsMax {
            findings.append(Finding(kind: kind, table: table, id: id, detail: detail))
        }
    }

    // MARK: Rows and packets

    private mutating func compare(
        _ table: TableSchema, _ packets: PacketCensus, _ connection: SQLiteConnection
    ) throws(SQLiteFailure) {
        var coverage = Coverage(table: table.name)
        var unseen = packets.entities[table.name] ?? []
        let isLogs = table.name == "logs"
        let votes = table.name == "clips" ? ", pantheon_votes" : ""
        let statement = try connection.prepare(
            "SELECT \(table.key.name)\(votes) FROM \(table.name)")
        while try statement.step() {
            let text = statement.value(0).string ?? ""
            coverage.rows += 1
            guard let id = UUID128(text), unseen.remove(id) != nil else {
                if !isLogs {
                    add(.rowWithoutPacket, table.name, text, "no packet describes this row")
                }
                continue
            }
            coverage.covered += 1
            guard table.name == "clips" else { continue }
            compareVotes(text, statement.value(1), packets.votes[id])
        }
        for id in unseen.sorted() {
            add(.packetWithoutRow, table.name, "\(id)", "packets exist, but no row")
        }
        self.coverage.append(coverage)
    }

    /// Compares votes as JSON values: 1 equals 1.0, and the order of members does not matter.
    private mutating func compareVotes(_ clip: String, _ here: ModelValue, _ there: [UInt8]?) {
        switch (here, there) {
        case (.text(let votes), let there?):
            if (try? isSameJSON(votes, there)) == true { return }
            add(
                .votesDiffer, "clips", clip,
                "pantheon_votes are \(String(decoding: votes, as: UTF8.self)), but the newest "
                    + "packet has "
                    + String(decoding: there, as: UTF8.self))
        case (.text, nil): add(.votesDiffer, "clips", clip, "no packet contains the pantheon_votes")
        case (_, let there?):
            add(
                .votesDiffer, "clips", clip,
                "the row has no pantheon_votes, but the newest packet has "
                    + String(decoding: there, as: UTF8.self))
        case (_, nil): break
        }
    }

    /// Checks the packet ids in JSON columns.
    private mutating func compareEmbedded(
        _ table: TableSchema, _ map: LedgerMap, _ size: LedgerSize, _ connection: SQLiteConnection,
        _ patience: Patience
    ) throws(Failure) {
        for column in table.columns where column.type == .jsonb {
            let statement: SQLiteStatement
            do throws(SQLiteFailure) {
                statement = try connection.prepare(
                    "SELECT \(table.key.name), \(column.name) FROM \(table.name) "
                        + "WHERE \(column.name) LIKE '%\"stardust_id\"%'")
            } catch { throw .model(.database(error)) }
            while let (id, text) = try Self.next(statement) {
                if patience.isOver { throw .timeIsOver }
                let all: [EmbeddedID]
                do throws(JSONError) { all = try EmbeddedID.all(in: text) } catch {
                    add(
                        .unreadValue, table.name, id, "\(column.name) was not looked into: \(error)"
                    )
                    continue
                }
                for embedded in all {
                    guard let detail = try Self.mismatch(embedded, table.name, id, map, size) else {
                        continue
                    }
                    let place = "\(column.name)\(embedded.pointer)"
                    add(.wrongStardustID, table.name, id, "\(place): \(detail)")
                }
            }
        }
    }

    private static func next(
        _ statement: SQLiteStatement
    ) throws(Failure) -> (id: String, text: [UInt8])? {
        do throws(SQLiteFailure) {
            while try statement.step() {
                guard case .text(let text) = statement.value(1) else { continue }
                return (statement.value(0).string ?? "", text)
            }
            return nil
        } catch { throw .model(.database(error)) }
    }

    /// Why an embedded id is wrong; nil if it is right.
    private static func mismatch(
        _ embedded: EmbeddedID, _ table: String, _ row: String, _ map: LedgerMap, _ size: LedgerSize
    ) throws(Failure) -> String? {
        guard let id = UUID128(embedded.stardustID) else {
            return "\(embedded.stardustID) is not a UUID"
        }
        let position: Position?
        do throws(FileFailure) { position = try map.position(of: id) } catch {
            throw .read(.file(error))
        }
        guard let position, size.contains(position) else {
            return "there is no packet \(id)"
        }
        // Deeper inside the value, a row may name any packet.
        guard embedded.isOfRow else { return nil }
        let record: StoredRecord?
        do throws(ReadFailure) { record = try map.read(position) } catch { throw .read(error) }
        guard let record, let document = try? JSONDocument(record.payload),
            let outline = PacketOutline(document.tokens, document.bytes.span)
        else { return "position \(position) does not hold a packet" }
        // A log row names the entity it is about. Any other row is itself the entity.
        let type = table == "logs" ? embedded.entityType : table
        let entity = table == "logs" ? embedded.entityID : row
        if let type, type != outline.entityType {
            return
                "packet \(id) belongs to \(outline.entityType) \(outline.entityID), not \(type)"
        }
        if let entity, UUID128(entity) != outline.entityID {
            return "packet \(id) belongs to \(outline.entityType) \(outline.entityID)"
        }
        return nil
    }

    private mutating func findUnfitLogs(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        for row in try connection.rows(
            "SELECT log_id, metadata, json_valid(metadata) FROM logs WHERE \(SQLiteSchema.isUnfit)")
        {
            if row[2].integer == 0,
                (try? JSONDocument(Array((row[1].string ?? "").utf8), limits: .row)) != nil
            {
                add(
                    .unreadValue, "logs", row[0].string ?? "",
                    "metadata nests more deeply than SQLite reads")
                continue
            }
            add(
                .unfitLog, "logs", row[0].string ?? "",
                "metadata does not match the schema: \(row[1].string?.prefix(200) ?? "")")
        }
    }

    package func write(to json: inout JSONWriter) {
        json.key("coverage")
        json.array(coverage) { item, json in
            json.beginObject()
            json.member("table", item.table)
            json.member("rows", item.rows)
            json.member("covered", item.covered)
            json.endObject()
        }
        json.key("counts")
        json.beginObject()
        for kind in Kind.allCases { json.member(kind.rawValue, counts[kind] ?? 0) }
        json.endObject()
        json.key("findings")
        json.array(findings) { finding, json in
            json.beginObject()
            json.member("kind", finding.kind.rawValue)
            json.member("table", finding.table)
            json.member("id", finding.id)
            json.member("detail", finding.detail)
            json.endObject()
        }
    }
}

/// The rows that the packets describe.
private struct PacketCensus {
    var entities: [String: Set<UUID128>] = [:]
    /// The votes in each clip's newest packet that has any, as written there.
    var votes: [UUID128: [UInt8]] = [:]

    init(
        _ map: LedgerMap, _ size: LedgerSize, _ patience: Patience
    ) throws(ModelDrift.Failure) {
        for table in EngineSchema.tables { entities[table.name] = [] }
        for number in 0..<size.entries {
            if number.isMultiple(of: 256), patience.isOver { throw .timeIsOver }
            let record: StoredRecord?
            do throws(ReadFailure) { record = try map.read(Position(number)) } catch {
                throw .read(error)
            }
            guard let record, record.entry.kind == .packet,
                let document = try? JSONDocument(record.payload),
                let outline = PacketOutline(document.tokens, document.bytes.span),
                entities[outline.entityType]?.insert(outline.entityID) != nil
            else { continue }
            guard outline.entityType == "clips", let chain = outline.decisionChain else { continue }
            for index in Self.nodes(document, chain) {
                guard let found = document.member("votes", of: index),
                    document.tokens[found].kind == .object
                else { continue }
                votes[outline.entityID] = Array(document.source(found))
            }
        }
    }

    private static func nodes(_ document: JSONDocument, _ chain: Int) -> [Int] {
        switch document.tokens[chain].kind {
        case .array:
            Array(JSONChildren(document.tokens, of: chain)).filter {
                document.tokens[$0].kind == .object
            }
        case .object: document.member("nodes", of: chain).map { nodes(document, $0) } ?? [chain]
        default: []
        }
    }
}
