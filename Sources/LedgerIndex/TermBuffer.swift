package import LedgerFormat
package import Packets
internal import Synchronization

/// The newest packets' terms, in memory. Each of 4,096 ranges of terms is in order of arrival, so
/// that adding is an append and looking up reads one range.
///
/// One thread adds; any thread may look up. A full buffer is written as a run, and stays in use
/// until that run replaces it.
///
/// Invariants:
///  1. A pair of term and ordinal is in the range of its term, in order of ordinals.
///  2. All terms of the packets below `count` are in it.
package final class TermBuffer: Sendable {
    package let first: Position
    private let state: Mutex<State>

    private static let rangeBits: UInt64 = 12
    private static let ordinalBits: UInt64 = 16

    struct State: Sendable {
        /// Term in the upper bits, ordinal in the lower ones.
        var ranges: [[UInt64]]
        var count = 0
        var terms = 0
        /// Ranges below this one are sorted by term, then by ordinal.
        var sortedRanges = 0
        var zones = CreationBounds()
        var unindexed = 0
        var flags = RunFlags()
        /// Entry hash of the last packet.
        var lastHash = Digest.zero
    }

    /// A packet's position and what else its payload does not say.
    package struct Packet: Sendable {
        package var position: Position
        package var createdAt: Timestamp
        package var payloadDigest: Digest
        package var entryHash: Digest

        /// An entry that cannot be read.
        package init(unreadableAt position: Position) {
            self.position = position
            createdAt = Timestamp(microseconds: 0)
            (payloadDigest, entryHash) = (.zero, .zero)
        }

        package init(_ entry: Entry, hash: Digest) {
            position = entry.position
            createdAt = entry.createdAt
            payloadDigest = entry.payloadDigest
            entryHash = hash
        }
    }

    package init(first: Position) {
        self.first = first
        let ranges = Array(repeating: [UInt64](), count: 1 << Int(Self.rangeBits))
        state = Mutex(State(ranges: ranges))
    }

    package var count: Int { state.withLock { $0.count } }

    package var end: Position { Position(first.value + UInt64(count)) }

    package var isFull: Bool {
        state.withLock {
            $0.count >= IndexLimits.bufferPackets || $0.terms >= IndexLimits.bufferTerms
        }
    }

    // MARK: Adding

    /// Adds the next packet with the terms that the scanner found.
    package func add(_ packet: Packet, _ scanner: borrowing TermScanner, isReadable: Bool) {
        let terms = scanner.terms
        let (byHash, byEntity) = (scanner.namesParentsByHash, scanner.namesParentsByEntity)
        state.withLock { state in
            precondition(
                packet.position.value == first.value + UInt64(state.count),
                "packets must come in the order of the ledger")
            precondition(state.count < IndexLimits.bufferPackets, "an ordinal must fit in its bits")
            let ordinal = UInt64(state.count)
            for term in terms {
                let range = Int(term >> (TermKey.termBits - Self.rangeBits))
                state.ranges[range].append(term << Self.ordinalBits | ordinal)
            }
            state.terms += terms.count
            state.zones.append(packet.createdAt)
            if !isReadable { state.unindexed += 1 }
            if byHash { state.flags.insert(.namesParentsByHash) }
            if byEntity { state.flags.insert(.namesParentsByEntity) }
            state.lastHash = packet.entryHash
            state.count += 1
        }
    }

    // MARK: Looking up

    var flags: RunFlags { state.withLock { $0.flags } }
    var unindexed: Int { state.withLock { $0.unindexed } }
    var zones: CreationBounds { state.withLock { $0.zones } }

    /// Ordinals in `part` of the packets with a term, in order.
    func ordinals(of term: UInt64, in part: ClosedRange<UInt32>) -> [UInt32] {
        var found: [UInt32] = []
        each(of: term, in: part) { ordinal in
            if found.last != ordinal { found.append(ordinal) }
            return true
        }
        return found
    }

    /// Whether any packet has a term.
    func has(_ term: UInt64) -> Bool {
        var isFound = false
        each(of: term, in: 0...UInt32(IndexLimits.bufferPackets - 1)) { _ in
            isFound = true
            return false
        }
        return isFound
    }

    /// Passes ordinals to `body` until it returns false. A binary search finds the first one.
    private func each(
        of term: UInt64, in part: ClosedRange<UInt32>, _ body: (UInt32) -> Bool
    ) {
        let range = Int(term >> (TermKey.termBits - Self.rangeBits))
        state.withLock { state in
            let pairs = state.ranges[range]
            let isSorted = range < state.sortedRanges
            let first = term << Self.ordinalBits | UInt64(part.lowerBound)
            var (low, high) = (0, pairs.count)
            while low < high {
                let middle = (low + high) / 2
                let isBefore =
                    isSorted
                    ? pairs[middle] < first : Self.ordinal(of: pairs[middle]) < part.lowerBound
                if isBefore { low = middle + 1 } else { high = middle }
            }
            for index in low..<pairs.count {
                let (found, ordinal) = (Self.term(of: pairs[index]), Self.ordinal(of: pairs[index]))
                if ordinal > part.upperBound || (isSorted && found != term) { break }
                if found == term, !body(ordinal) { break }
            }
        }
    }

    // MARK: Writing

    /// Sorts the pairs of each range, which does not change what look-ups return, and returns the
    /// number of distinct terms. Nothing may be added afterwards.
    func sort() -> Int {
        var terms = 0
        for range in 0..<1 << Int(Self.rangeBits) {
            // One at a time, so that no look-up waits long.
            state.withLock { state in
                state.ranges[range].sort()
                state.sortedRanges = range + 1
                var last: UInt64?
                for pair in state.ranges[range] where Self.term(of: pair) != last {
                    last = Self.term(of: pair)
                    terms += 1
                }
            }
        }
        return terms
    }

    /// Everything, for writing it as a run. Nothing may be added afterwards.
    var contents: State { state.withLock { $0 } }

    static func term(of pair: UInt64) -> UInt64 { pair >> ordinalBits }
    static func ordinal(of pair: UInt64) -> UInt32 { UInt32(pair & (1 << ordinalBits - 1)) }
}

/// What kinds of references a source has, so that queries for the other kinds can be skipped.
package struct RunFlags: OptionSet, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// At least one reference names its parent by hash and not by id.
    package static let namesParentsByHash = RunFlags(rawValue: 1)
    /// At least one reference names its parent as an entity's newest packet.
    package static let namesParentsByEntity = RunFlags(rawValue: 2)
}
