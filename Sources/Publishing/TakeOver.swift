package import LedgerFormat
package import LedgerStorage
package import Platform

/// Makes this machine the writer of a ledger whose writer has ended: of a folder that came out of an
/// archive, or that was copied from another machine. It begins the next epoch.
package enum TakeOver {
    /// What becomes of entries that no checkpoint covers: they rest on the store's word.
    package enum Tail: String, Sendable {
        case keep
        case drop
    }

    package enum Failure: Error, Sendable, CustomStringConvertible {
        case open(OpenFailure)
        case key(SigningKeys.Failure)
        case file(FileFailure)
        case write(LedgerWriter.Failure)
        case superseded
        /// Entries beyond the newest checkpoint, for which the caller must decide.
        case tail(UInt64, beyond: LedgerSize)
        /// The checkpoint's end is not in the newest segment.
        case tailTooLong(LedgerSize)
        case noWriter

        package var description: String {
            switch self {
            case .open(let failure): failure.description
            case .key(let failure): "the ledger's key must sign the epoch: \(failure)"
            case .file(let failure): failure.description
            case .write(let failure): failure.description
            case .superseded:
                "another machine has taken over the ledger from this folder; restore the ledger from "
                    + "the archive to take it over again"
            case .tail(let count, let size):
                "\(count) entries continue the chain beyond the newest checkpoint, which covers "
                    + "\(size): they rest on the store's word. Give --tail keep or --tail drop; what "
                    + "is dropped stays beside the segment in a .torn file"
            case .tailTooLong(let size):
                "the newest segment has nothing that a checkpoint covers; `stardust restore --at "
                    + "\(size)` gives a folder without the entries beyond it"
            case .noWriter: "the file system of the ledger takes no changes"
            }
        }
    }

    /// The next epoch of a ledger.
    package struct Prepared: Sendable {
        package let note: EpochNote
        /// The note, signed by the ledger's key.
        package let content: [UInt8]
    }

    /// Looks at a ledger whose lock the caller holds, and signs the epoch after `newest`. `keys` is the
    /// folder of the private keys. Nothing has changed then.
    ///
    /// The caller makes the note known in the archive before `finish`: there two machines find out
    /// that both try.
    package static func prepare(
        _ volume: any Volume, keys: any Volume, machine: String, after newest: UInt64,
        tail: Tail?, now: Timestamp
    ) throws(Failure) -> Prepared {
        let (map, identity) = try look(volume)
        let end = try end(of: map, volume, tail)
        let publisher: TreePublisher
        let (rotations, previous): ([[UInt8]], Digest?)
        do throws(OpenFailure) {
            publisher = try TreePublisher.open(map, identity, keys: keys)
        } catch { throw .open(error) }
        do throws(ReadFailure) { rotations = try map.keyRotations() } catch {
            throw .open(OpenFailure(error))
        }
        let head = map.head
        do throws(FileFailure) {
            previous =
                end == head.size
                ? head.lastHash
                : end == .empty ? identity.digest : try map.entryHash(Position(end.entries - 1))
        } catch { throw .file(error) }
        let note = EpochNote(
            origin: identity.origin, number: newest + 1, start: end.nextPosition,
            previous: previous ?? head.lastHash, machine: machine, time: now, rotations: rotations)
        guard let content = publisher.signed(note) else { throw .key(publisher.keyProblem!) }
        return Prepared(note: note, content: content)
    }

    private static func look(
        _ volume: any Volume
    ) throws(Failure) -> (LedgerMap, LedgerIdentity) {
        let (map, identity, mark): (LedgerMap, LedgerIdentity, OpenedLedger.Mark?)
        do throws(OpenFailure) {
            let opened = try Ledger.open(volume, isReadOnly: true)
            if let damage = opened.damage { throw OpenFailure.damaged(damage) }
            (map, identity, mark) = (opened.map, opened.identity, opened.mark)
        } catch { throw .open(error) }
        if mark == .superseded { throw .superseded }
        return (map, identity)
    }

    /// Where the epoch begins: behind all entries, or behind those that a checkpoint covers.
    private static func end(
        of map: LedgerMap, _ volume: any Volume, _ tail: Tail?
    ) throws(Failure) -> LedgerSize {
        let (size, covered): (LedgerSize, LedgerSize)
        do throws(OpenFailure) {
            covered = try CheckpointCursor.tail(volume).newest?.checkpoint.size ?? .empty
        } catch { throw .open(error) }
        size = map.head.size
        guard size > covered, try hasPackets(map, covered.entries..<size.entries) else {
            return size
        }
        switch tail {
        case .keep: return size
        case nil: throw .tail(size.entries - covered.entries, beyond: covered)
        case .drop:
            guard let newest = map.extents.last, newest.first < covered.nextPosition else {
                throw .tailTooLong(covered)
            }
            return covered
        }
    }

    /// Whether a range has more than the entries of epochs, which this command wrote before it was
    /// interrupted.
    private static func hasPackets(
        _ map: LedgerMap, _ range: Range<UInt64>
    ) throws(Failure) -> Bool {
        do throws(ReadFailure) {
            for position in range where try map.entry(Position(position))?.kind != .epoch {
                return true
            }
            return false
        } catch { throw .open(OpenFailure(error)) }
    }

    /// Cuts what is dropped, begins the epoch with its entry, and makes the folder writable. All is
    /// durable on return. A crash during this leaves a ledger that is still only read, perhaps with the
    /// entry: the next attempt begins a later epoch.
    package static func finish(
        _ prepared: Prepared, _ volume: any Volume, now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) throws(Failure) {
        let (map, _) = try look(volume)
        let start = LedgerSize(prepared.note.start.value)
        if map.head.size > start {
            let isCut: Bool
            do throws(FileFailure) { isCut = try map.cutNewest(to: start) } catch {
                throw .file(error)
            }
            if !isCut { throw .tailTooLong(start) }
        }
        var opened: OpenedLedger
        do throws(OpenFailure) { opened = try Ledger.open(volume, takesOver: true) } catch {
            throw .open(error)
        }
        guard opened.map.head.lastHash == prepared.note.previous,
            var writer = opened.writer.take()
        else { throw .noWriter }
        do throws(OperatorEntry.Failure) {
            try OperatorEntry.append(
                .epoch, prepared.content, to: &writer, volume, now, using: &generator)
        } catch {
            switch error {
            case .file(let failure): throw .file(failure)
            case .write(let failure): throw .write(failure)
            }
        }
        do throws(FileFailure) {
            try volume.replace(LedgerLayout.epoch, with: prepared.content)
            guard try volume.list("").contains(LedgerLayout.restored) else { return }
            try volume.remove(LedgerLayout.restored)
            try volume.syncFolder("")
        } catch { throw .file(error) }
    }
}
