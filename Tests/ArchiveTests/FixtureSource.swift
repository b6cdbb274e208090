import Archive
import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import ObjectStore
import Platform
import Publishing
import Synchronization

/// A ledger in memory as a source, without the daemon around it.
final class FixtureSource: LedgerSource {
    let volume: SimulatedVolume
    private let now: Mutex<(map: LedgerMap, checkpointBytes: Int)>
    private let ended = Mutex<[UInt8]?>(nil)

    /// Begins epoch 0 where there is none yet.
    init(_ volume: SimulatedVolume, _ map: LedgerMap) throws {
        self.volume = volume
        now = Mutex((map, 0))
        guard !(try volume.list("").contains(LedgerLayout.epoch)) else { return }
        let identity = try Ledger.identity(volume)
        let note = EpochNote(
            origin: identity.origin, number: 0, start: Position(0), previous: identity.digest,
            machine: "first", time: identity.createdAt, rotations: [])
        let signer = try SigningKeys.read(LedgerLayout.key, .ed25519, volume)
        try volume.replace(LedgerLayout.epoch, with: note.content(signedBy: signer))
    }

    /// What is durable now.
    func set(_ map: LedgerMap, checkpointBytes: Int) {
        now.withLock { $0 = (map, checkpointBytes) }
    }

    func state() throws(StoreFailure) -> SourceState {
        let (map, checkpointBytes) = now.withLock { $0 }
        return SourceState(
            ledgerID: map.ledgerID,
            segments: map.extents.map {
                SourceState.Segment(
                    first: $0.first, end: $0.end, bytes: $0.bytes, isSealed: $0.isSealed,
                    isArchived: $0.isArchived)
            }, checkpointBytes: checkpointBytes)
    }

    func identity() throws(StoreFailure) -> [UInt8] {
        do throws(FileFailure) { return try volume.content(of: LedgerLayout.identity) } catch {
            throw StoreFailure(.source, "", "\(error)")
        }
    }

    func epoch() throws(StoreFailure) -> [UInt8] {
        do throws(FileFailure) { return try volume.content(of: LedgerLayout.epoch) } catch {
            throw StoreFailure(.source, "", "\(error)")
        }
    }

    func supersede(_ note: [UInt8]) throws(StoreFailure) { ended.withLock { $0 = note } }

    /// The note that ended the writer.
    var successor: [UInt8]? { ended.withLock { $0 } }

    func read(
        _ file: SourceFile, _ offset: Int, atMost count: Int
    ) throws(StoreFailure) -> [UInt8] {
        do throws(FileFailure) {
            let (map, checkpointBytes) = now.withLock { $0 }
            let bytes: [UInt8]
            switch file {
            case .segment(let first):
                guard let extent = map.extent(from: first) else {
                    throw FileFailure(.read, "\(first)", errorNumber: FileFailure.missingNumber)
                }
                bytes = try map.bytes(offset..<offset + count, of: extent)
            case .checkpoints:
                var piece = [UInt8](
                    repeating: 0, count: max(0, min(count, checkpointBytes - offset)))
                let file = try volume.open(LedgerLayout.checkpoints, .read)
                let found = try file.read(into: &piece, 0..<piece.count, at: offset)
                bytes = Array(piece.prefix(found))
            }
            guard !bytes.isEmpty else {
                throw FileFailure(.read, "\(file)", errorNumber: 0, "416: nothing is there yet")
            }
            return bytes
        } catch { throw StoreFailure(.source, "", "\(error)") }
    }
}

/// What has left a ledger's disk, read by the archive process's own code from its stores.
final class StoreBytes: ArchivedBytes {
    private let reader: ArchivedReader
    private let skipped = Mutex<[Position: Int]>([:])

    init(_ source: any LedgerSource, _ stores: [any ObjectStore]) {
        reader = ArchivedReader(source, stores, lag: { 0 }, patience: { Patience(.zero) })
    }

    func read(
        _ first: Position, _ range: Range<Int>, _ access: ReadAccess
    ) throws(FileFailure) -> [UInt8]? {
        guard access == .fetching else { return nil }
        return try read(first, range, "skip=\(skipped.withLock { $0[first, default: 0] })")
    }

    /// Bytes of one store's copy.
    func read(
        _ first: Position, _ range: Range<Int>, store: Int
    ) throws(FileFailure) -> [UInt8] { try read(first, range, "store=\(store)") }

    private func read(
        _ first: Position, _ range: Range<Int>, _ which: String
    ) throws(FileFailure) -> [UInt8] {
        let answer = reader.answer(
            "/v1/archive/segments/\(first)?\(which)&from=\(range.lowerBound)&bytes=\(range.count)")
        let detail = String(decoding: answer.body, as: UTF8.self)
        switch answer.status {
        case 200: return answer.body
        case 404: throw .archiveDamaged("\(first)", detail)
        default: throw .archiveUnreachable("\(first)", detail)
        }
    }

    func distrust(_ first: Position, _ range: Range<Int>) {
        skipped.withLock { $0[first, default: 0] += 1 }
    }
}
