internal import LedgerFormat

/// What rows say of assets, in few bytes each: names of tables, columns and statuses once, ids as numbers.
struct PackedRows: Sendable {
    private var owners: [(table: UInt16, id: UUID128, made: Timestamp?, promotion: UInt32)] = []
    private var promotions: [(table: UInt16, id: UUID128, status: UInt16)] = []
    private var namers: [(table: UInt16, column: UInt16, id: UUID128)] = []
    private var words: [String] = []
    private var numbers: [String: UInt16] = [:]
    /// Ids that are not UUIDs, by what stands for them.
    private var strange: [UUID128: String] = [:]

    struct Owner: Hashable, Sendable { fileprivate var index: UInt32 }
    struct Namer: Hashable, Sendable { fileprivate var index: UInt32 }

    private static let none = UInt32.max

    // MARK: Adding

    mutating func add(_ owner: AssetInventory.Owner) -> Owner {
        var promotion = Self.none
        if let found = owner.promotion {
            promotions.append((number(found.table), pack(found.id), number(found.status)))
            promotion = UInt32(promotions.count - 1)
        }
        owners.append((number(owner.table), pack(owner.id), owner.made, promotion))
        return Owner(index: UInt32(owners.count - 1))
    }

    mutating func add(_ place: (table: String, column: String), _ id: String) -> Namer {
        namers.append((number(place.table), number(place.column), pack(id)))
        return Namer(index: UInt32(namers.count - 1))
    }

    /// Unknown statuses might be as many as rows; what is too much is called so.
    private mutating func number(_ word: String) -> UInt16 {
        if let known = numbers[word] { return known }
        let isFull = words.count >= Int(UInt16.max)
        let number = UInt16(isFull ? words.count - 1 : words.count)
        if !isFull { words.append(words.count + 1 == Int(UInt16.max) ? "something else" : word) }
        if !isFull { numbers[word] = number }
        return number
    }

    private mutating func pack(_ id: String) -> UUID128 {
        if let packed = UUID128(id[...]) { return packed }
        let packed = UUID128.shaped(from: .sha256(Array(id.utf8)))
        strange[packed] = id
        return packed
    }

    // MARK: Reading

    private func text(_ id: UUID128) -> String { strange[id] ?? id.description }

    subscript(owner: Owner) -> AssetInventory.Owner {
        let found = owners[Int(owner.index)]
        return AssetInventory.Owner(
            table: words[Int(found.table)], id: text(found.id), made: found.made,
            promotion: found.promotion == Self.none ? nil : promotion(found.promotion))
    }

    private func promotion(_ index: UInt32) -> AssetInventory.Promotion {
        let found = promotions[Int(index)]
        return AssetInventory.Promotion(
            table: words[Int(found.table)], id: text(found.id), status: words[Int(found.status)])
    }

    subscript(namer: Namer) -> AssetInventory.Namer {
        let found = namers[Int(namer.index)]
        return .row(
            table: words[Int(found.table)], column: words[Int(found.column)], id: text(found.id))
    }
}
