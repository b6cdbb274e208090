import LedgerFormat
import Publishing
import Testing

/// What the publisher does next, without threads, files or a clock.
@Suite struct PublishingPlanTests {
    private static let start = ContinuousClock.now
    private static let hash = Digest.sha256([1])

    /// A step in a form that can be compared.
    private enum Step: Equatable {
        case extend(Int)
        case catchUp, sign, ask, takeRound, rebuild, end
        case wait(seconds: Double?, wakesOnGrowth: Bool)
    }

    private static func step(
        _ plan: inout PublishingPlan, tree: UInt64, head: UInt64, isWanted: Bool = false,
        after seconds: Double = 0
    ) -> Step {
        let step = plan.next(
            tree: LedgerSize(tree), head: LedgerSize(head), isWanted: isWanted,
            now: start + .seconds(seconds))
        switch step {
        case .wait(let until, let wakesOnGrowth):
            let wait = until.map { ($0 - start) / .seconds(1) }
            return .wait(seconds: wait, wakesOnGrowth: wakesOnGrowth)
        case .work(let work):
            return switch work {
            case .extend(let hashes): .extend(hashes.count)
            case .catchUp: .catchUp
            case .sign: .sign
            case .ask: .ask
            case .takeRound: .takeRound
            case .rebuild: .rebuild
            case .end: .end
            }
        }
    }

    private static func plan(
        tree: UInt64 = 0, signed: UInt64? = nil, published: UInt64 = 0, needsRound: Bool = false
    ) -> PublishingPlan {
        PublishingPlan(
            tree: LedgerSize(tree), signed: signed.map { LedgerSize($0) },
            published: LedgerSize(published), needsRound: needsRound, now: start)
    }

    private static func outcome() -> WitnessCouncil.Outcome {
        let checkpoint = Checkpoint(
            origin: "a/b", size: LedgerSize(1), root: hash)
        return WitnessCouncil.Outcome(SignedCheckpoint(checkpoint, signatures: []))
    }

    @Test func `an empty ledger waits for its first entry`() {
        var plan = Self.plan()
        #expect(Self.step(&plan, tree: 0, head: 0) == .wait(seconds: nil, wakesOnGrowth: true))
    }

