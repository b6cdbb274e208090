internal import CLibCrypto

/// The ledger's signing key (RFC 8032), kept as its 32-byte seed.
package struct Ed25519Key: Sendable {
    package static let seedBytes = 32
    package let seed: [UInt8]
    /// 32 bytes.
    package let publicKey: [UInt8]

    /// Makes a key from a seed of 32 bytes.
    package init(seed: [UInt8]) {
        precondition(seed.count == Self.seedBytes)
        self.seed = seed
        publicKey = Self.publicKey(of: seed)
    }

    private static func publicKey(of seed: [UInt8]) -> [UInt8] {
        // Safety: OpenSSL copies the seed, writes at most `count` bytes, and the key is freed here.
        let key = unsafe EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count)
        defer { unsafe EVP_PKEY_free(key) }
        var result = [UInt8](repeating: 0, count: 32)
        var count = result.count
        let status = unsafe EVP_PKEY_get_raw_public_key(key, &result, &count)
        precondition(status == 1 && count == 32, "libcrypto without Ed25519")
        return result
    }
}

/// A key as C2SP signed-note writes it.
package enum NoteKey {
    /// The signature type of Ed25519 in C2SP signed-note.
    private static let ed25519: UInt8 = 0x01

    /// `name+<key ID, 8 hexadecimal digits>+<base64 of type and public key>`.
    package static func verifier(name: String, _ key: Ed25519Key) -> String {
        "\(name)+\(keyID(name: name, key))+\(base64([ed25519] + key.publicKey))"
    }

    /// The form of golang.org/x/mod's note package: `PRIVATE+KEY+name+<key ID>+<base64>`.
    package static func signer(name: String, _ key: Ed25519Key) -> String {
        "PRIVATE+KEY+\(name)+\(keyID(name: name, key))+\(base64([ed25519] + key.seed))"
    }

    /// Whether a name may stand in a note: not empty, without white space, control characters and
    /// plus signs (C2SP signed-note), and of at most 255 bytes.
    package static func isValidName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= 255
            && name.unicodeScalars.allSatisfy {
                $0 != "+" && !$0.properties.isWhitespace
                    && $0.properties.generalCategory != .control
            }
    }

    /// The first four bytes of SHA-256(name ‖ LF ‖ type ‖ public key), in hexadecimal.
    private static func keyID(name: String, _ key: Ed25519Key) -> String {
        let text = Array(name.utf8) + [0x0A, ed25519] + key.publicKey
        return String(hexadecimal: Digest.sha256(text).bytes.prefix(4))
    }

    private static func base64(_ bytes: [UInt8]) -> String {
        // Safety: EVP_EncodeBlock writes four characters for each three bytes begun, and a zero.
        var text = [UInt8](repeating: 0, count: (bytes.count + 2) / 3 * 4 + 1)
        let count = unsafe EVP_EncodeBlock(&text, bytes, Int32(bytes.count))
        return String(decoding: text.prefix(Int(count)), as: UTF8.self)
    }
}
