internal import Glibc
package import LedgerFormat
package import LedgerStorage
package import Platform

/// Changes a ledger's key: an entry that the old and the new one have signed.
///
/// The private key is durable before the entry that makes it the ledger's: a crash between them
/// leaves a file that nobody uses.
package enum KeyChange {
    package enum Failure: Error, Sendable, CustomStringConvertible {
        case open(OpenFailure)
        case key(SigningKeys.Failure)
        case file(FileFailure)
        case write(LedgerWriter.Failure)

        package var description: String {
            switch self {
            case .open(let failure): failure.description
            case .key(let failure): failure.description
            case .file(let failure): failure.description
            case .write(let failure): failure.description
            }
        }
    }

    /// Opens a ledger, whose lock the caller holds, and appends the change. `keys` is where the
    /// private keys are. On return the change is durable.
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
        let until = Int64(overlap / .microseconds(1))
        let rotation = KeyRotation(
            origin: opened.identity.origin, position: head.size.nextPosition,
            previous: head.lastHash, oldKey: old.verifier, newKey: new.verifier,
            oldKeyUntil: Timestamp(microseconds: now.microseconds + until))
        do throws(FileFailure) {
            try SigningKeys.write(new, to: LedgerLayout.key(new.verifier), keys)
            try keys.syncFolder("")
        } catch { throw .file(error) }
        var writer = opened.writer.take()!
        try append(
            rotation.payload(signedBy: old, new), to: &writer, volume, now, using: &generator)
        return rotation
    }

    private static func open(_ volume: any Volume) throws(Failure) -> OpenedLedger {
        do throws(OpenFailure) { return try Ledger.open(volume) } catch { throw .open(error) }
    }

    /// Nothing is signed over a damaged ledger, nor over entries that are not those of the newest
    /// checkpoint.
    private static func history(
        _ opened: borrowing OpenedLedger, _ keys: any Volume
    ) throws(Failure) -> KeyHistory {
        if let damage = opened.damage { throw .open(.damaged(damage)) }
        do throws(OpenFailure) {
            return try TreePublisher.open(opened.map, opened.identity, keys: keys).history
        } catch { throw .open(error) }
    }

    private static func append(
        _ payload: [UInt8], to writer: inout LedgerWriter, _ volume: any Volume, _ now: Timestamp,
        using generator: inout some RandomNumberGenerator
    ) throws(Failure) {
        do throws(LedgerWriter.Failure) {
            if !writer.hasRoom(payloadBytes: payload.count) {
                let next: PreparedSegment
                do throws(FileFailure) {
                    next = try PreparedSegment(volume, bytes: StorageLimits.segmentBytes)
                } catch { throw .failed(error) }
                try writer.roll(into: next)
            }
            let draft = LedgerWriter.Draft(
                stardustID: nil, createdAt: nil, payloadDigest: .sha256(payload),
                peer: Entry.Peer(uid: geteuid(), gid: getegid()), kind: .keyRotation)
            _ = try writer.stage(draft, payload: payload.span, now: now, using: &generator)
            try writer.commit()
        } catch { throw .write(error) }
        do throws(FileFailure) { try writer.writeCloseMarker() } catch { throw .file(error) }
    }
}
