package import LedgerFormat
internal import ObjectStore
package import Packets

/// What may be deleted, and why; deletes nothing. A file of JSON lines: the plan's facts, then one line an
/// asset. Whoever approves it approves these bytes.
package struct CleanupPlan: Hashable, Sendable {
    package var ledgerID: UUID128
    /// The read model's position, and the ledger's size, at which the rules were judged.
    package var lsn: String
    /// Which copy of the rows that was: a new one may be of another database.
    package var model: Int
    package var ledgerSize: UInt64
    package var made: Timestamp
    /// How much the listings showed.
    package var objects: Int
    package var bytes: Int
    /// What stays, by reason.
    package var kept: [KeptGroup]
    package var items: [Item]
    /// What was judged by, which a run must have, too.
    package var rules: RetentionRules
    package var places: [AssetInventory.AssetClass]

    package struct Item: Hashable, Sendable {
        package var uri: String
        package var kind: AssetInventory.AssetClass.Kind
        package var finding: RetentionRules.Finding
        package var bytes: Int
        package var tag: String
        package var changed: Timestamp
        /// By how many days its rule is exceeded.
        package var daysOver: Double
        /// The row whose asset it is, as `table/id`; nil for an orphan.
        package var owner: String?
        /// Whether a person asked for it by name.
        package var isWanted = false
        /// Ids of the records that its deletion will leave, so that repeating one changes nothing.
        package var records: Records

        package init(
            uri: String, kind: AssetInventory.AssetClass.Kind, finding: RetentionRules.Finding,
            bytes: Int, tag: String, changed: Timestamp, daysOver: Double, owner: String?,
            isWanted: Bool = false, records: Records
        ) {
            (self.uri, self.kind, self.finding, self.bytes) = (uri, kind, finding, bytes)
            (self.tag, self.changed, self.daysOver) = (tag, changed, daysOver)
            (self.owner, self.isWanted, self.records) = (owner, isWanted, records)
        }

        /// The id of the entity that the asset is.
        package var assetID: UUID128 { AssetURI.id(of: uri) }
    }

    package struct Records: Hashable, Sendable {
        package var decision: UUID128
        package var deletion: UUID128
        package var log: UUID128

        package init(using generator: inout some RandomNumberGenerator) {
            decision = .random(using: &generator)
            deletion = .random(using: &generator)
            log = .random(using: &generator)
        }

        fileprivate init(_ decision: UUID128, _ deletion: UUID128, _ log: UUID128) {
            (self.decision, self.deletion, self.log) = (decision, deletion, log)
        }
    }

    /// How long a plan may be approved and run.
    package static let validity = Duration.seconds(7 * 86_400)
    private static let format = "stardust-cleanup/1"

    package init(
        ledgerID: UUID128, lsn: String, model: Int, ledgerSize: UInt64, made: Timestamp,
        objects: Int, bytes: Int, kept: [KeptGroup], items: [Item],
        rules: RetentionRules = RetentionRules(), places: [AssetInventory.AssetClass] = []
    ) {
        (self.rules, self.places) = (rules, places)
        (self.ledgerID, self.lsn, self.model) = (ledgerID, lsn, model)
        self.ledgerSize = ledgerSize
        (self.made, self.objects, self.bytes) = (made, objects, bytes)
        (self.kept, self.items) = (kept, items)
    }

    package var expires: Timestamp {
        Timestamp(microseconds: made.microseconds + Int64(Self.validity / .microseconds(1)))
    }

    // MARK: Bytes

    /// The first line of the file, of so many assets.
    package func headLine(assets: Int) -> [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.member("format", Self.format)
        json.member("ledger_id", ledgerID)
        json.member("lsn", lsn)
        json.member("model", model)
        json.member("ledger_size", ledgerSize)
        json.member("made_at", made)
        json.member("expires_at", expires)
        json.member("objects", objects)
        json.member("bytes", bytes)
        json.member("assets", assets)
        json.key("days")
        rules.write(&json)
        json.key("places")
        json.array(places) { place, json in
            json.beginObject()
            json.member("url", "\(place.url)")
            json.member("class", place.kind.rawValue)
            json.member("column", "\(place.column)")
            json.endObject()
        }
        json.key("kept")
        json.array(kept) { $0.write(&$1) }
        json.endObject()
        return json.bytes + [0x0A]
    }

    /// Why a file is no plan.
    package struct Malformed: Error, CustomStringConvertible {
        package var line: Int
        package var detail: String

        package var description: String { "line \(line): \(detail)" }
    }

    package init(fileContent: [UInt8]) throws(Malformed) {
        let lines = fileContent.split(separator: 0x0A, omittingEmptySubsequences: true)
        guard let first = lines.first, let head = try? JSONDocument(Array(first)),
            head.text("format") == Self.format,
            let ledgerID = head.text("ledger_id").flatMap({ UUID128($0[...]) }),
            let lsn = head.text("lsn"), let model = head.number("model"),
            let size = head.number("ledger_size"),
            let made = head.text("made_at").flatMap({ Timestamp(rfc3339: $0) }),
            let objects = head.number("objects"), let bytes = head.number("bytes"),
            let count = head.number("assets"), let list = head.member("kept", of: 0)
        else { throw Malformed(line: 1, detail: "it is not the first line of a clean-up's plan") }
        guard count == lines.count - 1 else {
            throw Malformed(
                line: lines.count,
                detail: "the plan has \(count) assets, but \(lines.count - 1) are here")
        }
        guard let days = head.member("days", of: 0), let rules = RetentionRules(head, days),
            let places = head.member("places", of: 0).flatMap({
                AssetInventory.AssetClass.list(head, $0)
            })
        else { throw Malformed(line: 1, detail: "it does not say by which rules it was made") }
        self.init(
            ledgerID: ledgerID, lsn: lsn, model: model, ledgerSize: UInt64(size), made: made,
            objects: objects, bytes: bytes, kept: KeptGroup.read(head, list),
            items: try Self.items(lines.dropFirst()), rules: rules, places: places)
    }

    /// No asset and no id may stand in it twice.
    private static func items(_ lines: ArraySlice<ArraySlice<UInt8>>) throws(Malformed) -> [Item] {
        var (items, uris, ids): ([Item], Set<AssetURI>, Set<UUID128>) = ([], [], [])
        for (number, line) in lines.enumerated() {
            guard let document = try? JSONDocument(Array(line)), let item = Item(document),
                let uri = AssetURI(item.uri)
            else { throw Malformed(line: number + 2, detail: "it does not describe an asset") }
            guard uris.insert(uri).inserted else {
                throw Malformed(line: number + 2, detail: "\(item.uri) stands in the plan twice")
            }
            for id in [item.records.decision, item.records.deletion, item.records.log]
            where !ids.insert(id).inserted {
                throw Malformed(line: number + 2, detail: "the id \(id) stands in the plan twice")
            }
            items.append(item)
        }
        return items
    }
}

