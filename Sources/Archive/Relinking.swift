internal import LedgerFormat
internal import LedgerStorage
package import ObjectStore
package import Platform

/// Writes files of entries that a folder lacks, from what stores have of its archived segments.
package enum Relinking {
    /// Durable on return. Returns how many were written.
    package static func run(
        _ ledger: ShippedLedger, _ volume: any Volume, _ patience: Patience
    ) throws(ArchiveFailure) -> Int {
        var objects = ShippedObjects(ledger, patience)
        var count = 0
        do throws(FileFailure) {
            if try !volume.list("").contains(LedgerLayout.archived) {
                try volume.makeFolder(LedgerLayout.archived)
                try volume.syncFolder("")
            }
        } catch { throw .file(error) }
        for (mark, epoch) in ledger.sealed {
            guard try isMissing(mark, ledger.identity.ledgerID, volume) else { continue }
            let path = LedgerLayout.archived(mark.first)
            let file = try create(path + ".tmp", volume)
            try objects.copy(
                ledger.layout.segment(mark.first, epoch, .entries), mark.entriesDigest, bytes: nil,
                to: file, at: 0)
            do throws(FileFailure) {
                try file.sync()
                try volume.rename(path + ".tmp", to: path)
                try volume.syncFolder(LedgerLayout.archived)
            } catch { throw .file(error) }
            count += 1
        }
        return count
    }

    /// Whether neither the segment nor a sound file of its entries is there.
    private static func isMissing(
        _ mark: SealedMark, _ ledgerID: UUID128, _ volume: any Volume
    ) throws(ArchiveFailure) -> Bool {
        do throws(FileFailure) {
            let name = LedgerLayout.segment(mark.first).lastName
            if try volume.list(LedgerLayout.segments).contains(name) { return false }
            let path = LedgerLayout.archived(mark.first)
            guard try volume.list(LedgerLayout.archived).contains(path.lastName) else {
                return true
            }
            let file = try volume.open(path, .read)
            guard let entries = try EntriesFile(file) else { return true }
            let header = entries.header.segment
            guard header.ledgerID == ledgerID, header.firstPosition == mark.first else {
                return true
            }
            let scan = try entries.follow(
                RecordChecker(next: header.firstPosition, lastHash: header.previous))
            return scan.problem != nil
        } catch { throw .file(error) }
    }

    private static func create(
        _ path: String, _ volume: any Volume
    ) throws(ArchiveFailure) -> any VolumeFile {
        do throws(FileFailure) {
            if try volume.list(path.folder).contains(path.lastName) { try volume.remove(path) }
            return try volume.open(path, .create())
        } catch { throw .file(error) }
    }
}
