/// Says who may append to a ledger, from which entry on: an epoch's signed note. It is an object of
/// an archive, the ledger's file `epoch`, and from epoch 1 on the payload of the epoch's first
/// entry, which is of kind 3. See `ledger-format.md`, section "Epochs".
package struct EpochNote: Hashable, Sendable {
    package var origin: String
    package var number: UInt64
    /// The epoch's first entry, and the hash before it.
    package var start: Position
    package var previous: Digest
    /// The machine whose daemon writes the epoch.
    package var machine: String
    package var time: Timestamp
    /// The changes of key before it, so that whoever knows the ledger's first key can check the note.
    package var rotations: [[UInt8]]

    package static let firstLine = "stardust-epoch/1"
    /// No note is longer.
    package static let bytesMax = 1 << 20

    package init(
        origin: String, number: UInt64, start: Position, previous: Digest, machine: String,
        time: Timestamp, rotations: [[UInt8]]
    ) {
        (self.origin, self.number, self.start) = (origin, number, start)
        (self.previous, self.machine, self.time) = (previous, machine, time)
        self.rotations = rotations
    }

    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case note(SignedNote.DecodeError)
        case lines
        case keys
        case signature(SignedNote.Failure)
        case foreign(String)

        package var description: String {
            switch self {
            case .note(let error): error.description
            case .lines: "the text does not have the lines of an epoch"
            case .keys: "its changes of key do not continue from the ledger's first key"
            case .signature(let failure): failure.description
            case .foreign(let origin): "it belongs to \(origin)"
            }
        }
    }

    /// Reads a signed note. The ledger's newest key, as the note's changes of key say, must have
    /// signed it.
    package init(_ content: [UInt8], firstKey: NoteVerifier) throws(DecodeError) {
        guard content.count <= Self.bytesMax else { throw .note(.tooLong) }
        let note: SignedNote
        do throws(SignedNote.DecodeError) { note = try SignedNote(content) } catch {
            throw .note(error)
        }
        let lines = String(decoding: note.text, as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        guard lines.count >= 8, lines[0] == Self.firstLine,
            let number = UInt64(canonical: lines[2].utf8), number < 1 << 48,
            let start = UInt64(canonical: lines[3].utf8), start < 1 << 48,
            let previous = Digest(hex: lines[4].dropFirst("sha256:".count)),
            Self.isMachine(lines[5]), let time = Timestamp(rfc3339: lines[6])
        else { throw .lines }
        let rotations = lines[7..<lines.count - 1].compactMap { Base64.decoded($0.utf8) }
        self.init(
            origin: lines[1], number: number, start: Position(start), previous: previous,
            machine: lines[5], time: time, rotations: rotations)
        guard text == note.text else { throw .lines }
        guard firstKey.keyName.name.elementsEqual(origin.utf8) else { throw .foreign(origin) }
        let key = try keys(first: firstKey).current
        do throws(SignedNote.Failure) { _ = try note.signers(among: [key]) } catch {
            throw .signature(error)
        }
    }

    /// The ledger's keys before the epoch.
    package func keys(first: NoteVerifier) throws(DecodeError) -> KeyHistory {
        var history = KeyHistory(first: first)
        for payload in rotations {
            guard let rotation = try? KeyRotation(payload: payload), history.add(rotation) else {
                throw .keys
            }
        }
        return history
    }

    /// Whether a text can name a machine: letters, digits and `.`, `-`, `_`, at most 100.
    package static func isMachine(_ text: String) -> Bool {
        (1...100).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
                    || (0x61...0x7A).contains(byte) || [0x2D, 0x2E, 0x5F].contains(byte)
            }
    }

    private var text: [UInt8] {
        var lines = [
            Self.firstLine, origin, "\(number)", "\(start)", previous.tagged, machine, "\(time)",
        ]
        lines += rotations.map { Base64.encoded($0) }
        return Array(lines.map { $0 + "\n" }.joined().utf8)
    }

    /// The note, signed by the ledger's key.
    package func content(signedBy signer: NoteSigner) -> [UInt8] {
        SignedNote(text: text, signatures: [signer.signature(of: text)]).bytes
    }
}
