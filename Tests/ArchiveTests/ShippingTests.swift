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

/// One machine: a ledger, its daemon and its archive process, driven without threads. Every step is one
/// call that may fail.
final class Shipping {
    private(set) var fixture: LedgerFixture
    private var publisher: TreePublisher
    private(set) var source: FixtureSource
    private var archived: StoreBytes
    /// The stores as this machine reaches them.
    let stores: [Reach]
    /// Believes the archive process that a store has what it was sent: a defect.
    private let leavesUnread: Bool
    var generator: SeededGenerator
    /// Nil until a store could be asked.
    private var shippers: [(parts: PartShipper, segments: SegmentShipper)?] = []
    private var places: [ArchivePlace?] = []
    /// Entries that each store confirmed.
    private(set) var confirmed: [UInt64]
    /// Where each store's parts began; before that it has whole segments only.
    private var starts: [UInt64?]

    /// How many segments have left.
    private(set) var departures = 0

    static let once = Patience(.zero)
    /// Another machine writes the ledger: nothing more is taken, and all that was is shipped.
    private(set) var hasEnded = false

    convenience init(seed: UInt64, stores: [Reach], leavesUnread: Bool = false) throws {
        try self.init(
            LedgerFixture.make(seed: seed, segmentBytes: 8192), seed: seed, stores: stores,
            leavesUnread: leavesUnread)
    }

    init(
        _ fixture: consuming LedgerFixture, seed: UInt64, stores: [Reach],
        leavesUnread: Bool = false
    ) throws {
        self.leavesUnread = leavesUnread
        let (volume, map) = (fixture.volume, fixture.map)
        self.fixture = fixture
        publisher = try TreePublisher.open(map, Ledger.identity(volume))
        source = try FixtureSource(volume, map)
        archived = StoreBytes(source, stores)
        self.stores = stores
        // Opened again, with a way to what will have left.
        let now = self.fixture.now
        self.fixture = try LedgerFixture(
            opening: volume, 8192, SeededGenerator(seed: seed), archive: archived)
        self.fixture.now = now
        publisher = try TreePublisher.open(self.fixture.map, Ledger.identity(volume))
        generator = SeededGenerator(seed: seed &+ 1)
        confirmed = stores.map { _ in 0 }
        starts = stores.map { _ in nil }
        restart()
    }

    /// The archive process is killed and started again.
    func restart() {
        shippers = stores.map { _ in nil }
        places = stores.map { _ in nil }
    }

    func grow() throws {
        if source.successor != nil { return }
        try fixture.appendRandom(Int.random(in: 1...5, using: &generator))
        fixture.now.microseconds += 1_000_000
        if Bool.random(using: &generator) { try sign() }
        show()
    }

    func sign() throws {
        try publisher.catchUp(atMost: .max)
        guard let last = fixture.map.head.lastReceivedAt else { return }
        _ = try publisher.sign(lastReceivedAt: last)
        show()
    }

    /// The machine loses its power, perhaps in the middle of something, and starts again.
    func losePower() throws {
        if Bool.random(using: &generator) {
            fixture.volume.cutPower(after: Int.random(in: 1...60, using: &generator))
            for step in [grow, sign, leave, recall] where fixture.volume.hasPower { try? step() }
        }
        let (volume, now) = (fixture.volume.afterPowerCut(), fixture.now)
        fixture = try LedgerFixture(
            opening: volume, acknowledged: fixture.acknowledged, 8192,
            SeededGenerator(seed: generator.next()), archive: archived)
        fixture.now = now
        publisher = try TreePublisher.open(fixture.map, Ledger.identity(volume))
        let successor = source.successor
        source = try FixtureSource(volume, fixture.map)
        if let successor { try source.supersede(successor) }
        show()
        restart()
    }

    /// The oldest segment leaves the disk, if a checkpoint covers it and every store has it.
    func leave() throws {
        let here = fixture.map.extents.first { $0.isSealed && !$0.isArchived }
        guard let segment = here,
            publisher.newest?.checkpoint.size.entries ?? 0 >= segment.end.value
        else { return }
        let (map, archived) = (fixture.map, archived)
        if leavesUnread {
            // The archive process says that it shipped the segment.
            let isSaid = shippers.allSatisfy { $0?.segments.marks?[segment.first] != nil }
            guard isSaid else { return }
        }
        do throws(LedgerMap.DepartureFailure) {
            try map.leave(segment, copies: stores.count) { (store, range) throws(FileFailure) in
                leavesUnread
                    ? try map.bytes(range, of: segment)
                    : try archived.read(segment.first, range, store: store)
            }
        } catch {
            guard fixture.volume.hasPower else { throw error }
            return
        }
        departures += 1
        show()
    }

