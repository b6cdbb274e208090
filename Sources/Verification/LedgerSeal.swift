internal import LedgerFormat
internal import LedgerStorage

/// What is known before a segment is read.
struct LedgerSeal: Sendable {
    /// What the close marker and the newest checkpoint say was synced once.
    var closedAt: LedgerSize
    var signedAt: LedgerSize
    var isBeingWritten: @Sendable () -> Bool
    var checksPackets: Bool
    var treeFiles: TreeFiles
    /// As far as the tree's files are to be compared.
    var treeSize: LedgerSize
    /// Sizes at which the tree is wanted, ascending.
    var sizes: [UInt64]

    /// Up to here everything was synced once.
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
