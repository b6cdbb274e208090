internal import CStardustCommit
internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage

/// What `stardust --version` prints.
package enum Version {
    /// The version of CHANGELOG.md.
    package static let number = "0.10.0-dev"

    /// The commit `make` built from; "unknown" from a plain `swift build`.
    // Safety: the text is a constant compiled into the program.
    package static var commit: String { unsafe String(cString: stardust_commit()) }

    /// The program's version, then the format versions that it reads and writes.
    package static var text: String {
        """
        stardust \(number) (commit \(commit))
        ledger format: reads and writes identity \(LedgerIdentity.formatVersion), \
        segment \(SegmentHeader.formatVersion), entry \(Entry.formatVersion)
        derived files: reads and writes ids \(IDsFile.formatVersion), index \(TermIndex.formatVersion); \
        rebuilds any other
        """
    }
}
