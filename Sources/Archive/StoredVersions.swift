internal import LedgerFormat
internal import ObjectStore

extension ObjectStore {
    /// What `read` makes of a small object: of its current version, else of the newest older one that it
    /// accepts. A deletion or an overwriting so hides nothing. Nil if it accepts none.
    func anyVersion<Content>(
        of key: String, atMost limit: Int, _ patience: Patience,
        _ read: ([UInt8]) throws(StoreFailure) -> Content?
    ) throws(StoreFailure) -> Content? {
        var current: [UInt8] = []
        do throws(StoreFailure) { current = try bytes(of: key, atMost: limit, patience) } catch {
            guard error.kind == .missing || error.kind == .damaged else { throw error }
        }
        if let found = try read(current) { return found }
        for version in (try? versions(of: key, patience)) ?? []
        where version.version != nil && version.bytes <= limit {
            var bytes: [UInt8] = []
            do throws(StoreFailure) {
                try get(key, nil, version: version.version, patience) { bytes.append($0) }
            } catch {
                guard error.kind == .missing || error.kind == .damaged else { throw error }
                continue
            }
            if let found = try read(bytes) { return found }
        }
        return nil
    }
}