    @Test func `entries are signed a second later, a tenth of it if somebody waits`() {
        var plan = Self.plan()
        plan.append([Self.hash, Self.hash], from: Position(0))
        #expect(Self.step(&plan, tree: 0, head: 2) == .wait(seconds: 1, wakesOnGrowth: false))
        #expect(
            Self.step(&plan, tree: 0, head: 2, isWanted: true)
                == .wait(seconds: 0.1, wakesOnGrowth: false))
        #expect(Self.step(&plan, tree: 0, head: 2, isWanted: true, after: 0.1) == .extend(2))
        #expect(Self.step(&plan, tree: 2, head: 2, isWanted: true, after: 0.1) == .sign)
        plan.attempts(now: Self.start)
        plan.signed(LedgerSize(2), now: Self.start + .seconds(0.1))
        plan.published(LedgerSize(2))
        #expect(
            Self.step(&plan, tree: 2, head: 2, after: 9) == .wait(seconds: nil, wakesOnGrowth: true)
        )
    }

    @Test func `hashes that were not kept are read back`() {
        var plan = Self.plan()
        plan.append([Self.hash], from: Position(0))
        plan.append([Self.hash], from: Position(5))
        #expect(plan.pendingCount == 1)
        #expect(Self.step(&plan, tree: 0, head: 6, after: 2) == .extend(1))
        #expect(Self.step(&plan, tree: 1, head: 6, after: 2) == .catchUp)
    }

    @Test func `full rows of hashes extend the tree before a checkpoint is due`() {
        var plan = Self.plan()
        let many = [Digest](repeating: Self.hash, count: PublishingLimits.treePending)
        plan.append(many, from: Position(0))
        #expect(plan.hasNews)
        #expect(
            Self.step(&plan, tree: 0, head: UInt64(many.count)) == .extend(many.count))
    }

    @Test func `while a round is under way nothing is signed, and its end is taken up first`() {
        var plan = Self.plan()
        plan.signed(LedgerSize(2), now: Self.start)
        plan.beganRound()
        #expect(
            Self.step(&plan, tree: 2, head: 9, after: 60)
                == .wait(seconds: nil, wakesOnGrowth: true))
        plan.roundEnded(Self.outcome())
        #expect(plan.hasNews && Self.step(&plan, tree: 2, head: 2) == .takeRound)
        plan.tookRound()
        // Without enough cosignatures the same checkpoint is shown again, until there is a newer one.
        plan.judged(missing: "w1")
        #expect(Self.step(&plan, tree: 2, head: 2, after: 1) == .ask)
        #expect(Self.step(&plan, tree: 9, head: 9, after: 1) == .sign)
        plan.judged(missing: nil)
        #expect(
            Self.step(&plan, tree: 2, head: 2, after: 60)
                == .wait(seconds: nil, wakesOnGrowth: true))
    }

    @Test func `a tree that is not believed is rebuilt as far as what was published`() {
        var plan = Self.plan(tree: 8, signed: 8, published: 8)
        plan.distrustTree()
        #expect(plan.hasNews && Self.step(&plan, tree: 8, head: 8) == .rebuild)
        #expect(plan.tree == .rebuilding)
        // Proofs that fail meanwhile say nothing new.
        plan.distrustTree()
        #expect(Self.step(&plan, tree: 0, head: 8) == .catchUp)
        #expect(
            Self.step(&plan, tree: 8, head: 8) == .wait(seconds: nil, wakesOnGrowth: true))
        #expect(plan.tree == .trusted)
    }

    @Test func `what has stopped stays so, and still extends the tree by full rows`() {
        var plan = Self.plan()
        plan.stopPublishing("a fork")
        plan.append([Self.hash], from: Position(0))
        #expect(
            Self.step(&plan, tree: 0, head: 1, isWanted: true, after: 60)
                == .wait(seconds: nil, wakesOnGrowth: false))
        plan.stalled("full", isNoSpace: true)
        plan.succeeded()
        #expect(plan.phase == .stopped("a fork"))
    }

    @Test func `a full disk stalls until something works, or nothing is left to be written`() {
        var plan = Self.plan()
        plan.stalled("full", isNoSpace: true)
        #expect(plan.phase == .stalled("full", isNoSpace: true))
        #expect(Self.step(&plan, tree: 2, head: 2, after: 5) == .sign)
        #expect(plan.phase == .stalled("full", isNoSpace: true))
        plan.signed(LedgerSize(2), now: Self.start + .seconds(5))
        _ = Self.step(&plan, tree: 2, head: 2, after: 5)
        #expect(plan.phase == .publishing)
    }

    @Test func `the end comes before everything but a round that has ended`() {
        var plan = Self.plan(tree: 8, signed: 8, published: 8)
        plan.life.go(to: .stopping)
        plan.distrustTree()
        #expect(Self.step(&plan, tree: 8, head: 9, isWanted: true, after: 60) == .end)
        plan.roundEnded(Self.outcome())
        #expect(Self.step(&plan, tree: 8, head: 9) == .takeRound)
        plan.life.go(to: .running)
        #expect(plan.life == .stopping)
    }

    @Test func `a quorum that is missed twice stalls publishing until one is reached`() {
        var plan = PublishingPlan(
            tree: .empty, signed: nil, published: .empty, needsRound: false, now: Self.start)
        plan.judged(missing: "w1: refused")
        #expect(plan.phase == .publishing)
        plan.judged(missing: "w1: refused")
        #expect(plan.phase == .stalled("w1: refused", isNoSpace: false))
        // Writing files does not end it.
        plan.succeeded()
        #expect(plan.phase == .stalled("w1: refused", isNoSpace: false))
        plan.published(LedgerSize(3))
        #expect(plan.phase == .publishing)
        plan.judged(missing: "w1: refused")
        #expect(plan.phase == .publishing)
    }
}
