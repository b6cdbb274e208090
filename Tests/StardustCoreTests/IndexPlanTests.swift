import LedgerFormat
import LedgerIndex
import StardustCore
import Testing

/// What the index's thread does next, without threads, files or a clock.
@Suite struct IndexPlanTests {
    private static let start = ContinuousClock.now

    private enum Step: Equatable {
        case fresh(Int)
        case missed, announce, reopen, end
        case collect(seconds: Double)
        case sleep
    }

    private static func step(
        _ plan: inout IndexPlan, head: UInt64, after seconds: Double = 0
    ) -> Step {
        switch plan.next(head: LedgerSize(head), now: start + .seconds(seconds)) {
        case .sleep: .sleep
        case .collect(let until): .collect(seconds: (until - start) / .seconds(1))
        case .work(.fresh(let packets)): .fresh(packets.count)
        case .work(.missed): .missed
        case .work(.announce): .announce
        case .work(.reopen): .reopen
        case .work(.end): .end
        }
    }

    private static func packets(_ positions: Range<UInt64>) -> [FreshPacket] {
        positions.map { position in
            let entry = Entry(
                kind: .packet, flags: [], position: Position(position),
                receivedAt: Timestamp(microseconds: 0),
                stardustID: UUID128(high: 0, low: position), createdAt: Timestamp(microseconds: 0),
                peer: Entry.Peer(uid: 0, gid: 0), payloadBytes: 2, payloadDigest: .zero,
                previous: .zero)
            return FreshPacket(
                place: TermBuffer.Packet(entry, hash: .zero), bytes: [0x7B, 0x7D], range: 0..<2)
        }
    }

    /// An index that has caught up with three packets.
    private static func following() -> IndexPlan {
        var plan = IndexPlan()
        plan.opened(at: LedgerSize(3))
        plan.follows()
        return plan
    }

    @Test func `it catches up, says so, and sleeps`() {
        var plan = IndexPlan()
        plan.opened(at: LedgerSize(1))
        #expect(Self.step(&plan, head: 3) == .missed && plan.phase == .catchingUp)
        plan.advanced(to: LedgerSize(3))
        #expect(plan.phase == .catchingUp && Self.step(&plan, head: 3) == .announce)
        plan.follows()
        #expect(Self.step(&plan, head: 3) == .sleep && plan.isWorthWaking)
    }

    @Test func `a few packets wait for more, unless somebody waits for them`() {
        var plan = Self.following()
        plan.append(Self.packets(3..<5))
        #expect(Self.step(&plan, head: 5, after: 1) == .collect(seconds: 1.05))
        #expect(!plan.isWorthWaking && !plan.hasCollected)
        #expect(Self.step(&plan, head: 5, after: 1.04) == .collect(seconds: 1.05))
        #expect(Self.step(&plan, head: 5, after: 1.05) == .fresh(2))
        plan.advanced(to: LedgerSize(5))
        plan.append(Self.packets(5..<6))
        plan.waiting = 1
        #expect(plan.hasCollected && Self.step(&plan, head: 6, after: 2) == .fresh(1))
        plan.waiting = 0
        plan.advanced(to: LedgerSize(6))
        plan.append(Self.packets(6..<7))
        plan.isObserved = true
        #expect(Self.step(&plan, head: 7, after: 2) == .fresh(1))
    }

    @Test func `many packets are taken at once, a step at a time`() {
        var plan = Self.following()
        let count = UInt64(LedgerLimits.indexStep)
        plan.append(Self.packets(3..<3 + count + 9))
        #expect(plan.isWorthWaking)
        #expect(Self.step(&plan, head: 12 + count) == .fresh(LedgerLimits.indexStep))
        plan.advanced(to: LedgerSize(3 + count))
        #expect(Self.step(&plan, head: 12 + count) == .collect(seconds: 0.05))
    }

    @Test func `packets that are not the next ones are read back`() {
        var plan = Self.following()
        plan.append(Self.packets(5..<6))
        #expect(Self.step(&plan, head: 6) == .missed)
        plan.advanced(to: LedgerSize(6))
        #expect(plan.phase == .following && Self.step(&plan, head: 6) == .sleep)
    }

    @Test func `a damaged file comes first, and at the end only what is in memory`() {
        var plan = Self.following()
        plan.append(Self.packets(3..<5))
        plan.distrust()
        #expect(Self.step(&plan, head: 5) == .reopen)
        #expect(Self.step(&plan, head: 5) == .collect(seconds: 0.05))
        plan.distrust()
        plan.life.go(to: .stopping)
        #expect(plan.hasCollected && Self.step(&plan, head: 6) == .fresh(2))
        plan.advanced(to: LedgerSize(5))
        #expect(Self.step(&plan, head: 6) == .end)
    }

    @Test func `nobody waits for an index that will not come near in time`() {
        var plan = IndexPlan()
        let lag = UInt64(LedgerLimits.indexLag)
        #expect(!plan.isWaitingHopeless(for: LedgerSize(lag)))
        #expect(plan.isWaitingHopeless(for: LedgerSize(lag + 1)))
        plan.follows()
        #expect(!plan.isWaitingHopeless(for: LedgerSize(lag + 1)))
        #expect(plan.isFarBehind(LedgerSize(lag + 1)) && !plan.isFarBehind(LedgerSize(lag)))
        plan.stalled("full", isNoSpace: true)
        #expect(plan.isWaitingHopeless(for: LedgerSize(1)))
        plan.advanced(to: LedgerSize(1))
        #expect(plan.phase == .following)
        plan.life.go(to: .refusesWaiters)
        #expect(plan.isWaitingHopeless(for: LedgerSize(2)))
    }
}
