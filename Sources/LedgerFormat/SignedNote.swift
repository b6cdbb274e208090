/// A text with signatures behind it (C2SP signed-note). Kept byte for byte.
package struct SignedNote: Hashable, Sendable {
    /// What is signed; ends with LF.
    package let text: [UInt8]
    package private(set) var signatures: [Signature]

    /// As other implementations bound it, so that nobody is kept busy with forged lines.
    package static let signaturesMax = 100
    package static let bytesMax = 1_000_000

    /// One line: whose, and bytes that only that kind of key understands.
    package struct Signature: Hashable, Sendable {
        package var key: NoteKeyName
        package var payload: [UInt8]

        package init(key: NoteKeyName, payload: [UInt8]) {
            (self.key, self.payload) = (key, payload)
        }
    }

    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case tooLong
        case notText
        case noSignatures
        case tooManySignatures
        case signatureLine(Int)

        package var description: String {
            switch self {
            case .tooLong: "a note has at most \(SignedNote.bytesMax) bytes"
            case .notText: "a note is UTF-8 without control characters"
            case .noSignatures: "no blank line with signatures behind it"
            case .tooManySignatures: "more than \(SignedNote.signaturesMax) signatures"
            case .signatureLine(let number): "signature line \(number) is malformed"
            }
        }
    }

    package init(text: [UInt8], signatures: [Signature] = []) {
        precondition(text.last == 0x0A, "a note's text ends with LF")
        self.text = text
        self.signatures = signatures
    }

    /// Reads a whole note. Signatures are not checked.
    package init(_ bytes: [UInt8]) throws(DecodeError) {
        guard bytes.count <= Self.bytesMax else { throw .tooLong }
        guard String(validating: bytes, as: UTF8.self) != nil,
            bytes.allSatisfy({ $0 >= 0x20 || $0 == 0x0A })
        else { throw .notText }
        // The last blank line: the text may have some of its own.
        let blank = bytes.indices.dropFirst().last { bytes[$0] == 0x0A && bytes[$0 - 1] == 0x0A }
        guard let blank, bytes.last == 0x0A, blank + 1 < bytes.count else { throw .noSignatures }
        text = Array(bytes[..<blank])
        signatures = try Self.signatures(bytes[(blank + 1)...])
    }

    /// Reads signature lines, at least one, and nothing else.
    package static func signatures(
        _ bytes: ArraySlice<UInt8>
    ) throws(DecodeError) -> [Signature] {
        guard bytes.last == 0x0A else { throw .noSignatures }
        let lines = bytes.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
        guard lines.count <= signaturesMax else { throw .tooManySignatures }
        var signatures: [Signature] = []
        for (number, line) in lines.enumerated() {
            guard let signature = Signature(line: line) else { throw .signatureLine(number + 1) }
            signatures.append(signature)
        }
        return signatures
    }

    package var bytes: [UInt8] {
        signatures.reduce(text + [0x0A]) { $0 + $1.line }
    }

    /// Adds a signature behind the others, unless its key has one already.
    package mutating func add(_ signature: Signature) {
        guard !signatures.contains(where: { $0.key == signature.key }) else { return }
        signatures.append(signature)
    }

    // MARK: Checking

    package enum Failure: Error, Hashable, CustomStringConvertible {
        /// A key that is known did not sign this.
        case badSignature(NoteKeyName)
        case noKnownKey

        package var description: String {
            switch self {
            case .badSignature(let key): "the signature of \(key) does not hold"
            case .noKnownKey: "none of the signatures is by a key that was given"
            }
        }
    }

    /// Which of the keys have signed, in the order of the lines. Lines of unknown keys are passed
    /// over; of several lines of one key the first counts.
    package func signers(among keys: [NoteVerifier]) throws(Failure) -> [NoteVerifier] {
        var found: [NoteVerifier] = []
        for signature in signatures {
            guard let key = keys.first(where: { $0.keyName == signature.key }),
                !found.contains(key)
            else { continue }
            guard key.accepts(signature.payload, of: text) else {
                throw .badSignature(signature.key)
            }
            found.append(key)
        }
        guard !found.isEmpty else { throw .noKnownKey }
        return found
    }
}

extension SignedNote.Signature {
    private static let dash: [UInt8] = [0xE2, 0x80, 0x94, 0x20]

    /// Em dash, space, name, space, base64 of key ID and payload; without the line end.
    fileprivate init?(line: ArraySlice<UInt8>) {
        guard line.starts(with: Self.dash) else { return nil }
        let fields = line.dropFirst(4).split(separator: 0x20, omittingEmptySubsequences: false)
        guard fields.count == 2, NoteKeyName.isValid(String(decoding: fields[0], as: UTF8.self)),
            let bytes = Base64.decoded(fields[1]), bytes.count >= 5
        else { return nil }
        key = NoteKeyName(
            name: Array(fields[0]), keyID: bytes.prefix(4).reduce(0) { $0 << 8 | UInt32($1) })
        payload = Array(bytes.dropFirst(4))
    }

    /// The line with its end.
    package var line: [UInt8] {
        Self.dash + key.name + [0x20] + Array(Base64.encoded(key.keyIDBytes + payload).utf8)
            + [0x0A]
    }
}
