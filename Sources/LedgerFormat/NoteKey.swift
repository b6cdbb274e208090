/// The kind of signature a key makes: the type byte of C2SP signed-note. Other values are kept but
/// not interpreted.
package struct SignatureType: RawRepresentable, Hashable, Sendable {
    package var rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let ed25519 = SignatureType(rawValue: 0x01)
    /// cosignature/v1 of C2SP tlog-cosignature with Ed25519.
    package static let cosignature = SignatureType(rawValue: 0x04)
}

/// Name and key ID, which identify the signer in a signature line.
package struct NoteKeyName: Hashable, Sendable, CustomStringConvertible {
    /// UTF-8, compared byte by byte.
    package let name: [UInt8]
    package let keyID: UInt32

    package var description: String {
        "\(String(decoding: name, as: UTF8.self))+\(keyIDText)"
    }

    /// Eight hexadecimal digits.
    package var keyIDText: String { String(hexadecimal: keyIDBytes) }

    var keyIDBytes: [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: keyID >> (24 - 8 * $0)) } }

    /// Whether a name is allowed in a note: not empty, at most 255 bytes, and without white space,
    /// control characters and plus signs (C2SP signed-note).
    package static func isValid(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 255
            && name.unicodeScalars.allSatisfy {
                $0 != "+" && !$0.properties.isWhitespace
                    && $0.properties.generalCategory != .control
            }
    }

    /// The first four bytes of SHA-256(name ‖ LF ‖ type ‖ public key), big-endian.
    fileprivate init(name: String, _ type: SignatureType, publicKey: [UInt8]) {
        self.name = Array(name.utf8)
        let digest = Digest.sha256(self.name + [0x0A, type.rawValue] + publicKey).bytes
        keyID = digest.prefix(4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    package init(name: [UInt8], keyID: UInt32) { (self.name, self.keyID) = (name, keyID) }
}

/// A public key in C2SP signed-note form: `name+<key ID, 8 hexadecimal digits>+<base64 of type and
/// public key>`.
package struct NoteVerifier: Hashable, Sendable, CustomStringConvertible {
    package let name: String
    package let type: SignatureType
    package let publicKey: [UInt8]
    package let keyName: NoteKeyName

    package init(name: String, type: SignatureType, publicKey: [UInt8]) {
        self.name = name
        self.type = type
        self.publicKey = publicKey
        keyName = NoteKeyName(name: name, type, publicKey: publicKey)
    }

    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case notAKey
        case type(UInt8)
        case weak

        package var description: String {
            switch self {
            case .weak: "the key is a point of small order, with which anybody can sign"
            case .notAKey:
                "not a verifier key: expected name+<key ID, 8 hexadecimal digits>+<base64>"
            case .type(let byte):
                "the key has type \(byte); this version supports only 1 and 4"
            }
        }
    }

    /// Reads a key's text. Only types that this version can verify are accepted.
    package init(_ text: some StringProtocol) throws(DecodeError) {
        let fields = text.split(separator: "+", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3, NoteKeyName.isValid(String(fields[0])),
            let bytes = Base64.decoded(fields[2].utf8), let type = bytes.first
        else { throw .notAKey }
        self.init(
            name: String(fields[0]), type: SignatureType(rawValue: type),
            publicKey: Array(bytes.dropFirst()))
        guard description.utf8.elementsEqual(text.utf8) else { throw .notAKey }
        guard [.ed25519, .cosignature].contains(self.type) else { throw .type(type) }
        guard publicKey.count == 32 else { throw .notAKey }
        guard !Ed25519Key.isOfSmallOrder(publicKey) else { throw .weak }
    }

    package var description: String {
        "\(keyName)+\(Base64.encoded([type.rawValue] + publicKey))"
    }

    /// Whether a signature line's payload is this key's valid signature of a note's text.
    package func accepts(_ payload: [UInt8], of text: [UInt8]) -> Bool {
        switch type {
        case .ed25519: Ed25519Key.isValid(payload, of: text, publicKey: publicKey)
        case .cosignature:
            Cosignature(payload).map {
                Ed25519Key.isValid(
                    $0.signature, of: Cosignature.message(text, time: $0.time),
                    publicKey: publicKey)
            } ?? false
        default: false
        }
    }
}

/// A private key with its name, in the format of golang.org/x/mod's note package:
/// `PRIVATE+KEY+name+<key ID>+<base64 of type and seed>`.
package struct NoteSigner: Sendable, CustomStringConvertible {
    package let verifier: NoteVerifier
    private let key: Ed25519Key
    private static let prefix = "PRIVATE+KEY+"

    package init(name: String, type: SignatureType = .ed25519, _ key: Ed25519Key) {
        self.key = key
        verifier = NoteVerifier(name: name, type: type, publicKey: key.publicKey)
    }

    /// Nil for anything else. A line feed after the key is ignored.
    package init?(_ text: String) {
        let text = text.trimmingLineEnd
        guard text.hasPrefix(Self.prefix) else { return nil }
        let fields = text.dropFirst(Self.prefix.count).split(separator: "+", maxSplits: 2)
        guard fields.count == 3, NoteKeyName.isValid(String(fields[0])),
            let bytes = Base64.decoded(fields[2].utf8), bytes.count == 1 + Ed25519Key.seedBytes
        else { return nil }
        self.init(
            name: String(fields[0]), type: SignatureType(rawValue: bytes[0]),
            Ed25519Key(seed: Array(bytes.dropFirst())))
        guard description == text, [.ed25519, .cosignature].contains(verifier.type) else {
            return nil
        }
    }

    /// The private key itself.
    package var description: String {
        "\(Self.prefix)\(verifier.keyName)+\(Base64.encoded([verifier.type.rawValue] + key.seed))"
    }

    /// Signs a note's text. `time` is the time a cosignature attests, in seconds since the epoch.
    package func signature(of text: [UInt8], time: UInt64 = 0) -> SignedNote.Signature {
        let payload =
            verifier.type == .cosignature
            ? Cosignature(
                time: time, signature: key.signature(of: Cosignature.message(text, time: time))
            ).payload
            : key.signature(of: text)
        return SignedNote.Signature(key: verifier.keyName, payload: payload)
    }
}

extension String {
    /// The string without one trailing line feed.
    fileprivate var trimmingLineEnd: String { hasSuffix("\n") ? String(dropLast()) : self }
}

/// A witness's statement that, at a given time, it saw a checkpoint that is consistent with all it
/// saw before (C2SP tlog-cosignature, cosignature/v1).
package struct Cosignature: Hashable, Sendable {
    /// Seconds since the epoch.
    package var time: UInt64
    package var signature: [UInt8]

    package init(time: UInt64, signature: [UInt8]) {
        (self.time, self.signature) = (time, signature)
    }

    /// Reads a time of 8 bytes, big-endian, and a signature of 64.
    package init?(_ payload: [UInt8]) {
        guard payload.count == 8 + Ed25519Key.signatureBytes else { return nil }
        time = payload.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        signature = Array(payload.dropFirst(8))
        guard time <= UInt64(Int64.max) else { return nil }
    }

    package var payload: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: time >> (56 - 8 * UInt64($0))) } + signature
    }

    /// What is signed: the time, then the whole text of the checkpoint.
    package static func message(_ text: [UInt8], time: UInt64) -> [UInt8] {
        Array("cosignature/v1\ntime \(time)\n".utf8) + text
    }
}
