/// A text followed by signatures (C2SP signed-note). Kept byte for byte.
package struct SignedNote: Hashable, Sendable {
    /// What is signed; ends with LF.
    package let text: [UInt8]
    package private(set) var signatures: [Signature]

    /// The limits other implementations use, so forged lines cannot keep a reader busy.
    package static let signaturesMax = 100
    package static let bytesMax = 1_000_000

    /// One signature line: the signer's key, and bytes that only this kind of key can interpret.
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
            case .noSignatures: "no blank line followed by signatures"
            case .tooManySignatures: "more than \(SignedNote.signaturesMax) signatures"
            case .signatureLine(let number):
                "signature line \(number) is not an em dash, a space, a name, a space and base64. "
                    + "Mail and editors change such lines, for example — to --"
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
        // Take the last blank line: the text itself may contain some.
        let blank = bytes.indices.dropFirst().last { bytes[$0] == 0x0A && bytes[$0 - 1] == 0x0A }
        guard let blank, bytes.last == 0x0A, blank + 1 < bytes.count else { throw .noSignatures }
        text = Array(bytes[..<blank])
        signatures = try Self.signatures(bytes[(blank + 1)...])
    }

    /// Reads one or more signature lines and nothing else.
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

    /// Appends a signature, unless its key already has one.
    package mutating func add(_ signature: Signature) {
        guard !signatures.contains(where: { $0.key == signature.key }) else { return }
        signatures.append(signature)
    }

    // MARK: Checking

    package enum Failure: Error, Hashable, CustomStringConvertible {
        /// The signature of a known key is wrong.
        case badSignature(NoteKeyName)
        case noKnownKey

        package var description: String {
            switch self {
            case .badSignature(let key): "the signature of \(key) is invalid"
            case .noKnownKey: "no signature is by one of the given keys"
            }
        }
    }

    /// Which of the keys have signed, in the order of the lines. Lines of unknown keys are skipped.
    /// If a key has several lines, only the first counts.
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

    /// The line, including its line end.
    package var line: [UInt8] {
        Self.dash + key.name + [0x20] + Array(Base64.encoded(key.keyIDBytes + payload).utf8)
            + [0x0A]
    }
}
