package import LedgerFormat
package import ObjectStore
package import Platform

/// What is kept beside the ledger's own objects: the read model, in pieces, and the configuration. Its
/// manifest comes last, so that a backup that was interrupted is none.
package struct Backup {
    private let layout: ArchiveLayout
    private let time: Timestamp
    private let patience: Patience
    private var lines: [String] = []

    /// Bytes of one object: one request each, and few enough to be sent again.
    package static let pieceBytes = 256 << 20

    package init(_ ledgerID: UUID128, at time: Timestamp, _ patience: Patience) {
        layout = ArchiveLayout(ledgerID)
        (self.time, self.patience) = (time, patience)
    }

    /// Puts a file into every store in pieces, `<name>.0000` and so on.
    package mutating func add(
        _ file: any VolumeFile, as name: String, to stores: [any ObjectStore]
    ) throws(ArchiveFailure) {
        let size: Int
        do throws(FileFailure) { size = try file.size() } catch { throw .file(error) }
        for (number, start) in stride(from: 0, to: max(size, 1), by: Self.pieceBytes).enumerated() {
            let count = min(Self.pieceBytes, size - start)
            let body = try asking { () throws(StoreFailure) in
                try ObjectBody(count: count) {
                    (bytes: inout [UInt8], offset: Int) throws(StoreFailure) in
                    let wanted = min(bytes.count, count - offset)
                    do throws(FileFailure) {
                        return try file.read(into: &bytes, 0..<wanted, at: start + offset)
                    } catch { throw StoreFailure(.source, "", "\(error)") }
                }
            }
            let digits = String(number)
            let piece =
                name + "." + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
            try put(piece, body, to: stores)
        }
    }

    package mutating func add(
        _ bytes: [UInt8], as name: String, to stores: [any ObjectStore]
    ) throws(ArchiveFailure) { try put(name, ObjectBody(bytes), to: stores) }

    private mutating func put(
        _ name: String, _ body: ObjectBody, to stores: [any ObjectStore]
    ) throws(ArchiveFailure) {
        let key = "\(layout.root)model/\(time)/\(name)"
        for store in stores {
            guard
                try asking({ () throws(StoreFailure) in try store.put(key, body, patience) })
                    == .created
            else { throw .fork("\(store.name)/\(key)", "there is a backup of this time already") }
        }
        lines.append("\(body.digest.tagged) \(body.count) model/\(time)/\(name)")
    }

    /// Puts the manifest. `checkpoint` is the newest one that was shipped, byte by byte.
    package func finish(
        checkpoint: [UInt8]?, to stores: [any ObjectStore]
    ) throws(ArchiveFailure) -> String {
        let name = "backups/\(time)"
        let text =
            (["stardust-backup/1", "\(time)"] + lines).map { $0 + "\n" }.joined() + "\n"
        let body = ObjectBody(Array(text.utf8) + (checkpoint ?? []))
        for store in stores {
            _ = try asking { () throws(StoreFailure) in
                try store.put(layout.root + name, body, patience)
            }
        }
        return name
    }
}
