internal import LedgerFormat

/// Where each stardust_id may be: an in-memory hash table from 32 bits of an id's hash to its
/// position, eight bytes per slot. It returns candidates; the id at each position decides.
///
/// Invariants:
///  1. Each stored position can be found by the id that was inserted with it.
///  2. At most three quarters of the slots are taken, so a search ends.
struct IDTable {
    /// Hash in the upper half, position in the lower. `vacant` cannot be an entry: its position is
    /// beyond any ledger.
    private var slots: [UInt64]
    private(set) var count = 0
    private let key: (UInt64, UInt64)

    private static let vacant = UInt64.max

    /// A table with room for this many ids.
    init(expecting capacity: Int = 0) {
        var size = 1 << 12
        while size * 3 / 4 < capacity { size *= 2 }
        slots = Array(repeating: Self.vacant, count: size)
        // Workers choose ids, so a secret keeps them from provoking collisions.
        var generator = SystemRandomNumberGenerator()
        key = (generator.next(), generator.next() | 1)
    }

    mutating func insert(_ id: UUID128, at position: Position) {
        if (count + 1) * 4 > slots.count * 3 { grow() }
        place(UInt64(hash(id)) << 32 | position.value)
        count += 1
    }

    /// Positions at which the id may be.
    func candidates(for id: UUID128) -> [Position] {
        let wanted = hash(id)
        var found: [Position] = []
        var index = home(wanted)
        while slots[index] != Self.vacant {
            if UInt32(slots[index] >> 32) == wanted {
                found.append(Position(slots[index] & 0xFFFF_FFFF))
            }
            index = (index + 1) & (slots.count - 1)
        }
        return found
    }

    /// Removes an inserted id and moves back the slots that it had displaced.
    mutating func remove(_ id: UUID128, at position: Position) {
        let wanted = UInt64(hash(id)) << 32 | position.value
        var hole = home(UInt32(wanted >> 32))
        while slots[hole] != wanted {
            precondition(slots[hole] != Self.vacant, "only an inserted id can be removed")
            hole = (hole + 1) & (slots.count - 1)
        }
        slots[hole] = Self.vacant
        count -= 1
        var index = (hole + 1) & (slots.count - 1)
        while slots[index] != Self.vacant {
            let moved = slots[index]
            slots[index] = Self.vacant
            place(moved)
            index = (index + 1) & (slots.count - 1)
        }
    }

    private mutating func place(_ slot: UInt64) {
        var index = home(UInt32(slot >> 32))
        while slots[index] != Self.vacant { index = (index + 1) & (slots.count - 1) }
        slots[index] = slot
    }

    private mutating func grow() {
        let old = slots
        slots = Array(repeating: Self.vacant, count: old.count * 2)
        for slot in old where slot != Self.vacant { place(slot) }
    }

    /// The upper bits of the hash, so that growing keeps neighbours near.
    private func home(_ hash: UInt32) -> Int {
        Int(hash >> UInt32(max(0, 32 - slots.count.trailingZeroBitCount)))
    }

    private func hash(_ id: UUID128) -> UInt32 {
        let product = (id.high ^ key.0).multipliedFullWidth(by: id.low ^ key.1)
        return UInt32(truncatingIfNeeded: (product.high ^ product.low) >> 16)
    }
}
