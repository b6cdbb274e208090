import Archive
import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import ObjectStore
import PipelineWorkload
import Platform
import Synchronization

/// A store in memory that fails: answers are lost or broken, and writes happen later than their answers
/// say, or twice. What it confirmed it keeps, unless it lies. One seed is one run.
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
        /// How many of a hundred whole segments are confirmed and not kept: a store that lies.
        var forgets = 0

        mutating func fails(_ share: Int) -> Bool {
            Int.random(in: 0..<100, using: &generator) < faults * share / 100
        }
    }

    init(_ name: String, seed: UInt64, faults: Int, forgets: Int = 0) {
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

    /// Flips a bit of some objects, or removes them.
    func damage(_ share: Int, removes: Bool, using generator: inout SeededGenerator) {
        state.withLock { state in
            for key in state.objects.keys.sorted() where key.contains("/0000") {
                guard Int.random(in: 0..<100, using: &generator) < share else { continue }
                if removes {
                    state.objects[key] = nil
                } else if var bytes = state.objects[key], !bytes.isEmpty {
                    bytes[Int.random(in: bytes.indices, using: &generator)] ^= 1
                    state.objects[key] = bytes
                }
            }
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
            let isForgotten =
                key.hasSuffix(".seg")
                && Int.random(in: 0..<100, using: &state.generator) < state.forgets
            if !isForgotten { state.objects[key] = bytes }
            if state.fails(20) { state.late.append((key, bytes)) }
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