    /// The oldest segment that has left comes back, if a store has it.
    func recall() throws {
        guard let segment = fixture.map.extents.first(where: \.isArchived) else { return }
        let store = Int.random(in: stores.indices, using: &generator)
        let archived = archived
        do throws(LedgerMap.DepartureFailure) {
            try fixture.map.bringBack(segment) { (range) throws(FileFailure) in
                try archived.read(segment.first, range, store: store)
            }
        } catch {
            guard fixture.volume.hasPower else { throw error }
        }
        show()
    }

    private func show() {
        source.set(fixture.map, checkpointBytes: publisher.checkpointBytes)
    }

    /// One turn of one store's shippers. What the store could not do is tried again later.
    func ship(_ number: Int) throws {
        let state = try source.state()
        do throws(ArchiveFailure) {
            var (parts, segments): (PartShipper, SegmentShipper)
            if let known = shippers[number] {
                (parts, segments) = known
            } else {
                (parts, segments) = try open(number)
            }
            defer { shippers[number] = (parts, segments) }
            try asking(&places[number])
            if let successor = places[number]?.successor {
                return try end(for: successor, number, &parts, state)
            }
            if parts.next == nil { try parts.resume(state) }
            let first = parts.next?.first.value
            while try parts.ship(state) {}
            starts[number] = starts[number] ?? first
            if segments.marks == nil { try segments.resume(state) }
            var whole = Position(0)
            while let mark = segments.marks?[whole] { whole = mark.end }
            if let next = parts.next, whole.value >= starts[number] ?? .max,
                let segment = state.segments.first(where: { $0.first == next.first }),
                segment.bytes == next.offset
            {
                confirmed[number] = max(confirmed[number], segment.end.value)
            }
            _ = try segments.ship(state)
        } catch {
            guard case .store(let failure) = error, failure.kind == .unreachable else {
                throw error
            }
        }
    }

    private func asking(_ place: inout ArchivePlace?) throws(ArchiveFailure) {
        do throws(StoreFailure) { try place?.lookForSuccessor(Self.once) } catch {
            throw .store(error)
        }
    }

    /// What the archive process does once it sees a later epoch.
    private func end(
        for successor: ArchivedEpochs.Epoch, _ number: Int, _ parts: inout PartShipper,
        _ state: SourceState
    ) throws(ArchiveFailure) {
        do throws(StoreFailure) { try source.supersede(successor.content) } catch {
            throw .store(error)
        }
        let place = places[number]!
        try parts.restart(at: place.epochs.end(of: place.epoch)!, state)
        while try parts.ship(state) {}
        try SupersededParts(
            stores[number], place.layout, epoch: place.epoch,
            end: place.epochs.end(of: place.epoch)!, Self.once
        ).copy()
        hasEnded = true
    }

    private func open(_ number: Int) throws(ArchiveFailure) -> (PartShipper, SegmentShipper) {
        let place = try ArchivePlace(stores[number], source, Self.once)
        places[number] = place
        if place.successor == nil {
            try place.claim(Self.once)
            for epoch in Set(place.epochs.all.map(\.note.number)) where epoch < place.epoch {
                try SupersededParts(
                    stores[number], place.layout, epoch: epoch, end: place.epochs.end(of: epoch)!,
                    Self.once
                ).copy()
            }
        }
        return (PartShipper(place, source, Self.once), SegmentShipper(place, source, Self.once))
    }

    /// Something that happens.
    func step(_ generator: inout SeededGenerator) throws {
        switch Int.random(in: 0..<20, using: &generator) {
        case 0..<6: try grow()
        case 6..<13: try ship(Int.random(in: stores.indices, using: &generator))
        case 13..<15: try sign()
        case 15..<17: try leave()
        case 17: try recall()
        case 18: Bool.random(using: &generator) ? restart() : try losePower()
        default:
            let store = stores[Int.random(in: stores.indices, using: &generator)]
            store.isAway.toggle()
        }
    }

    /// What comes back from some of the stores.
    func restored(_ stores: [any ObjectStore]) throws -> (SimulatedVolume, Verification) {
        let patience = Patience(.seconds(60))
        let shipped = try ShippedLedger(stores, nil, patience)
        let volume = SimulatedVolume(seed: 1)
        _ = try Restoration(shipped, to: volume, .all, patience).run { _, _ in }
        return (volume, try Verifier(volume, isBeingWritten: false).run())
    }
}

