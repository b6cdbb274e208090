internal import LedgerFormat
internal import Synchronization

/// Open files of sealed segments, so that a look-up is a read and not an opening. A bounded number:
/// each takes two descriptors.
final class SealedFiles: Sendable {
    private let volume: any Volume
    private let files = Mutex<[UInt64: SealedFile]>([:])

    init(_ volume: any Volume) { self.volume = volume }

    /// The files of a segment. They are opened where `access` lets one wait.
    func file(
        of header: SegmentHeader, _ access: ReadAccess
    ) throws(FileFailure) -> SealedFile {
        let first = header.firstPosition
        if let known = files.withLock({ $0[first.value] }) { return known }
        guard access == .blocking else { throw .wouldBlock(LedgerLayout.segment(first)) }
        let segment = try volume.open(LedgerLayout.segment(first), .read)
        let ids: IDsFile.Reader?
        do throws(FileFailure) {
            ids = try IDsFile.Reader(try volume.open(LedgerLayout.ids(first), .read))
        } catch  where error.isMissing { ids = nil } catch { throw error }
        let opened = SealedFile(segment: segment, ids: ids)
        files.withLock { files in
            if files.count >= StorageLimits.sealedFilesOpen { files.removeAll() }
            files[first.value] = opened
        }
        return opened
    }

    /// Opens the files anew next time: what was read from them is not what was written.
    func forget(_ header: SegmentHeader) {
        files.withLock { _ = $0.removeValue(forKey: header.firstPosition.value) }
    }
}

final class SealedFile: Sendable {
    let segment: any VolumeFile
    /// Nil where the file is missing or damaged.
    let ids: IDsFile.Reader?

    init(segment: any VolumeFile, ids: IDsFile.Reader?) {
        self.segment = segment
        self.ids = ids
    }
}
