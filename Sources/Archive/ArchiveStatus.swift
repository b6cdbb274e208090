package import LedgerFormat
internal import LedgerStorage
package import ObjectStore

/// How far a ledger is in one store, as the store itself and the daemon say.
package struct ArchiveStatus: Sendable {
    /// Sealed segments that are whole in the store, and all of the ledger's.
    package var segments: Int
    package var segmentsInAll: Int
    /// Bytes that are not in the store as parts, checkpoints included.
    package var pendingBytes: Int
    /// When the oldest entry was received that is not in the store; nil if all are.
    package var oldestPending: Timestamp?

    package init(
        _ place: ArchivePlace, _ source: any LedgerSource, _ patience: Patience
    ) throws(ArchiveFailure) {
        do throws(StoreFailure) {
            let state = try source.state()
            var segments = SegmentShipper(place, source, patience)
            var parts = PartShipper(place, source, patience)
            do throws(ArchiveFailure) {
                try segments.resume(state)
                try parts.resume(state)
            } catch .store(let failure) { throw failure } catch {
                throw StoreFailure(.damaged, "", "\(error)")
            }
            let sealed = state.segments.filter(\.isSealed)
            self.segments = sealed.filter { segments.marks?[$0.first] != nil }.count
            segmentsInAll = sealed.count
            pendingBytes = parts.pending(state)
            oldestPending = nil
            guard let next = parts.next else { return }
            for segment in state.segments where segment.first >= next.first && !segment.isArchived {
                let place = max(
                    segment.first == next.first ? next.offset : 0, SegmentHeader.byteCount)
                guard place < segment.bytes else { continue }
                let record = try source.read(
                    .segment(segment.first), place, atMost: RecordFrame.payloadOffset)
                oldestPending =
                    record.count == RecordFrame.payloadOffset
                    ? (try? Entry(record.span, at: RecordFrame.byteCount))?.receivedAt : nil
                break
            }
        } catch { throw .store(error) }
    }
}
