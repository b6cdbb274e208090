package import LedgerFormat
package import ObjectStore

/// All assets of the stores, and who names them. Holds some 150 bytes an asset, names included.
package struct AssetInventory: Sendable {
    package let classes: [AssetClass]
    /// By `loose`.
    private var entries: [Entry] = []
    /// What is looked for in texts.
    package private(set) var limits = Mention.Limits()
    /// Indices of entries, by their mentions.
    private var byMention: [UInt32] = []
    /// The names and tags of all objects.
    private var texts = PackedTexts()
    private var rows = PackedRows()

    /// What the settings say of one store.
    package struct AssetClass: Hashable, Sendable {
        package var url: StoreURL
        package var kind: Kind
        /// Whose rows the assets are: a table's column, or a member in its JSON.
        package var column: AssetColumn

        package enum Kind: String, Sendable {
            /// A download, which can be had again only as long as the post stands.
            case raw
            /// What the engine made of it.
            case derived
        }

        package init(url: StoreURL, kind: Kind, column: AssetColumn) {
            (self.url, self.kind, self.column) = (url, kind, column)
        }

        /// The name of an asset in the class's store; nil if it is elsewhere.
        package func key(of uri: AssetURI) -> String? {
            let root = AssetURI(url, key: "")
            guard uri.place == root.place, let key = uri.key.remainder(after: root.key),
                !key.isEmpty
            else { return nil }
            return key
        }
    }

    package struct Entry: Sendable {
        /// Hash of the name's `loose` form, in this process only.
        fileprivate var loose: Int
        fileprivate var mention: Mention
        fileprivate var name: PackedTexts.Place
        package var bytes: Int
        package var changed: Timestamp
        fileprivate var tag: PackedTexts.Place
        /// The first packet that names it.
        fileprivate var packet: Position?
        /// Its own row.
        fileprivate var owner: PackedRows.Owner?
        /// The first row that names it and is not its own.
        fileprivate var row: PackedRows.Namer?
        /// Index of its class.
        fileprivate var number: UInt16

        package var of: Int { Int(number) }
    }

    /// Who names an asset.
    package enum Namer: Hashable, Sendable {
        case row(table: String, column: String, id: String)
        case packet(Position)
        /// Its name has characters that end every name in a text.
        case nobodyCouldTell
    }

    /// The row whose asset it is.
    package struct Owner: Hashable, Sendable {
        package var table: String
        package var id: String
        /// When the newest such row was made.
        package var made: Timestamp?
        /// The row whose status makes one of its clips a promoted one.
        package var promotion: Promotion?

        package init(table: String, id: String, made: Timestamp?, promotion: Promotion?) {
            (self.table, self.id, self.made, self.promotion) = (table, id, made, promotion)
        }
    }

    /// A job or schedule that protects a clip.
    package struct Promotion: Hashable, Sendable, CustomStringConvertible {
        var table: String
        var id: String
        var status: String

        package var description: String { "\(table) \(id) is \(status)" }
    }

    package init(_ classes: [AssetClass]) { self.classes = classes }

    package var count: Int { entries.count }
    /// How many are of classes whose rows have a column.
    func count(of column: AssetColumn) -> Int { entries.count { classes[$0.of].column == column } }
    package var bytes: Int { entries.reduce(0) { $0 + $1.bytes } }

    /// Adds an object that a listing of a class shows. `seal` must follow the last one.
    package mutating func add(_ asset: StoredAsset, of number: Int) {
        let uri = AssetURI(classes[number].url, key: asset.key)
        limits.include(uri)
        entries.append(
            Entry(
                loose: uri.loose.hashValue, mention: Mention(uri),
                name: texts.add(asset.key), bytes: asset.bytes, changed: asset.changed,
                tag: texts.add(asset.tag), number: UInt16(number)))
    }

    package mutating func seal() {
        entries.sort { $0.loose < $1.loose }
        byMention = entries.indices.map(UInt32.init).sorted {
            entries[Int($0)].mention < entries[Int($1)].mention
        }
    }

    /// All, in the order in which they were listed.
    package func listed(_ isIncluded: (Int) -> Bool) -> [Int] {
        entries.indices.filter(isIncluded).sorted { entries[$0].name < entries[$1].name }
    }

    package subscript(index: Int) -> Entry { entries[index] }

    package func key(_ index: Int) -> String { texts[entries[index].name] }

    package func tag(_ index: Int) -> String { texts[entries[index].tag] }

    package func uri(_ index: Int) -> AssetURI {
        AssetURI(classes[entries[index].of].url, key: key(index))
    }

    /// Its own row; nil if there is none.
    package func owner(_ index: Int) -> Owner? { entries[index].owner.map { rows[$0] } }

    /// Who names it and is not its own row; nil if nobody does.
    package func namer(_ index: Int) -> Namer? {
        entries[index].row.map { rows[$0] } ?? entries[index].packet.map(Namer.packet)
            ?? (Mention.isImpossible(uri(index)) ? .nobodyCouldTell : nil)
    }

    /// Those that a name may mean.
    package func indices(of uri: AssetURI) -> Range<Int> {
        let wanted = uri.loose.hashValue
        let first = entries.partitioningIndex { $0.loose >= wanted }
        var end = first
        while end < entries.count, entries[end].loose == wanted { end += 1 }
        return first..<end
    }

    /// Those that a mention may mean.
    package func indices(of mention: Mention) -> [Int] {
        var place = byMention.partitioningIndex { entries[Int($0)].mention >= mention }
        var found: [Int] = []
        while place < byMention.count, entries[Int(byMention[place])].mention == mention {
            found.append(Int(byMention[place]))
            place += 1
        }
        return found
    }

    /// Notes that a row mentions an asset.
    mutating func note(_ index: Int, row place: (table: String, column: String), _ id: String) {
        guard entries[index].row == nil else { return }
        entries[index].row = rows.add(place, id)
    }

    /// Notes that a packet mentions an asset.
    mutating func note(_ index: Int, packet: Position) {
        guard entries[index].packet == nil else { return }
        entries[index].packet = packet
    }

    /// The asset's state in its store, newer than the listing's.
    mutating func update(_ index: Int, _ asset: StoredAsset) {
        (entries[index].bytes, entries[index].changed) = (asset.bytes, asset.changed)
        entries[index].tag = texts.add(asset.tag)
    }

    /// The one of exactly this name; nil if there is none.
    func index(of uri: AssetURI) -> Int? {
        indices(of: uri).first { self.uri($0).description.utf8.elementsEqual(uri.description.utf8) }
    }

    /// Forgets what rows said, not what packets said: those stand for ever.
    mutating func forgetRows() {
        rows = PackedRows()
        for index in entries.indices { (entries[index].row, entries[index].owner) = (nil, nil) }
    }

    /// Notes the row that an asset of a class belongs to. Of several, the newest counts, and one promotion
    /// protects. Returns whether there is such an asset.
    mutating func note(_ uri: AssetURI, of number: Int, _ owner: Owner) -> Bool {
        var isThere = false
        for index in indices(of: uri) where entries[index].of == number {
            isThere = true
            guard let known = entries[index].owner else {
                entries[index].owner = rows.add(owner)
                continue
            }
            var merged = rows[known]
            merged.promotion = merged.promotion ?? owner.promotion
            if let made = owner.made, merged.made.map({ $0 < made }) ?? true { merged.made = made }
            if merged != rows[known] { entries[index].owner = rows.add(merged) }
        }
        return isThere
    }
}

/// `table.column`, or `table.column/member/member` in a column of JSON.
package struct AssetColumn: Hashable, Sendable, CustomStringConvertible {
    package let table: String
    package let column: String
    package let members: [String]

    package init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        let names = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        guard names.count == 2, parts.allSatisfy({ !$0.isEmpty }) else { return nil }
        (table, column) = (String(names[0]), String(names[1]))
        members = Array(parts.dropFirst())
    }

    package var description: String { (["\(table).\(column)"] + members).joined(separator: "/") }
}

extension RandomAccessCollection {
    /// The first index whose element, and all behind it, `isBehind` holds for.
    fileprivate func partitioningIndex(_ isBehind: (Element) -> Bool) -> Index {
        var (low, count) = (startIndex, self.count)
        while count > 0 {
            let half = count / 2
            let middle = index(low, offsetBy: half)
            if isBehind(self[middle]) {
                count = half
            } else {
                low = index(after: middle)
                count -= half + 1
            }
        }
        return low
    }
}
