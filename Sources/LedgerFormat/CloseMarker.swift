/// The ledger's size and last hash when the daemon last stopped cleanly. A sound ledger is never
/// shorter again, so a cut at a record boundary is detected. See `ledger-format.md`, section "Close
/// marker".
package struct CloseMarker: Hashable, Sendable {
    package var size: LedgerSize
    /// The hash of the last entry, or the digest of the identity file for an empty ledger.
    package var lastHash: Digest

    package static let firstLine = "stardust-close/1"

    package init(size: LedgerSize, lastHash: Digest) {
        self.size = size
        self.lastHash = lastHash
    }

    /// Reads the whole file; nil if any byte differs from what was written.
    package init?(fileContent: [UInt8]) {
        guard let text = String(validating: fileContent, as: UTF8.self) else { return nil }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 5, let size = UInt64(lines[1]),
            let hash = Digest(hex: lines[2].dropFirst("sha256:".count))
        else { return nil }
        self.init(size: LedgerSize(size), lastHash: hash)
        guard self.fileContent == fileContent else { return nil }
    }

    package var fileContent: [UInt8] {
        let text = Array("\(Self.firstLine)\n\(size)\n\(lastHash.tagged)\n".utf8)
        return text + Array("crc32c:\(CRC32C().continued(over: text.span).hex)\n".utf8)
    }
}
