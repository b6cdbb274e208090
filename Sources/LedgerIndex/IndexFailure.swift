internal import LedgerStorage
internal import Platform

/// Why the index cannot answer.
package enum IndexFailure: Error, Sendable, CustomStringConvertible {
    /// Not an index of this ledger and format, or a file is damaged: rebuild it.
    case unusable(String)
    /// There is no room. The caller may retry.
    case noSpace(String)
    case failed(String)
    /// The data is not in memory, and the caller must not wait.
    case wouldBlock

    package var description: String {
        switch self {
        case .unusable(let reason): "the index is damaged: \(reason)"
        case .noSpace(let reason): "no room for the index: \(reason)"
        case .failed(let reason): "the index failed: \(reason)"
        case .wouldBlock: "the index would have to wait for the disk"
        }
    }

    init(_ failure: FileFailure) {
        self =
            failure.isWouldBlock
            ? .wouldBlock
            : failure.isNoSpace ? .noSpace(failure.description) : .failed(failure.description)
    }
}
