import Archive
import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import ObjectStore
import PipelineWorkload
import Platform
import Synchronization

/// A store in memory that fails: answers are lost, come late or broken, and writes happen after their
/// answers said that they did not. What it confirmed it keeps. One seed is one run.
final class SimulatedStore: ObjectStore {
    let name: String
    private let state: Mutex<State>

    struct State {
        var objects: [String: [UInt8]] = [:]
        /// Writes that will happen although nobody was told.
        var late: [(key: String, bytes: [UInt8])] = []
        var generator: SeededGenerator
        /// How many of a hundred calls fail.
        var faults = 0
        /// Confirms without writing: a store that lies, which a test must notice.
        var forgets = false

        mutating func fails(_ share: Int) -> Bool {
            Int.random(in: 0..<100, using: &generator) < faults * share / 100
        }
    }

    init(_ name: String, seed: UInt64, faults: Int, forgets: Bool = false) {
        self.name = name
        state = Mutex(
            State(generator: SeededGenerator(seed: seed), faults: faults, forgets: forgets))
    }

    /// From here on nothing fails, and what was late has come.
    func heal() {
        state.withLock { state in
            state.faults = 0
            Self.settle(&state, all: true)
        }
    }

    var objects: [String: [UInt8]] { state.withLock { $0.objects } }

    private static func settle(_ state: inout State, all: Bool = false) {
        while let first = state.late.first, all || Bool.random(using: &state.generator) {
            state.late.removeFirst()
            if state.objects[first.key] == nil { state.objects[first.key] = first.bytes }
        }
    }

    private func lost(_ key: String) -> StoreFailure {
        StoreFailure(.unreachable, "\(name)/\(key)", "no answer")
    }

    func put(
        _ key: String, _ body: ObjectBody, _ patience: Patience
    ) throws(StoreFailure) -> PutOutcome {
        let bytes = try Self.content(body)
        let outcome: Result<PutOutcome, StoreFailure> = state.withLock { state in
            Self.settle(&state)
            if state.fails(40) { return .failure(lost(key)) }
            if state.fails(20) {
                state.late.append((key, bytes))
                return .failure(lost(key))
            }
            if state.objects[key] != nil { return .success(.exists) }
            if !state.forgets { state.objects[key] = bytes }
            return state.fails(40) ? .failure(lost(key)) : .success(.created)
        }
        return try outcome.get()
    }

    private static func content(_ body: ObjectBody) throws(StoreFailure) -> [UInt8] {
        var (bytes, piece) = ([UInt8](), [UInt8](repeating: 0, count: 4096))
        while bytes.count < body.count {
            let count = try body.bytes(&piece, bytes.count)
            bytes += piece.prefix(count)
        }
        return bytes
    }

    func get(
        _ key: String, _ range: Range<Int>?, version: String?, _ patience: Patience,
        _ take: (Span<UInt8>) throws(StoreFailure) -> Void
    ) throws(StoreFailure) {
        let (bytes, isCut): ([UInt8]?, Bool) = state.withLock { state in
            Self.settle(&state)
            return (state.objects[key], state.fails(50))
        }
        guard let bytes else {
            throw StoreFailure(.missing, "\(name)/\(key)", "there is no such object")
        }
        let range = range ?? 0..<bytes.count
        guard range.upperBound <= bytes.count else {
            throw StoreFailure(.damaged, "\(name)/\(key)", "the object ends at \(bytes.count)")
        }
        let wanted = Array(bytes[range])
        if isCut {
            try take(Array(wanted.prefix(wanted.count / 2)).span)
            throw lost(key)
        }
        try take(wanted.span)
    }

    func size(of key: String, _ patience: Patience) throws(StoreFailure) -> Int? {
        state.withLock { $0.objects[key]?.count }
    }

