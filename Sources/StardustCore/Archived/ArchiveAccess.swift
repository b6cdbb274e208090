package import LedgerStorage
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
    static func cache(in folder: String) throws(FileFailure) -> any Volume {
        let parent = try PosixVolume(root: folder)
        let name = "stardust-blocks"
        if try !parent.list("").contains(name) { try parent.makeFolder(name) }
        return try PosixVolume(root: folder + "/" + name)
    }

    /// For a command that reads a ledger's folder itself, and keeps nothing.
    package var reading: any ArchivedBytes {
        let logger = Logger(label: "stardust") { _ in SwiftLogNoOpLogHandler() }
        return ArchiveClient(
            transport, BlockCache(nil, bytesMax: 0, filesOpen: 0, logger: logger),
            time: { LedgerLimits.queryTime }, Metrics())
    }

    func client(_ live: LiveSettings, _ metrics: Metrics, _ logger: Logger) -> ArchiveClient {
        var volume: (any Volume)?
        if let cacheFolder {
            do throws(FileFailure) { volume = try Self.cache(in: cacheFolder) } catch {
                logger.log(
                    .archiveCacheFailed, "what is fetched from the archive cannot be kept: \(error)"
                )
            }
        }
        return ArchiveClient(
            transport,
            BlockCache(volume, bytesMax: cacheBytes, filesOpen: blocksOpen, logger: logger),
            time: { live.current.values.queryTime }, metrics)
    }
}
