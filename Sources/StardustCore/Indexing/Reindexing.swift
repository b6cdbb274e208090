internal import LedgerFormat
internal import LedgerIndex
package import LedgerStorage
package import Platform
internal import Publishing

/// Deletes everything derived from the segments (ids, index and tree) and rebuilds it. A crash
/// leaves some of it missing; running it again, or starting the daemon, completes the rebuild.
package struct Reindexing {
    /// The number of packets indexed.
    package let packets: Int
    package let indexBytes: Int
    /// Damage found while opening. The index then covers only the entries before it.
    package let damage: Finding?

    package enum Failure: Error, CustomStringConvertible {
        case open(OpenFailure)
        case index(String)

        package var description: String {
            switch self {
            case .open(let failure): failure.description
            case .index(let reason): reason
            }
        }
    }

    /// The caller holds the ledger's lock. `progress` receives the number of packets indexed so far
    /// and the total.
    package init(
        _ volume: any Volume, progress: (_ done: Int, _ all: Int) -> Void
    ) throws(Failure) {
        var opened: OpenedLedger
        let identity: LedgerIdentity
        do throws(OpenFailure) {
            identity = try Ledger.identity(volume)
            try Self.removeIDs(volume)
            opened = try Ledger.open(volume)
        } catch { throw .open(error) }
        let (map, size) = (opened.map, opened.map.head.size)
        damage = opened.damage
        do throws(IndexFailure) {
            try TermIndex.removeFiles(volume)
            let index = try TermIndex(volume, identity: identity.digest) { _ in nil }
            try IndexRebuild(map, index, goal: size).run { done in
                progress(Int(done.entries), Int(size.entries))
                return true
            }
            packets = Int(index.size.entries)
            indexBytes = index.fileBytes
        } catch { throw .index(error.description) }
        if damage == nil { try Self.makeTree(map, identity) }
        // It was opened as a daemon opens it, so leave it closed as a daemon does. A crash before
        // the marker is durable leaves the old one, which is still true.
        guard let writer = opened.writer.take() else { return }
        do throws(FileFailure) { try writer.writeCloseMarker() } catch { throw .open(.file(error)) }
    }

    private static func makeTree(
        _ map: LedgerMap, _ identity: LedgerIdentity
    ) throws(Failure) {
        do throws(OpenFailure) {
            var publisher = try TreePublisher.open(map, identity)
            publisher.rebuild()
            do throws(ReadFailure) {
                while publisher.tree.size < map.head.size {
                    try publisher.catchUp(atMost: PublishingLimits.treePending)
                }
                do throws(FileFailure) { try publisher.close() } catch { throw .file(error) }
            } catch { throw OpenFailure(error) }
        } catch { throw .open(error) }
    }

    private static func removeIDs(_ volume: any Volume) throws(OpenFailure) {
        do throws(FileFailure) {
            for name in try volume.list(LedgerLayout.ids) {
                try volume.remove(LedgerLayout.ids + "/" + name)
            }
        } catch { throw .file(error) }
    }
}
