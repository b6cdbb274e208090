internal import LedgerFormat
package import ObjectStore
package import Platform
internal import Synchronization

/// A source whose segments are read from the daemon once: their bytes are kept in nameless files, from
/// the first on, for the stores that want them again. What is durable never changes, so a copy of it is
/// as good as the daemon's.
package final class SpooledSource: LedgerSource {
    private let source: any LedgerSource
    /// The folder of the copies.
    private let folder: String
    private let copies = Mutex<[Position: Copy]>([:])
    private let note: @Sendable (FileFailure) -> Void
    private let isNoted = Mutex(false)

    /// `note` is told the first time that a segment cannot be kept, and again after one could be. It is
    /// then read from the daemon each time.
    package init(
        _ source: any LedgerSource, folder: String,
        note: @escaping @Sendable (FileFailure) -> Void
    ) {
        (self.source, self.folder, self.note) = (source, folder, note)
    }

    package func state() throws(StoreFailure) -> SourceState { try source.state() }
    package func identity() throws(StoreFailure) -> [UInt8] { try source.identity() }
    package func epoch() throws(StoreFailure) -> [UInt8] { try source.epoch() }
    package func supersede(_ note: [UInt8]) throws(StoreFailure) { try source.supersede(note) }

    package func read(
        _ file: SourceFile, _ offset: Int, atMost count: Int
    ) throws(StoreFailure) -> [UInt8] {
        guard case .segment(let first) = file, let copy = copy(of: first) else {
            return try source.read(file, offset, atMost: count)
        }
        if let bytes = copy.bytes(from: offset, atMost: count) { return bytes }
        // A whole piece costs the daemon hardly more than a small one.
        let wanted = copy.ends(at: offset) ? max(count, ArchiveLimits.pieceBytes) : count
        let bytes = try source.read(file, offset, atMost: wanted)
        do throws(FileFailure) {
            try copy.extend(with: bytes, at: offset)
            isNoted.withLock { $0 = false }
        } catch {
            drop(first, error)
        }
        return bytes.count <= count ? bytes : Array(bytes.prefix(count))
    }

    /// The copy of a segment; nil if it cannot be kept.
    private func copy(of first: Position) -> Copy? {
        if let known = copies.withLock({ $0[first] }) { return known.isKept ? known : nil }
        let copy: Copy
        do throws(FileFailure) {
            copy = Copy(try PosixVolume(root: folder).openNameless())
        } catch {
            drop(first, error)
            return nil
        }
        return copies.withLock { copies in
            if let known = copies[first] { return known.isKept ? known : nil }
            copies[first] = copy
            // The stores follow the ledger at their own pace, each in one segment, or in two.
            while copies.count > ArchiveLimits.copiesMax { copies[copies.keys.min()!] = nil }
            return copies[first]
        }
    }

    private func drop(_ first: Position, _ failure: FileFailure) {
        copies.withLock { copies in
            copies[first] = Copy(nil)
            while copies.count > ArchiveLimits.copiesMax { copies[copies.keys.min()!] = nil }
        }
        let isNew = isNoted.withLock { isNoted in
            defer { isNoted = true }
            return !isNoted
        }
        if isNew { note(failure) }
    }
}

/// The beginning of a segment.
private final class Copy: Sendable {
    /// Nil if the segment could not be kept.
    private let file: (any VolumeFile)?
    private let count = Mutex(0)

    init(_ file: (any VolumeFile)?) { self.file = file }

    var isKept: Bool { file != nil }

    func ends(at offset: Int) -> Bool { count.withLock { $0 == offset } }

    /// What is there from an offset on; nil if nothing is.
    func bytes(from offset: Int, atMost wanted: Int) -> [UInt8]? {
        let known = min(wanted, count.withLock { $0 } - offset)
        guard let file, known > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: known)
        // What cannot be read here, the daemon has.
        guard (try? file.read(into: &bytes, 0..<known, at: offset)) == known else { return nil }
        return bytes
    }

    /// Keeps bytes that continue what is there; others change nothing.
    func extend(with bytes: [UInt8], at offset: Int) throws(FileFailure) {
        guard let file else { return }
        var failure: FileFailure?
        count.withLock { count in
            guard offset == count else { return }
            do throws(FileFailure) { try file.write(bytes.span, at: offset) } catch {
                failure = error
                return
            }
            count += bytes.count
        }
        if let failure { throw failure }
    }
}
