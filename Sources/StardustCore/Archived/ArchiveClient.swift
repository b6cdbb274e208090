package import LedgerFormat
internal import LedgerStorage
internal import Logging
internal import Packets
package import Platform
internal import Synchronization

/// Asks the archive process for bytes of segments that have left the disk. This process itself has no
/// network: it asks over a Unix socket.
package final class ArchiveClient: ArchivedBytes {
    /// Sends a GET and waits for the answer, at most so long.
    package typealias Transport =
        @Sendable (_ path: String, _ time: Duration) -> Result<Answer, Unanswered>

    package struct Answer: Sendable {
        package var status: Int
        package var body: [UInt8]

        package init(status: Int, body: [UInt8]) { (self.status, self.body) = (status, body) }
    }

    package struct Unanswered: Error, Sendable {
        package var detail: String

        package init(_ detail: String) { self.detail = detail }
    }

    private let transport: Transport
    private let currentCache: Mutex<BlockCache>
    private let time: @Sendable () -> Duration
    private let metrics: Metrics
    /// How many copies not to ask for a block, because their bytes were wrong.
    private let skipped = Mutex<[BlockCache.Block: Int]>([:])

    /// `time` bounds every question.
    init(
        _ transport: @escaping Transport, _ cache: BlockCache,
        time: @escaping @Sendable () -> Duration, _ metrics: Metrics
    ) {
        (self.transport, self.time) = (transport, time)
        currentCache = Mutex(cache)
        self.metrics = metrics
    }

    // MARK: The cache

    private var cache: BlockCache { currentCache.withLock { $0 } }

    /// The cache with other settings: the one in use if the folder stays. Nothing changes yet.
    func cache(with access: ArchiveAccess, _ logger: Logger) throws(FileFailure) -> BlockCache {
        let volume = try access.cacheFolder.map { (folder) throws(FileFailure) in
            try ArchiveAccess.cache(in: folder)
        }
        if cache.folder == (volume as? PosixVolume)?.root { return cache }
        return BlockCache(
            volume, bytesMax: access.cacheBytes, filesOpen: access.blocksOpen, logger: logger)
    }

    /// Uses a cache from now on, with room for so many bytes.
    func replace(_ cache: BlockCache, bytesMax: Int) {
        currentCache.withLock { $0 = cache }
        cache.limit(to: bytesMax)
    }

    // MARK: Blocks

    package func read(
        _ first: Position, _ range: Range<Int>, _ access: ReadAccess
    ) throws(FileFailure) -> [UInt8]? {
        guard !range.isEmpty else { return [] }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(range.count)
        for block in BlockCache.blocks(of: first, range) {
            let start = max(range.lowerBound - block.offset, 0)
            let end = min(range.upperBound - block.offset, BlockCache.blockBytes)
            guard let piece = try piece(block, start..<end, access) else { return nil }
            bytes += piece
            if piece.count < end - start { break }
        }
        return bytes
    }

    /// Bytes of one block; fewer if the segment ends.
    private func piece(
        _ block: BlockCache.Block, _ range: Range<Int>, _ access: ReadAccess
    ) throws(FileFailure) -> [UInt8]? {
        if let known = cache.read(block, range, access) {
            metrics.archiveCacheHits.add()
            return known
        }
        guard access == .fetching else { return nil }
        let skip = skipped.withLock { $0[block, default: 0] }
        let bytes = try fetch(
            block.first, "skip=\(skip)", block.offset..<block.offset + BlockCache.blockBytes)
        cache.keep(block, bytes)
        return Array(bytes[min(range.lowerBound, bytes.count)..<min(range.upperBound, bytes.count)])
    }

    package func distrust(_ first: Position, _ range: Range<Int>) {
        for block in BlockCache.blocks(of: first, range) {
            let isOld = cache.isOld(block)
            cache.forget(block)
            // What was kept here says nothing about a store.
            if !isOld { skipped.withLock { $0[block, default: 0] += 1 } }
        }
    }

    // MARK: Copies

    /// Bytes of one store's copy of a segment; fewer than asked for if the segment ends.
    func read(
        _ first: Position, _ range: Range<Int>, store: Int
    ) throws(FileFailure) -> [UInt8] { try fetch(first, "store=\(store)", range) }

    private func fetch(
        _ first: Position, _ which: String, _ range: Range<Int>
    ) throws(FileFailure) -> [UInt8] {
        let path =
            "/v1/archive/segments/\(first)?\(which)&from=\(range.lowerBound)&bytes=\(range.count)"
        metrics.archiveFetches.add()
        let answer: Answer
        switch transport(path, time()) {
        case .failure(let failure):
            throw .archiveUnreachable(LedgerLayout.segment(first), failure.detail)
        case .success(let found): answer = found
        }
        let detail = Self.detail(answer.body)
        switch answer.status {
        case 200:
            guard answer.body.count <= range.count else {
                throw .archiveUnreachable(
                    LedgerLayout.segment(first),
                    "the archive process answered with \(answer.body.count) bytes instead of at most "
                        + "\(range.count)")
            }
            return answer.body
        case 404:
            // The next reader asks every copy again.
            skipped.withLock { $0 = $0.filter { $0.key.first != first } }
            throw .archiveDamaged(LedgerLayout.segment(first), detail)
        default: throw .archiveUnreachable(LedgerLayout.segment(first), detail)
        }
    }

    private static func detail(_ body: [UInt8]) -> String {
        String(decoding: body.prefix(1000), as: UTF8.self)
    }

    /// The archive process's metrics, as it has them; nil if it does not answer.
    func metricsText() -> String? {
        guard case .success(let answer) = transport("/metrics", time()), answer.status == 200,
            answer.body.count <= Self.metricsBytesMax
        else { return nil }
        return String(decoding: answer.body, as: UTF8.self)
    }

    private static let metricsBytesMax = 64 << 10

    /// What the archive process says of its stores.
    struct Stores: Sendable {
        var ledgerID: UUID128
        /// Their URLs.
        var names: [String]
        /// How long no store got what is durable; zero if one has everything.
        var lag: Duration
    }

    func stores() throws(Unanswered) -> Stores {
        let answer = try transport("/v1/archive", time()).get()
        guard answer.status == 200, let document = try? JSONDocument(answer.body),
            let ledger = document.member("ledger_id", of: 0).flatMap(document.string),
            let ledgerID = UUID128(ledger[...]),
            let list = document.member("stores", of: 0), document.tokens[list].kind == .array
        else { throw Unanswered("its answer is not what this program knows") }
        let names = JSONChildren(document.tokens, of: list).compactMap { store in
            document.member("name", of: store).flatMap(document.string)
        }
        let lag = document.member("lag_seconds", of: 0).flatMap { member in
            Double(String(decoding: document.source(member), as: UTF8.self))
        }
        return Stores(ledgerID: ledgerID, names: names, lag: .seconds(lag ?? 0))
    }
}
