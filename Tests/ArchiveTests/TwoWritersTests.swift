import Archive
import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import ObjectStore
import PipelineWorkload
import Platform
import Publishing
import TestSupport
import Testing
import Verification

/// Two machines that both believe to be the writer, and stores that fail.
struct TwoWritersTests {
    /// Calls `body` until a store answers.
    private func persistently<Answer>(_ body: () throws -> Answer) throws -> Answer {
        for _ in 0..<1000 {
            do { return try body() } catch ArchiveFailure.store(let failure)
                where failure.kind == .unreachable
            { continue } catch let failure as StoreFailure where failure.kind == .unreachable {
                continue
            }
        }
        throw Failure("no store ever answers")
    }

    /// A second machine: the ledger as the stores have it, taken over.
    private func second(
        of first: Shipping, seed: UInt64, reaching stores: [Reach]
    ) throws -> (Shipping, EpochNote)? {
        let shipped: (SimulatedVolume, Verification)
        do {
            shipped = try persistently { try first.restored(stores) }
        } catch ArchiveFailure.ledger {
            // Nothing that hangs together is there yet.
            return nil
        } catch ArchiveFailure.store(let failure) where failure.kind == .missing {
            return nil
        }
        let (volume, found) = shipped
        guard found.isSound, found.size > .empty else { return nil }
        volume.put(LedgerLayout.key, first.fixture.volume.bytes(of: LedgerLayout.key))
        volume.put(LedgerLayout.restored, [])
        var generator = SeededGenerator(seed: seed)
        let now = first.fixture.now
        let prepared = try TakeOver.prepare(
            volume, keys: volume, machine: "second", after: 0, tail: .keep, now: now)
        let note = prepared.note
        let epoch = ArchivedEpochs.Epoch(note: note, content: prepared.content)
        let layout = ArchiveLayout(first.fixture.map.ledgerID)
        try persistently {
            try ArchivedEpochs.publish(epoch, layout, in: stores, Shipping.once)
        }
        try TakeOver.finish(prepared, volume, now: now, using: &generator)
        var fixture = try LedgerFixture(opening: volume, 8192, generator)
        fixture.now = now
        return (try Shipping(fixture, seed: seed &+ 5, stores: stores), note)
    }

    /// One run. Returns what is wrong in the end.
    private func run(seed: UInt64, _ defect: Reach.Defect? = nil) throws -> String? {
        let stores = (0..<2).map { number in
            SimulatedStore("sim\(number)", seed: seed &* 3 &+ UInt64(number), faults: 30)
        }
        let first = try Shipping(seed: seed, stores: stores.map { Reach($0, defect) })
        var generator = SeededGenerator(seed: seed &+ 7)
        for _ in 0..<Int.random(in: 5...20, using: &generator) { try first.step(&generator) }
        let reached = stores.map { Reach($0, defect) }
        guard let (second, note) = try second(of: first, seed: seed &+ 11, reaching: reached) else {
            return nil
        }
        for _ in 0..<Int.random(in: 0...30, using: &generator) {
            try (Bool.random(using: &generator) ? first : second).step(&generator)
        }
        for store in stores { store.heal() }
        for reach in first.stores + second.stores { reach.isAway = false }
        try second.grow()
        try second.sign()
        for _ in 0..<40 {
            for number in stores.indices {
                try first.ship(number)
                try second.ship(number)
            }
        }
        guard first.hasEnded else { return "the first machine goes on" }
        for machine in [first, second] {
            if let problem = try machine.fixture.problems().first { return problem }
        }
        for store in reached {
            let (volume, found) = try second.restored([store])
            guard found.isSound, found.size == second.fixture.map.head.size else {
                return "\(store.name) has \(found.size) entries: \(found.findings)"
            }
            let path = LedgerLayout.checkpoints
            guard volume.bytes(of: path) == second.fixture.volume.bytes(of: path) else {
                return "\(store.name): other checkpoints"
            }
            if let problem = try lost(of: first, beyond: note.start, [store]) { return problem }
        }
        // Where neither store has all of it, it comes from both, or the answer is an error.
        let orders = [reached, reached.reversed()]
        let ledgers = try orders.map { try ShippedLedger($0, nil, Shipping.once) }
        stores[0].damage(20, removes: false, using: &generator)
        stores[1].damage(20, removes: true, using: &generator)
        for (order, ledger) in zip(orders, ledgers) {
            do {
                if let problem = try lost(of: first, beyond: note.start, order, ledger) {
                    return problem
                }
            } catch ArchiveFailure.store(let failure)
                where failure.kind == .damaged || failure.kind == .missing
            {}
        }
        return nil
    }

    /// Whether stores lack what the first machine acknowledged beyond the end of its epoch.
    private func lost(
        of first: Shipping, beyond end: Position, _ stores: [Reach], _ known: ShippedLedger? = nil
    ) throws -> String? {
        var found: Set<UUID128> = []
        let ledger = try known ?? ShippedLedger(stores, nil, Shipping.once)
        try ledger.superseded(0, from: end, Shipping.once) { entry, _ in
            found.insert(entry.stardustID)
        }
        let missing = first.fixture.acknowledged.filter {
            $0.position >= end && !found.contains($0.id)
        }
        return missing.isEmpty
            ? nil : "\(stores.map(\.name)) lack what was superseded at \(missing[0].position)"
    }

    @Test("[A-06] the later epoch counts, and what the earlier one took is kept")
    func simulation() throws {
        try Soak.seeds("two writers", 300, soak: 10_000) { seed in
            let problem = try run(seed: seed)
            #expect(problem == nil, "seed \(seed): \(problem ?? "")")
            return problem == nil
        }
    }

    @Test("a program whose names say no epoch is caught")
    func namesNoEpoch() throws {
        let found = try (1...60 as ClosedRange<UInt64>).filter { seed in
            do { return try run(seed: seed, .namesNoEpoch) != nil } catch let failure
                as ArchiveFailure
            {
                // Two writers meet under one name, or what one wrote hides the other's.
                switch failure {
                case .fork, .ledger: return true
                default: throw failure
                }
            }
        }
        #expect(found.count > 10, "caught with seeds \(found)")
    }
}
