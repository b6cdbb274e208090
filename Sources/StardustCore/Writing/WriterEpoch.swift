package import LedgerFormat
package import LedgerStorage
package import Platform
internal import Publishing

/// Which writer of its ledger this process is. A ledger with an archive has one at a time: the note
/// of an epoch names its machine, and another machine can only begin a later epoch.
package struct WriterEpoch: Sendable {
    package let note: EpochNote
    /// The signed note, as the file has it.
    package let content: [UInt8]

    /// Reads a ledger's epoch, or begins epoch 0 if it has none. Fails if it is another machine's.
    /// If it writes a note, that is durable on return. Nil without a key to sign one.
    static func open(
        _ map: LedgerMap, _ identity: LedgerIdentity, machine: String,
        _ publisher: borrowing TreePublisher, now: Timestamp
    ) throws(OpenFailure) -> WriterEpoch? {
        if let known = try stored(map.volume, identity) {
            guard known.note.machine == machine else {
                throw .otherMachine(known.note, own: machine)
            }
            return known
        }
        do throws(ReadFailure) {
            let note = EpochNote(
                origin: identity.origin, number: 0, start: Position(0), previous: identity.digest,
                machine: machine, time: now, rotations: try map.keyRotations())
            guard let content = publisher.signed(note) else { return nil }
            // A crash before this is durable leaves no epoch, and nobody was told of it.
            do throws(FileFailure) {
                try map.volume.replace(LedgerLayout.epoch, with: content)
            } catch { throw .file(error) }
            return WriterEpoch(note: note, content: content)
        } catch { throw OpenFailure(error) }
    }

    /// The epoch that a ledger's file names; nil if it has none.
    package static func stored(
        _ volume: any Volume, _ identity: LedgerIdentity
    ) throws(OpenFailure) -> WriterEpoch? {
        let content: [UInt8]
        do throws(FileFailure) {
            content = try volume.content(of: LedgerLayout.epoch, atMost: EpochNote.bytesMax)
        } catch {
            guard error.isMissing else { throw .file(error) }
            return nil
        }
        do throws(EpochNote.DecodeError) {
            let note = try EpochNote(content, firstKey: identity.verifierKey)
            return WriterEpoch(note: note, content: content)
        } catch {
            throw .damaged(
                Finding(
                    .epochInvalid, file: LedgerLayout.epoch,
                    "the file does not say who may append: \(error)"))
        }
    }
}

extension RunningLedger {
    /// Why a note does not end this writer.
    package enum NotSuperseded: Error, Sendable, CustomStringConvertible {
        /// The ledger's key did not sign it, or it is not of a later epoch.
        case refused(String)
        case file(FileFailure)

        package var description: String {
            switch self {
            case .refused(let detail): detail
            case .file(let failure): failure.description
            }
        }
    }

    /// Takes no more packets, now and after every restart, because another machine writes the
    /// ledger, as the signed note of a later epoch says. That is durable on return.
    package func supersede(_ content: [UInt8]) throws(NotSuperseded) {
        let note: EpochNote
        do throws(EpochNote.DecodeError) {
            note = try EpochNote(content, firstKey: identity.verifierKey)
        } catch { throw .refused("this is not the note of an epoch: \(error)") }
        guard let own = epoch?.note, note.number > own.number else {
            throw .refused(
                "epoch \(note.number) is not later than this writer's, \(epoch?.note.number ?? 0)")
        }
        do throws(FileFailure) { try keepSuperseding(content) } catch { throw .file(error) }
    }
}
