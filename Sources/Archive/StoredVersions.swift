internal import LedgerFormat
internal import ObjectStore

extension ObjectStore {
    /// What `read` makes of a small object: of its current version, else of the newest older one that it
    /// accepts. A deletion or an overwriting so hides nothing. Nil if it accepts none.
    func anyVersion<Content>(
        of key: String, atMost limit: Int, _ patience: Patience, _ read: ([UInt8]) -> Content?
    ) throws(StoreFailure) -> Content? {
        do throws(StoreFailure) {
            if let found = read(try bytes(of: key, atMost: limit, patience)) { return found }
        } catch {
            guard error.kind == .missing || error.kind == .damaged else { throw error }
        }
        for version in (try? versions(of: key, patience)) ?? []
        where version.version != nil && version.bytes <= limit {
            var bytes: [UInt8] = []
            do throws(StoreFailure) {
                try get(key, nil, version: version.version, patience) { bytes.append($0) }
            } catch {
                guard error.kind == .missing || error.kind == .damaged else { throw error }
                continue
            }
            if let found = read(bytes) { return found }
        }
        return nil
    }
}
