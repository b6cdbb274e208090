package import LedgerFormat
package import ObjectStore

/// All assets of the stores, and who names them. Holds some 150 bytes an asset, names included.
package struct AssetInventory: Sendable {
    package let classes: [AssetClass]
    /// By `loose`.
    private var entries: [Entry] = []
    /// The names of all objects, one after the other.
    private var names: [UInt8] = []

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
    }

    package struct Entry: Sendable {
        /// Hash of the name's `loose` form, in this process only.
        fileprivate var loose: Int
        fileprivate var name: Range<Int>
        package var bytes: Int
        package var changed: Timestamp
        fileprivate var tag: Range<Int>
        /// Index of its class.
        package var of: Int
        /// The first who names it and is not its own row; nil if nobody does.
        package var namer: Namer?
        /// Its own row; nil if there is none.
        package var owner: Owner?
    }

    /// Who names an asset.
    package enum Namer: Hashable, Sendable {
        case row(table: String, column: String, id: String)
        case packet(Position)
    }

    /// The row whose asset it is.
    package struct Owner: Hashable, Sendable {
        package var table: String
        package var id: String
        /// When the newest such row was made.
        package var made: Timestamp?
        /// The status that makes one of its clips a promoted one, and where it stands.
        package var promotion: String?

        package init(table: String, id: String, made: Timestamp?, promotion: String?) {
            (self.table, self.id, self.made, self.promotion) = (table, id, made, promotion)
        }
    }

    package init(_ classes: [AssetClass]) { self.classes = classes }

    package var count: Int { entries.count }
    package var bytes: Int { entries.reduce(0) { $0 + $1.bytes } }

    /// Adds an object that a listing of a class shows. `seal` must follow the last one.
    package mutating func add(_ asset: StoredAsset, of number: Int) {
        let uri = AssetURI(classes[number].url, key: asset.key)
        let start = names.count
        names += asset.key.utf8
        let middle = names.count
        names += asset.tag.utf8
        entries.append(
            Entry(
                loose: uri.loose.hashValue, name: start..<middle, bytes: asset.bytes,
                changed: asset.changed, tag: middle..<names.count, of: number))
    }

    package mutating func seal() { entries.sort { $0.loose < $1.loose } }

    package subscript(index: Int) -> Entry { entries[index] }

    package func key(_ index: Int) -> String {
        String(decoding: names[entries[index].name], as: UTF8.self)
    }

    package func tag(_ index: Int) -> String {
        String(decoding: names[entries[index].tag], as: UTF8.self)
    }

    package func uri(_ index: Int) -> AssetURI {
        AssetURI(classes[entries[index].of].url, key: key(index))
    }

    /// Those that a name may mean.
    package func indices(of uri: AssetURI) -> Range<Int> {
        let wanted = uri.loose.hashValue
        let first = entries.partitioningIndex { $0.loose >= wanted }
        var end = first
        while end < entries.count, entries[end].loose == wanted { end += 1 }
        return first..<end
    }

    /// Notes that somebody names whatever `uri` may mean.
    package mutating func note(_ uri: AssetURI, _ namer: @autoclosure () -> Namer) {
        for index in indices(of: uri) where entries[index].namer == nil {
            entries[index].namer = namer()
        }
    }

    /// Notes the row that an asset of a class belongs to. Of several, the newest counts, and one promotion
    /// protects. Returns whether there is such an asset.
    package mutating func note(_ uri: AssetURI, of number: Int, _ owner: Owner) -> Bool {
        var isThere = false
        for index in indices(of: uri) where entries[index].of == number {
            isThere = true
            guard var known = entries[index].owner else {
                entries[index].owner = owner
                continue
            }
            known.promotion = known.promotion ?? owner.promotion
            if let made = owner.made, known.made.map({ $0 < made }) ?? true { known.made = made }
            entries[index].owner = known
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
