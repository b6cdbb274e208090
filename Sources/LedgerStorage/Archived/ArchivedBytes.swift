package import LedgerFormat
package import Platform

/// Bytes of segments that have left the disk, from wherever they are now. Any thread may call it.
package protocol ArchivedBytes: Sendable {
    /// Bytes of a segment's file. Nil if `access` does not allow to wait as long as that takes: only
    /// `.fetching` allows to ask the archive. Nothing is checked: whoever reads them has their digest.
    func read(
        _ first: Position, _ range: Range<Int>, _ access: ReadAccess
    ) throws(FileFailure) -> [UInt8]?

    /// Forgets such bytes, because they were wrong. Another copy is asked for them next; once all were,
    /// reading fails with `isArchiveDamaged`.
    func distrust(_ first: Position, _ range: Range<Int>)
}
