package import LedgerFormat
package import Platform
internal import Synchronization

/// How far the level files can be trusted: a line with a size and its CRC-32C. A crash may leave
/// anything in the levels beyond that size.
package struct TreeState: Hashable, Sendable {
    package var size: LedgerSize

    package init(size: LedgerSize) { self.size = size }

    /// Nil if the content is damaged.
    package init?(fileContent: [UInt8]) {
        let digits = fileContent.prefix { $0 != 0x20 }
        guard let size = UInt64(canonical: digits) else { return nil }
        guard size <= StorageLimits.entriesMax else { return nil }
        self.size = LedgerSize(size)
        guard self.fileContent == fileContent else { return nil }
    }

    package var fileContent: [UInt8] {
        let text = Array("\(size)".utf8)
        return text + Array(" \(CRC32C().continued(over: text.span).hex)\n".utf8)
    }

    /// The state stored in a ledger's folder; empty if the file is missing or damaged.
    package static func read(_ volume: any Volume) throws(FileFailure) -> TreeState {
        do throws(FileFailure) {
            return TreeState(fileContent: try volume.content(of: LedgerLayout.treeState))
                ?? TreeState(size: .empty)
        } catch {
            guard error.isMissing else { throw error }
            return TreeState(size: .empty)
        }
    }
}
