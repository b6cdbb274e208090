import ObjectStore
import Synchronization

/// A store as one machine reaches it: not at all while it is cut off.
final class Reach: ObjectStore {
    let name: String
    let store: SimulatedStore
    private let away = Mutex(false)
    /// What a worse program would do.
    private let defect: Defect?

    /// Each of these loses something, so the simulations must find it.
    enum Defect {
        /// Takes a name that is there for bytes that are there.
        case trustsTheETag
        /// Names say nothing of epochs, but for the notes of epochs.
        case namesNoEpoch
    }

    init(_ store: SimulatedStore, _ defect: Defect? = nil) {
        (name, self.store, self.defect) = (store.name, store, defect)
    }

    var isAway: Bool {
        get { away.withLock { $0 } }
        set { away.withLock { $0 = newValue } }
    }

    private func reached(_ key: String) throws(StoreFailure) {
        if isAway { throw StoreFailure(.unreachable, "\(name)/\(key)", "no route to host") }
    }

    /// The name that a program without epochs in its names would use.
    private func named(_ key: String) -> String {
        guard defect == .namesNoEpoch else { return key }
        var parts = key.split(separator: "/").map(String.init)
        let first = String(repeating: "0", count: 20)
        if parts.count > 2, parts[1] == "open" { parts[2] = first }
        if parts.count > 2, parts[1] == "segments" {
            let name = parts[2].split(separator: ".")
            if name.count == 3 { parts[2] = "\(name[0]).\(first).\(name[2])" }
        }
        return parts.joined(separator: "/") + (key.hasSuffix("/") ? "/" : "")
    }

    func put(
        _ key: String, _ body: ObjectBody, _ patience: Patience
    ) throws(StoreFailure) -> PutOutcome {
        try reached(key)
        let outcome = try store.put(named(key), body, patience)
        return defect == .trustsTheETag ? .created : outcome
    }

    func get(
        _ key: String, _ range: Range<Int>?, version: String?, _ patience: Patience,
        _ take: (Span<UInt8>) throws(StoreFailure) -> Void
    ) throws(StoreFailure) {
        try reached(key)
        try store.get(named(key), range, version: version, patience, take)
    }

    func size(of key: String, _ patience: Patience) throws(StoreFailure) -> Int? {
        try reached(key)
        return try store.size(of: named(key), patience)
    }

    func list(_ prefix: String, _ patience: Patience) throws(StoreFailure) -> [StoredObject] {
        try reached(prefix)
        let shared = named(prefix)
        // The names come back as this machine would have them.
        return try store.list(shared, patience).map {
            StoredObject(key: prefix + $0.key.dropFirst(shared.count), bytes: $0.bytes)
        }
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