@Suite("shipping to stores that fail")
struct ShippingTests {
    /// One run: grows, ships, leaves, loses its power and its stores at random, then lets everything
    /// settle. Returns what is wrong in the end.
    private func run(
        seed: UInt64, _ defect: Reach.Defect? = nil, _ departures: inout Int
    ) throws -> String? {
        let simulated = (0..<2).map { number in
            SimulatedStore(
                "sim\(number)", seed: seed &* 3 &+ UInt64(number), faults: Int(seed % 4) * 10)
        }
        let stores = simulated.map { Reach($0, defect) }
        let shipping = try Shipping(seed: seed, stores: stores)
        var generator = SeededGenerator(seed: seed &+ 7)
        for _ in 0..<Int.random(in: 5...100, using: &generator) {
            try shipping.step(&generator)
        }
        departures += shipping.departures
        let confirmed = shipping.confirmed
        for store in simulated { store.heal() }
        for store in stores { store.isAway = false }
        for (number, store) in stores.enumerated() where confirmed[number] > 0 {
            let (_, found) = try shipping.restored([store])
            guard found.isSound else { return "store \(number): \(found.findings)" }
            guard found.size.entries >= confirmed[number] else {
                return "store \(number) confirmed \(confirmed[number]) and has \(found.size)"
            }
        }
        if confirmed.allSatisfy({ $0 > 0 }) {
            let (_, found) = try shipping.restored(stores)
            guard found.isSound, found.size.entries >= confirmed.max()! else {
                return "both stores have \(found.size) of \(confirmed): \(found.findings)"
            }
        }
        // Everything comes, however it was until here.
        try shipping.grow()
        try shipping.sign()
        for _ in 0..<40 {
            for number in stores.indices { try shipping.ship(number) }
        }
        if let problem = try shipping.fixture.problems().first { return problem }
        for store in stores {
            let (volume, found) = try shipping.restored([store])
            guard found.isSound, found.size == shipping.fixture.map.head.size else {
                return "\(store.name) has \(found.size) entries: \(found.findings)"
            }
            for path in [LedgerLayout.identity, LedgerLayout.checkpoints, LedgerLayout.checkpoint]
            where volume.bytes(of: path) != shipping.fixture.volume.bytes(of: path) {
                return "\(store.name): \(path) differs"
            }
        }
        return nil
    }

    @Test("loses nothing that a store confirmed, and everything comes in the end")
    func simulation() throws {
        var departures = 0
        let runs = try Soak.seeds("shipping", 600, soak: 10_000) { seed in
            let problem = try run(seed: seed, nil, &departures)
            #expect(problem == nil, "seed \(seed): \(problem ?? "")")
            return problem == nil
        }
        #expect(departures >= runs / 10)
    }

    /// A run with stores that confirm segments and do not keep them. Returns what the ledger lost.
    private func runLying(seed: UInt64, leavesUnread: Bool) throws -> String? {
        let simulated = (0..<2).map { number in
            SimulatedStore(
                "sim\(number)", seed: seed &* 3 &+ UInt64(number), faults: 10, forgets: 60)
        }
        let stores = simulated.map { Reach($0) }
        let shipping = try Shipping(seed: seed, stores: stores, leavesUnread: leavesUnread)
        for _ in 0..<30 {
            try shipping.grow()
            try shipping.sign()
            for number in stores.indices { try shipping.ship(number) }
            try shipping.leave()
        }
        for store in simulated { store.heal() }
        do { return try shipping.fixture.problems().first } catch let failure as ReadFailure {
            return "\(failure)"
        }
    }

    @Test("nothing leaves that a store only says that it has")
    func lies() throws {
        for seed in 1...50 as ClosedRange<UInt64> {
            let problem = try runLying(seed: seed, leavesUnread: false)
            #expect(problem == nil, "seed \(seed): \(problem ?? "")")
        }
    }

    @Test("a program that removes a segment before it reads it back is caught")
    func removesBeforeReadBack() throws {
        let found = try (1...20 as ClosedRange<UInt64>).filter { seed in
            try runLying(seed: seed, leavesUnread: true)?.contains("position") ?? false
        }
        #expect(found.count > 10, "caught with seeds \(found)")
    }

    @Test("a program that takes a name for its bytes is caught")
    func trustsTheETag() throws {
        var departures = 0
        let found = try (1...400 as ClosedRange<UInt64>).filter { seed in
            do { return try run(seed: seed, .trustsTheETag, &departures) != nil } catch let failure
                as ArchiveFailure
            {
                // Bytes that were never stored are missing between others.
                guard case .ledger = failure else { throw failure }
                return true
            }
        }
        #expect(found.count > 10, "caught with seeds \(found)")
    }
}