    func list(_ prefix: String, _ patience: Patience) throws(StoreFailure) -> [StoredObject] {
        let (objects, isLost) = state.withLock { state in
            Self.settle(&state)
            return (state.objects, state.fails(20))
        }
        if isLost { throw lost(prefix) }
        return objects.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }
            .map { StoredObject(key: $0.key, bytes: $0.value.count) }
    }

    func hidden(_ prefix: String, _ patience: Patience) throws(StoreFailure) -> [StoredObject] {
        []
    }

    func versions(of key: String, _ patience: Patience) throws(StoreFailure) -> [ObjectVersion] {
        try size(of: key, patience).map { [ObjectVersion(version: nil, bytes: $0)] } ?? []
    }

    func allows(
        _ misuse: StoreMisuse, of key: String, _ patience: Patience
    ) throws(StoreFailure) -> Bool? { nil }
}

/// A ledger in memory as a source, without the daemon around it.
final class FixtureSource: LedgerSource {
    let volume: SimulatedVolume
    private let now: Mutex<(map: LedgerMap, checkpointBytes: Int)>
    private let ended = Mutex<[UInt8]?>(nil)

    /// Begins epoch 0 where there is none yet.
    init(_ volume: SimulatedVolume, _ map: LedgerMap) throws {
        self.volume = volume
        now = Mutex((map, 0))
        guard !(try volume.list("").contains(LedgerLayout.epoch)) else { return }
        let identity = try Ledger.identity(volume)
        let note = EpochNote(
            origin: identity.origin, number: 0, start: Position(0), previous: identity.digest,
            machine: "first", time: identity.createdAt, rotations: [])
        let signer = try SigningKeys.read(LedgerLayout.key, .ed25519, volume)
        try volume.replace(LedgerLayout.epoch, with: note.content(signedBy: signer))
    }

    /// What is durable now.
    func set(_ map: LedgerMap, checkpointBytes: Int) {
        now.withLock { $0 = (map, checkpointBytes) }
    }

    func state() throws(StoreFailure) -> SourceState {
        let (map, checkpointBytes) = now.withLock { $0 }
        return SourceState(
            ledgerID: map.ledgerID,
            segments: map.extents.map {
                SourceState.Segment(
                    first: $0.first, end: $0.end, bytes: $0.bytes, isSealed: $0.isSealed)
            }, checkpointBytes: checkpointBytes)
    }

    func identity() throws(StoreFailure) -> [UInt8] {
        do throws(FileFailure) { return try volume.content(of: LedgerLayout.identity) } catch {
            throw StoreFailure(.source, "", "\(error)")
        }
    }

    func epoch() throws(StoreFailure) -> [UInt8] {
        do throws(FileFailure) { return try volume.content(of: LedgerLayout.epoch) } catch {
            throw StoreFailure(.source, "", "\(error)")
        }
    }

    func supersede(_ note: [UInt8]) throws(StoreFailure) { ended.withLock { $0 = note } }

    /// The note that ended the writer.
    var successor: [UInt8]? { ended.withLock { $0 } }

    func read(
        _ file: SourceFile, _ offset: Int, atMost count: Int
    ) throws(StoreFailure) -> [UInt8] {
        do throws(FileFailure) {
            let (map, checkpointBytes) = now.withLock { $0 }
            let bytes: [UInt8]
            switch file {
            case .segment(let first):
                guard let extent = map.extent(from: first) else {
                    throw FileFailure(.read, "\(first)", errorNumber: FileFailure.missingNumber)
                }
                bytes = try map.bytes(offset..<offset + count, of: extent)
            case .checkpoints:
                var piece = [UInt8](
                    repeating: 0, count: max(0, min(count, checkpointBytes - offset)))
                let file = try volume.open(LedgerLayout.checkpoints, .read)
                let found = try file.read(into: &piece, 0..<piece.count, at: offset)
                bytes = Array(piece.prefix(found))
            }
            guard !bytes.isEmpty else {
                throw FileFailure(.read, "\(file)", errorNumber: 0, "416: nothing is there yet")
            }
            return bytes
        } catch { throw StoreFailure(.source, "", "\(error)") }
    }
}
