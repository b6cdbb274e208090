internal import LedgerFormat
internal import Platform
internal import Synchronization

/// Open files of sealed segments, so that a look-up need not open files. Their number is bounded
/// because each segment takes two descriptors.
final class SealedFiles: Sendable {
    private let volume: any Volume
    private let files = Mutex<[UInt64: SealedFile]>([:])
    /// How many are kept open.
    let limit = Mutex(StorageLimits.sealedFilesOpen)

    init(_ volume: any Volume) { self.volume = volume }

    /// The files of a segment. Opens them if `access` allows waiting.
    func file(
        of header: SegmentHeader, _ access: ReadAccess
    ) throws(FileFailure) -> SealedFile {
        let first = header.firstPosition
        if let known = files.withLock({ $0[first.value] }) { return known }
        guard access != .cachedOnly else { throw .wouldBlock(LedgerLayout.segment(first)) }
        let segment = try volume.open(LedgerLayout.segment(first), .read)
        let ids: IDsFile.Reader?
        do throws(FileFailure) {
            ids = try IDsFile.Reader(try volume.open(LedgerLayout.ids(first), .read))
        } catch  where error.isMissing { ids = nil } catch { throw error }
        let opened = SealedFile(segment: segment, ids: ids)
        let limit = limit.withLock { $0 }
        files.withLock { files in
            if files.count >= limit { files.removeAll() }
            files[first.value] = opened
        }
        return opened
    }

    /// Drops the files because they returned damaged data. The next look-up opens them again.
    func forget(_ header: SegmentHeader) { forget(first: header.firstPosition) }

    /// Likewise, because the segment has left the disk or come back.
    func forget(first: Position) {
        files.withLock { _ = $0.removeValue(forKey: first.value) }
    }
}

final class SealedFile: Sendable {
    let segment: any VolumeFile
    /// Nil if the file is missing or damaged.
    let ids: IDsFile.Reader?

    init(segment: any VolumeFile, ids: IDsFile.Reader?) {
        self.segment = segment
        self.ids = ids
    }
}
