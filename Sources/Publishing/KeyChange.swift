package import LedgerFormat
package import LedgerStorage
package import Platform

/// Changes a ledger's key by appending an entry signed with both the old key and the new one.
///
/// The private key becomes durable before the entry that makes it the ledger's key. A crash between
/// the two leaves an unused key file.
package enum KeyChange {
    package enum Failure: Error, Sendable, CustomStringConvertible {
        case open(OpenFailure)
        case key(SigningKeys.Failure)
        case file(FileFailure)
        case write(LedgerWriter.Failure)
        /// The last entry's time leaves no room for the overlap.
        case clock(Timestamp)
        case readOnly

        package var description: String {
            switch self {
            case .open(let failure): failure.description
            case .key(let failure): failure.description
            case .file(let failure): failure.description
            case .write(let failure): failure.description
            case .clock(let time): "the last entry was received at \(time), which no clock can be"
            case .readOnly: "the file system of the ledger takes no changes"
            }
        }
    }

    /// Opens a ledger whose lock the caller holds, and appends the change. `keys` is the folder of
    /// the private keys. On return the change is durable.
    package static func perform(
        on volume: any Volume, keys: any Volume, overlap: Duration, now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) throws(Failure) -> KeyRotation {
        var opened = try open(volume)
        let history = try history(opened, keys)
        let old: NoteSigner
        do throws(SigningKeys.Failure) {
            old = try SigningKeys.read(history.current, of: history, keys)
        } catch { throw .key(error) }
        let new = NoteSigner(name: old.verifier.name, .random(using: &generator))
        let head = opened.map.head
        // From when the old key last counted, also if the clock has been ahead and is right again.
        let start = max(now, head.lastReceivedAt ?? now)
        let until = start.microseconds.addingReportingOverflow(
            Int64(overlap / .microseconds(1)))
        guard !until.overflow else { throw .clock(start) }
        let rotation = KeyRotation(
            origin: opened.identity.origin, position: head.size.nextPosition,
            previous: head.lastHash, oldKey: old.verifier, newKey: new.verifier,
            oldKeyUntil: Timestamp(microseconds: until.partialValue))
        // A crash before the folder's sync leaves no file, part of one, or an unused key.
        do throws(FileFailure) {
            try SigningKeys.write(new, to: LedgerLayout.key(new.verifier), keys)
        } catch { throw .file(error) }
        guard var writer = opened.writer.take() else { throw .readOnly }
        // A crash during this leaves the old key in force, or the whole change.
        do throws(OperatorEntry.Failure) {
            try OperatorEntry.append(
                .keyRotation, rotation.payload(signedBy: old, new), to: &writer, volume, now,
                using: &generator)
        } catch {
            switch error {
            case .file(let failure): throw .file(failure)
            case .write(let failure): throw .write(failure)
            }
        }
        return rotation
    }

    private static func open(_ volume: any Volume) throws(Failure) -> OpenedLedger {
        do throws(OpenFailure) { return try Ledger.open(volume) } catch { throw .open(error) }
    }

    /// Throws if the ledger is damaged, or if its entries do not match the newest checkpoint:
    /// nothing may be signed then.
    private static func history(
        _ opened: borrowing OpenedLedger, _ keys: any Volume
    ) throws(Failure) -> KeyHistory {
        if let damage = opened.damage { throw .open(.damaged(damage)) }
        do throws(OpenFailure) {
            return try TreePublisher.open(opened.map, opened.identity, keys: keys).history
        } catch { throw .open(error) }
    }
}
