internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Platform

/// Appends the entries that are no packets, while no daemon runs.
enum OperatorEntry {
    enum Failure: Error {
        case file(FileFailure)
        case write(LedgerWriter.Failure)
    }

    /// Appends one. On return it is durable, and the ledger is marked as closed. A crash during this
    /// leaves nothing or the whole entry.
    static func append(
        _ kind: Entry.Kind, _ payload: [UInt8], to writer: inout LedgerWriter,
        _ volume: any Volume, _ now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) throws(Failure) {
        do throws(LedgerWriter.Failure) {
            if !writer.hasRoom(payloadBytes: payload.count) {
                let next: PreparedSegment
                do throws(FileFailure) {
                    let least = StorageLimits.segmentBytesMin(payloadBytes: payload.count)
                    next = try PreparedSegment(
                        volume,
                        bytes: StorageLimits.nextSegmentBytes(
                            after: writer.segmentBytes, in: least...StorageLimits.segmentBytes))
                } catch { throw .failed(error) }
                try writer.roll(into: next)
            }
            let draft = LedgerWriter.Draft(
                stardustID: nil, createdAt: nil, payloadDigest: .sha256(payload),
                peer: Entry.Peer(uid: geteuid(), gid: getegid()), kind: kind)
            _ = try writer.stage(draft, payload: payload.span, now: now, using: &generator)
            try writer.commit()
        } catch { throw .write(error) }
        // The entry is durable. A crash before the marker leaves the old one, which is still true.
        do throws(FileFailure) { try writer.writeCloseMarker() } catch { throw .file(error) }
    }
}
