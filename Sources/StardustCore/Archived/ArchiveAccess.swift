internal import LedgerStorage
internal import Logging
internal import Platform

/// How a running ledger reaches the segments that have left its disk.
package struct ArchiveAccess: Sendable {
    package var transport: ArchiveClient.Transport
    /// The folder of the cache; nil to keep nothing.
    package var cacheFolder: String?
    package var cacheBytes = 1 << 30
    /// Blocks of the cache that stay open, each with a descriptor.
    package var blocksOpen = LedgerLimits.blocksOpen
    /// What stays on the disk; nil if nothing may leave.
    package var retention: SegmentLeaver.Retention?

    package init(_ transport: @escaping ArchiveClient.Transport) { self.transport = transport }

    /// A folder of its own: whatever else the given one has stays.
    private static func cache(in folder: String) throws(FileFailure) -> any Volume {
        let parent = try PosixVolume(root: folder)
        let name = "stardust-blocks"
        if try !parent.list("").contains(name) { try parent.makeFolder(name) }
        return try PosixVolume(root: folder + "/" + name)
    }

    func client(time: Duration, _ metrics: Metrics, _ logger: Logger) -> ArchiveClient {
        var volume: (any Volume)?
        if let cacheFolder {
            do throws(FileFailure) { volume = try Self.cache(in: cacheFolder) } catch {
                logger.warning("what is fetched from the archive cannot be kept: \(error)")
            }
        }
        return ArchiveClient(
            transport,
            BlockCache(volume, bytesMax: cacheBytes, filesOpen: blocksOpen, logger: logger),
            time: time, metrics)
    }
}
