package import LedgerFormat
package import Platform

/// The private halves of a ledger's keys, each in a file of its own that only its owner may read.
package enum SigningKeys {
    /// Creates a key's file, which must not exist. On return it is durable. A crash leaves no file
    /// of that name or the whole of it, and perhaps a `.tmp` file, which the next key replaces; the
    /// key has signed nothing yet.
    package static func write(
        _ key: NoteSigner, to path: String, _ volume: any Volume
    ) throws(FileFailure) {
        let names = try volume.list(path.folder)
        guard !names.contains(path.lastName) else {
            throw FileFailure(.create, path, errorNumber: FileFailure.existsNumber)
        }
        let beside = path + ".tmp"
        if names.contains(beside.lastName) { try volume.remove(beside) }
        let file = try volume.open(beside, .create(mode: 0o400))
        try file.write(Array("\(key)\n".utf8).span, at: 0)
        try file.sync()
        try volume.rename(beside, to: path)
        try volume.syncFolder(path.folder)
    }

    package enum Failure: Error, Sendable, CustomStringConvertible {
        case file(FileFailure)
        case exposed(path: String, mode: UInt32)
        case notAKey(path: String)
        case otherKey(path: String, found: NoteKeyName, wanted: NoteKeyName)

        package var description: String {
            switch self {
            case .file(let failure): failure.description
            case .exposed(let path, let mode):
                "\(path) is a private key with mode \(String(mode, radix: 8)): others may read "
                    + "it. Stop the daemon and `chmod 400` it. If somebody may have read it, then "
                    + "change the key: `stardust rotate-key LEDGER --overlap-days 0`"
            case .notAKey(let path): "\(path) is not an Ed25519 private key"
            case .otherKey(let path, let found, let wanted):
                "\(path) holds the key \(found), but the ledger's is \(wanted)"
            }
        }
    }

    /// Where a key of the ledger is kept.
    package static func path(of key: NoteVerifier, in history: KeyHistory) -> String {
        key == history.first ? LedgerLayout.key : LedgerLayout.key(key)
    }

    /// Reads the private half of one of the ledger's keys.
    package static func read(
        _ key: NoteVerifier, of history: KeyHistory, _ volume: any Volume
    ) throws(Failure) -> NoteSigner {
        let path = path(of: key, in: history)
        let signer = try read(path, .ed25519, volume)
        guard signer.verifier == key else {
            throw .otherKey(path: path, found: signer.verifier.keyName, wanted: key.keyName)
        }
        return signer
    }

    /// Reads a private key. Refuses a file that anyone but its owner may access.
    package static func read(
        _ path: String, _ type: SignatureType, _ volume: any Volume
    ) throws(Failure) -> NoteSigner {
        let (content, mode): ([UInt8], UInt32)
        do throws(FileFailure) {
            let file = try volume.open(path, .read)
            mode = try file.isPrivate() ? 0o400 : file.permissions()
            content = try volume.content(of: path)
        } catch { throw .file(error) }
        guard mode & 0o077 == 0 else { throw .exposed(path: path, mode: mode) }
        guard let signer = NoteSigner(String(decoding: content, as: UTF8.self)),
            signer.verifier.type == type
        else { throw .notAKey(path: path) }
        return signer
    }
}

/// Which keys a ledger has had, from its own entries.
extension LedgerMap {
    /// Follows the changes of key from the first key on.
    package func keyHistory(first: NoteVerifier) throws(ReadFailure) -> KeyHistory {
        var history = KeyHistory(first: first)
        for position in otherEntries {
            guard let record = try read(position), record.entry.kind == .keyRotation else {
                continue
            }
            if let problem = history.follow(record.entry, payload: record.payload) {
                throw .damaged(Finding(.keyRotationInvalid, position: position, problem))
            }
        }
        return history
    }

    /// The payloads of the changes of key, in order.
    package func keyRotations() throws(ReadFailure) -> [[UInt8]] {
        var payloads: [[UInt8]] = []
        for position in otherEntries {
            guard let record = try read(position), record.entry.kind == .keyRotation else {
                continue
            }
            payloads.append(record.payload)
        }
        return payloads
    }
}

extension KeyHistory {
    /// Checks an entry of kind 3. `number` is the epoch before it, and becomes the entry's. Returns
    /// why it does not begin an epoch here; nil if it does.
    package func checkEpoch(
        _ entry: Entry, payload: [UInt8], after number: inout UInt64
    ) -> String? {
        let note: EpochNote
        do throws(EpochNote.DecodeError) { note = try EpochNote(payload, firstKey: first) } catch {
            return error.description
        }
        guard note.start == entry.position, note.previous == entry.previous else {
            return "the epoch was signed for another place in the ledger"
        }
        guard (try? note.keys(first: first).all) == all else {
            return "the epoch's changes of key are not the ledger's"
        }
        guard note.number > number else {
            return "epoch \(note.number) follows epoch \(number)"
        }
        number = note.number
        return nil
    }

    /// Applies an entry of kind 1. Returns why it is not a valid change of key; nil if it is.
    package mutating func follow(_ entry: Entry, payload: [UInt8]) -> String? {
        let rotation: KeyRotation
        do throws(KeyRotation.DecodeError) { rotation = try KeyRotation(payload: payload) } catch {
            return error.description
        }
        guard entry.flags.isSuperset(of: [.idAssigned, .createdAtAssigned]),
            entry.createdAt == entry.receivedAt
        else { return "the change of key does not have an assigned stardust_id and created_at" }
        guard rotation.oldKey.keyName.name == first.keyName.name else {
            return "the change of key belongs to \(rotation.origin)"
        }
        guard rotation.position == entry.position, rotation.previous == entry.previous else {
            return "the change of key was signed for another place in the ledger"
        }
        return add(rotation)
            ? nil
            : "the change of key is from \(rotation.oldKey.keyName), which is not the ledger's "
                + "key here, or it reinstates an earlier key"
    }
}
