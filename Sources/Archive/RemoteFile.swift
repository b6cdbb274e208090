internal import ObjectStore
internal import Platform
internal import Synchronization

/// A file whose bytes are fetched a megabyte at a time, for code that reads files from front to back.
final class RemoteFile: ReadOnlyFile {
    let path: String
    private let byteCount: Int
    private let fetch: Fetch
    private let last = Mutex<(offset: Int, bytes: [UInt8])>((0, []))

    /// Returns at least one byte from an offset on, and at most as many as asked for.
    typealias Fetch =
        @Sendable (_ offset: Int, _ count: Int) throws(StoreFailure) -> [UInt8]

    init(_ path: String, bytes: Int, _ fetch: @escaping Fetch) {
        (self.path, byteCount, self.fetch) = (path, bytes, fetch)
    }

    /// A file of the ledger that a source shows.
    convenience init(_ source: any LedgerSource, _ file: SourceFile, bytes: Int) {
        self.init("\(file)", bytes: bytes) { (offset, count) throws(StoreFailure) in
            try source.read(file, offset, atMost: count)
        }
    }

    func size() throws(FileFailure) -> Int { byteCount }

    func read(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int {
        var done = 0
        while done < range.count, offset + done < byteCount {
            let piece: ArraySlice<UInt8>
            do throws(StoreFailure) { piece = try bytes(from: offset + done) } catch {
                throw FileFailure(
                    .read, error.object.isEmpty ? path : error.object,
                    errorNumber: FileFailure.inputOutputNumber, error.detail)
            }
            let count = min(piece.count, range.count - done)
            guard count > 0 else { break }
            let start = range.lowerBound + done
            buffer.replaceSubrange(start..<start + count, with: piece.prefix(count))
            done += count
        }
        return done
    }

    /// What is known, or can be had at once, from an offset on.
    private func bytes(from offset: Int) throws(StoreFailure) -> ArraySlice<UInt8> {
        let known = last.withLock { $0 }
        let start = offset - known.offset
        if start >= 0, start < known.bytes.count { return known.bytes[start...] }
        let wanted = min(ArchiveLimits.pieceBytes, byteCount - offset)
        let found = try fetch(offset, wanted)
        guard found.count <= wanted else {
            throw StoreFailure(.damaged, path, "more bytes came than were asked for")
        }
        last.withLock { $0 = (offset, found) }
        return found[...]
    }
}
