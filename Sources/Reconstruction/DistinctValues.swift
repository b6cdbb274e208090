/// Distinct values in the order in which they came. Few of them are compared one by one, which costs
/// less than hashing them.
struct DistinctValues<Element: Hashable & Sendable>: Sendable {
    private(set) var all: [Element] = []
    private var hashed: Set<Element> = []

    private static var few: Int { 8 }

    mutating func append(_ value: Element) {
        if all.count < Self.few {
            if all.contains(value) { return }
        } else {
            if hashed.isEmpty { hashed = Set(all) }
            guard hashed.insert(value).inserted else { return }
        }
        all.append(value)
    }
}
