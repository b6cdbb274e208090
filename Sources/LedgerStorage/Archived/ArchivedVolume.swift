internal import LedgerFormat
package import Platform

/// A ledger's folder in which segments that have left the disk are still there to read.
///
/// Invariants:
///  1. A segment whose own file is there is that file, whatever is in the folder `archived`: a crash
///     while it left the disk, or while it came back, leaves both.
///  2. Nothing here changes an archived segment.
package final class ArchivedVolume: Volume {
    package let base: any Volume
    private let archive: (any ArchivedBytes)?

    /// Without `archive`, payloads of archived segments cannot be read.
    package init(_ base: any Volume, _ archive: (any ArchivedBytes)?) {
        (self.base, self.archive) = (base, archive)
    }

    package func open(_ path: String, _ access: FileAccess) throws(FileFailure) -> any VolumeFile {
        do throws(FileFailure) { return try base.open(path, access) } catch {
            guard error.isMissing, access == .read, path.folder == LedgerLayout.segments,
                let first = LedgerLayout.SegmentNames([path.lastName]).firsts.first,
                let file = try archived(first, path)
            else { throw error }
            return file
        }
    }

    private func archived(
        _ first: Position, _ path: String
    ) throws(FileFailure) -> ArchivedSegmentFile? {
        let entries: EntriesFile
        do throws(FileFailure) {
            let file = try base.open(LedgerLayout.archived(first), .read)
            guard let found = try EntriesFile(file) else {
                throw FileFailure(
                    .read, LedgerLayout.archived(first),
                    errorNumber: FileFailure.inputOutputNumber,
                    "it is not what is left of an archived segment; `stardust archive relink` gets it "
                        + "again")
            }
            entries = found
        } catch {
            if error.isMissing { return nil }
            throw error
        }
        var ids: IDsFile.Reader?
        if let file = try? base.open(LedgerLayout.ids(first), .read) {
            ids = try IDsFile.Reader(file)
        }
        return ArchivedSegmentFile(path, entries, ids, archive)
    }

    package func list(_ folder: String) throws(FileFailure) -> [String] {
        let names = try base.list(folder)
        guard folder == LedgerLayout.segments else { return names }
        let archived = try base.list(LedgerLayout.archived)
            .compactMap(LedgerLayout.archivedSegmentName)
        return archived.isEmpty ? names : Array(Set(names).union(archived))
    }

    package func makeFolder(_ path: String) throws(FileFailure) { try base.makeFolder(path) }
    package func rename(_ old: String, to new: String) throws(FileFailure) {
        try base.rename(old, to: new)
    }
    package func renameNew(_ old: String, to new: String) throws(FileFailure) {
        try base.renameNew(old, to: new)
    }
    package func remove(_ path: String) throws(FileFailure) { try base.remove(path) }
    package func requireInPlace() throws(FileFailure) { try base.requireInPlace() }
    package func syncFolder(_ folder: String) throws(FileFailure) { try base.syncFolder(folder) }
}
