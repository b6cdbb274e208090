internal import LedgerFormat
internal import LedgerStorage

/// What is known before the segments are read.
struct LedgerSeal: Sendable {
    /// The sizes that were once synced, according to the close marker and the checkpoints.
    var closedAt: LedgerSize
    var signedAt: LedgerSize
    var isBeingWritten: @Sendable () -> Bool
    var checksPackets: Bool
    var treeFiles: TreeFiles
    /// The size up to which to compare the tree's files.
    var treeSize: LedgerSize
    /// Sizes at which the tree is needed, ascending.
    var sizes: [UInt64]

    /// Everything up to here was once synced.
    var durable: LedgerSize { max(closedAt, signedAt) }

    func wants(_ size: UInt64) -> Bool {
        var (low, high) = (0, sizes.count)
        while low < high {
            let middle = (low + high) / 2
            if sizes[middle] < size { low = middle + 1 } else { high = middle }
        }
        return low < sizes.count && sizes[low] == size
    }
}
