/// An operator's statement that the ledger's key changes: the payload of an entry of kind 1. It is
/// a note signed by both the old and the new key. See `ledger-format.md`, section "Change of key".
package struct KeyRotation: Hashable, Sendable {
    package var origin: String
    /// The entry's position and the hash before it, so the note cannot be reused elsewhere.
    package var position: Position
    package var previous: Digest
    package var oldKey: NoteVerifier
    package var newKey: NoteVerifier
    /// Checkpoints whose last entry was received before this may still carry the old key's
    /// signature; later ones must not.
    package var oldKeyUntil: Timestamp

    private static let firstLine = "stardust-key-rotation/1"

    package init(
        origin: String, position: Position, previous: Digest, oldKey: NoteVerifier,
        newKey: NoteVerifier, oldKeyUntil: Timestamp
    ) {
        self.origin = origin
        self.position = position
        self.previous = previous
        self.oldKey = oldKey
        self.newKey = newKey
        self.oldKeyUntil = oldKeyUntil
    }

    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case note(SignedNote.DecodeError)
        case lines
        case key(NoteVerifier.DecodeError)
        case names
        case signatures(SignedNote.Failure)
        case unsigned(NoteKeyName)

        package var description: String {
            switch self {
            case .note(let error): error.description
            case .lines: "the text does not have the seven lines of a change of key"
            case .key(let error): error.description
            case .names: "the keys must be two different Ed25519 keys with the ledger's name"
            case .signatures(let failure): failure.description
            case .unsigned(let key): "the signature of \(key) is missing"
            }
        }
    }

    /// Reads a payload and checks both signatures.
    package init(payload: [UInt8]) throws(DecodeError) {
        let note: SignedNote
        do throws(SignedNote.DecodeError) { note = try SignedNote(payload) } catch {
            throw .note(error)
        }
        let lines = String(decoding: note.text, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count == 8, lines[0] == Self.firstLine,
            let position = UInt64(canonical: lines[2].utf8),
            let previous = Digest(hex: lines[3].dropFirst("sha256:".count)),
            let until = Timestamp(rfc3339: lines[6])
        else { throw .lines }
        do throws(NoteVerifier.DecodeError) {
            self.init(
                origin: lines[1], position: Position(position), previous: previous,
                oldKey: try NoteVerifier(lines[4]), newKey: try NoteVerifier(lines[5]),
                oldKeyUntil: until)
        } catch { throw .key(error) }
        guard text == note.text else { throw .lines }
        guard oldKey != newKey,
            [oldKey, newKey].allSatisfy({ $0.keyName.name.elementsEqual(origin.utf8) }),
            [oldKey, newKey].allSatisfy({ $0.type == .ed25519 })
        else { throw .names }
        let signers: [NoteVerifier]
        do throws(SignedNote.Failure) { signers = try note.signers(among: [oldKey, newKey]) } catch
        {
            throw .signatures(error)
        }
        for key in [oldKey, newKey] where !signers.contains(key) { throw .unsigned(key.keyName) }
    }

    private var text: [UInt8] {
        let lines = [
            Self.firstLine, origin, "\(position)", previous.tagged, "\(oldKey)", "\(newKey)",
            "\(oldKeyUntil)",
        ]
        return Array(lines.map { $0 + "\n" }.joined().utf8)
    }

    /// The payload, signed by both keys it names.
    package func payload(signedBy old: NoteSigner, _ new: NoteSigner) -> [UInt8] {
        precondition(old.verifier == oldKey && new.verifier == newKey)
        let signatures = [old.signature(of: text), new.signature(of: text)]
        return SignedNote(text: text, signatures: signatures).bytes
    }
}

/// The keys that may sign a ledger's checkpoints, starting with the first.
package struct KeyHistory: Hashable, Sendable {
    package private(set) var first: NoteVerifier
    package private(set) var rotations: [KeyRotation] = []

    package init(first: NoteVerifier) { self.first = first }

    /// The key that must sign new checkpoints.
    package var current: NoteVerifier { rotations.last?.newKey ?? first }

    package var all: [NoteVerifier] { [first] + rotations.map(\.newKey) }

    /// Adds the next change of key. False if it does not replace the current key, or if its new key
    /// was used before.
    package mutating func add(_ rotation: KeyRotation) -> Bool {
        guard rotation.oldKey == current, !all.contains(rotation.newKey) else { return false }
        rotations.append(rotation)
        return true
    }

    /// The keys that the ledger has had at this size. A line of a later one is a line of a key that
    /// nobody knows.
    package func known(at size: LedgerSize) -> [NoteVerifier] {
        [first] + rotations.filter { size.contains($0.position) }.map(\.newKey)
    }

    /// The key that must sign a checkpoint of this size.
    package func required(at size: LedgerSize) -> NoteVerifier {
        rotations.last { size.contains($0.position) }?.newKey ?? first
    }

    /// Keys that may have signed a checkpoint of this size whose last entry was received at that
    /// time.
    package func permitted(at size: LedgerSize, lastReceivedAt: Timestamp) -> [NoteVerifier] {
        let overlapping = rotations.filter {
            size.contains($0.position) && lastReceivedAt < $0.oldKeyUntil
        }
        return overlapping.map(\.oldKey) + [required(at: size)]
    }
}
