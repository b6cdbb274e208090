/// The place of an entry in the ledger, counted from 0.
package struct Position: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var value: UInt64

    @inlinable package init(_ value: UInt64) { self.value = value }

    // Inlinable because sets and dictionaries of positions spend most of their time here.
    @inlinable package static func == (left: Self, right: Self) -> Bool {
        left.value == right.value
    }
    @inlinable package func hash(into hasher: inout Hasher) { hasher.combine(value) }
    @inlinable package static func < (left: Self, right: Self) -> Bool { left.value < right.value }

    /// The position after this one. Wraps around at the maximum, which only a forged entry has.
    package var next: Position { Position(value &+ 1) }

    package var description: String { String(value) }
}

/// The number of entries in a ledger; also the position of its next entry.
package struct LedgerSize: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var entries: UInt64

    package init(_ entries: UInt64) { self.entries = entries }

    package static func < (left: Self, right: Self) -> Bool { left.entries < right.entries }

    package static let empty = LedgerSize(0)

    /// Where the next entry goes.
    package var nextPosition: Position { Position(entries) }

    package func contains(_ position: Position) -> Bool { position.value < entries }

    package var description: String { String(entries) }
}

/// A place in a file, in bytes from its start.
package struct ByteOffset: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var bytes: UInt64

    package init(_ bytes: UInt64) { self.bytes = bytes }
    package init(_ bytes: Int) { self.bytes = UInt64(bytes) }

    package static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }
    package static func + (left: Self, count: Int) -> Self { Self(left.bytes + UInt64(count)) }

    package var description: String { String(bytes) }
}