extension CleanupPlan.Item {
    /// Its line in the plan's file.
    package var line: [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.member("uri", uri)
        json.member("class", kind.rawValue)
        json.member("finding", finding.rawValue)
        json.member("bytes", bytes)
        json.member("tag", tag)
        json.member("changed_at", changed)
        json.member("days_over", Int(daysOver))
        if let owner { json.member("owner", owner) }
        if isWanted { json.member("wanted", true) }
        json.key("records")
        json.beginObject()
        json.member("decision", records.decision)
        json.member("deletion", records.deletion)
        json.member("log", records.log)
        json.endObject()
        json.endObject()
        return json.bytes + [0x0A]
    }

    fileprivate init?(_ document: JSONDocument) {
        func id(_ name: String) -> UUID128? {
            document.member("records", of: 0).flatMap { document.member(name, of: $0) }
                .flatMap(document.string).flatMap { UUID128($0[...]) }
        }
        guard let uri = document.text("uri"),
            let kind = document.text("class").flatMap(AssetInventory.AssetClass.Kind.init),
            let finding = document.text("finding").flatMap(RetentionRules.Finding.init),
            let bytes = document.number("bytes"), let tag = document.text("tag"),
            let changed = document.text("changed_at").flatMap({ Timestamp(rfc3339: $0) }),
            let days = document.number("days_over"), let decision = id("decision"),
            let deletion = id("deletion"), let log = id("log")
        else { return nil }
        self.init(
            uri: uri, kind: kind, finding: finding, bytes: bytes, tag: tag, changed: changed,
            daysOver: Double(days), owner: document.text("owner"),
            isWanted: document.member("wanted", of: 0).map { document.tokens[$0].kind == .true }
                ?? false,
            records: CleanupPlan.Records(decision, deletion, log))
    }
}

extension JSONDocument {
    fileprivate func number(_ name: String, of object: Int) -> Int? {
        member(name, of: object).flatMap { Int(String(decoding: source($0), as: UTF8.self)) }
    }

    fileprivate func text(_ name: String) -> String? {
        member(name, of: 0).flatMap { string($0) }
    }

    fileprivate func number(_ name: String) -> Int? {
        number(name, of: 0)
    }
}

extension RetentionRules {
    package func write(_ json: inout JSONWriter) {
        json.beginObject()
        json.member("orphan", orphanDays)
        json.member("raw", rawDays)
        json.member("derived", derivedDays)
        json.endObject()
    }

    fileprivate init?(_ document: JSONDocument, _ object: Int) {
        guard document.tokens[object].kind == .object,
            let orphan = document.number("orphan", of: object),
            let raw = document.number("raw", of: object),
            let derived = document.number("derived", of: object)
        else { return nil }
        self.init()
        (orphanDays, rawDays, derivedDays) = (orphan, raw, derived)
    }
}

extension AssetInventory.AssetClass {
    fileprivate static func list(_ document: JSONDocument, _ list: Int) -> [Self]? {
        guard document.tokens[list].kind == .array else { return nil }
        var classes: [Self] = []
        for element in JSONChildren(document.tokens, of: list) {
            func text(_ name: String) -> String? {
                document.member(name, of: element).flatMap(document.string)
            }
            guard document.tokens[element].kind == .object,
                let url = text("url").flatMap({ try? StoreURL($0) }),
                let kind = text("class").flatMap(Kind.init),
                let column = text("column").flatMap({ AssetColumn($0) })
            else { return nil }
            classes.append(Self(url: url, kind: kind, column: column))
        }
        return classes
    }
}
