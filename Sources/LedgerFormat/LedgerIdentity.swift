/// What identifies a ledger from its creation on. The digest of its file is the `previous` hash of
/// position 0, so no byte of it can change later. `ledger-format.md`, section "Identity",
/// describes the lines.
package struct LedgerIdentity: Hashable, Sendable {
    package var ledgerID: UUID128
    /// The ledger's name in checkpoints: a URL without its scheme.
    package var origin: String
    /// Public half of the ledger's first key, in C2SP signed-note form.
    package var verifierKey: NoteVerifier
    package var createdAt: Timestamp

    package static let formatVersion = 1
    package static let firstLine = "stardust-ledger/\(formatVersion)"

    package init(ledgerID: UUID128, origin: String, verifierKey: NoteVerifier, createdAt: Timestamp)
    {
        self.ledgerID = ledgerID
        self.origin = origin
        self.verifierKey = verifierKey
        self.createdAt = createdAt
    }

    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case notAnIdentity
        case field(String)

        package var description: String {
            switch self {
            case .notAnIdentity:
                "the identity file does not have five lines beginning with \(firstLine)"
            case .field(let name): "the identity file has no valid \(name)"
            }
        }
    }

    /// Reads the whole file.
    package init(fileContent: [UInt8]) throws(DecodeError) {
        guard let text = String(validating: fileContent, as: UTF8.self) else {
            throw .notAnIdentity
        }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 6, lines[0] == Self.firstLine, lines[5].isEmpty else {
            throw .notAnIdentity
        }
        guard let ledgerID = UUID128(lines[1]) else { throw .field("ledger id") }
        guard NoteKeyName.isValid(String(lines[2])) else { throw .field("origin") }
        guard let key = try? NoteVerifier(lines[3]), key.keyName.name.elementsEqual(lines[2].utf8),
            key.type == .ed25519
        else { throw .field("verifier key") }
        guard let createdAt = Timestamp(rfc3339: String(lines[4])) else {
            throw .field("time of creation")
        }
        self.init(
            ledgerID: ledgerID, origin: String(lines[2]), verifierKey: key,
            createdAt: createdAt)
        guard self.fileContent == fileContent else { throw .notAnIdentity }
    }

    package var fileContent: [UInt8] {
        Array("\(Self.firstLine)\n\(ledgerID)\n\(origin)\n\(verifierKey)\n\(createdAt)\n".utf8)
    }

    /// The `previous` hash of position 0.
    package var digest: Digest { .sha256(fileContent) }
}
