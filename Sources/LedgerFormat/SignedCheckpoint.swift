/// A checkpoint with its signatures.
package struct SignedCheckpoint: Hashable, Sendable {
    package var checkpoint: Checkpoint
    package var note: SignedNote

    package init(_ checkpoint: Checkpoint, signatures: [SignedNote.Signature]) {
        self.checkpoint = checkpoint
        note = SignedNote(text: checkpoint.text, signatures: signatures)
    }

    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case note(SignedNote.DecodeError)
        case checkpoint(Checkpoint.DecodeError)

        package var description: String {
            switch self {
            case .note(let error): error.description
            case .checkpoint(let error): error.description
            }
        }
    }

    /// Reads a signed note. Signatures are not checked.
    package init(_ bytes: [UInt8]) throws(DecodeError) {
        do throws(SignedNote.DecodeError) { note = try SignedNote(bytes) } catch {
            throw .note(error)
        }
        do throws(Checkpoint.DecodeError) { checkpoint = try Checkpoint(text: note.text) } catch {
            throw .checkpoint(error)
        }
    }
}
