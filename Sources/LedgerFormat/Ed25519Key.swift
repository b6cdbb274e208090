internal import CLibCrypto

/// A private signing key (RFC 8032), kept as its 32-byte seed.
package struct Ed25519Key: Sendable {
    package static let seedBytes = 32
    package static let signatureBytes = 64
    package let seed: [UInt8]
    /// 32 bytes.
    package let publicKey: [UInt8]

    /// Makes a key from a seed of 32 bytes.
    package init(seed: [UInt8]) {
        precondition(seed.count == Self.seedBytes)
        self.seed = seed
        publicKey = Self.publicKey(of: seed)
    }

    package static func random(using generator: inout some RandomNumberGenerator) -> Ed25519Key {
        Ed25519Key(
            seed: (0..<seedBytes).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    private static func publicKey(of seed: [UInt8]) -> [UInt8] {
        // Safety: OpenSSL copies the seed, writes at most `count` bytes, and the key is freed here.
        let key = unsafe EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count)
        defer { unsafe EVP_PKEY_free(key) }
        var result = [UInt8](repeating: 0, count: 32)
        var count = result.count
        let status = unsafe EVP_PKEY_get_raw_public_key(key, &result, &count)
        precondition(status == 1 && count == 32, "libcrypto lacks Ed25519")
        return result
    }

    /// The 64-byte signature of a message.
    package func signature(of message: [UInt8]) -> [UInt8] {
        // Safety: OpenSSL reads seed and message during the calls, writes `count` bytes at most, and
        // both objects are freed here.
        let key = unsafe EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, seed.count)
        let context = unsafe EVP_MD_CTX_new()
        defer {
            unsafe EVP_MD_CTX_free(context)
            unsafe EVP_PKEY_free(key)
        }
        var result = [UInt8](repeating: 0, count: Self.signatureBytes)
        var count = result.count
        let isSigned =
            unsafe EVP_DigestSignInit(context, nil, nil, nil, key) == 1
            && EVP_DigestSign(context, &result, &count, message, message.count) == 1
        precondition(isSigned && count == Self.signatureBytes, "libcrypto could not sign")
        return result
    }

    /// Whether 32 bytes encode a point of small order, in any encoding: with such a key or such a
    /// first half, a signature says nothing (RFC 8032 section 8.4 leaves that to the caller).
    package static func isOfSmallOrder(_ point: some Collection<UInt8>) -> Bool {
        guard point.count == 32 else { return false }
        var bytes = Array(point)
        bytes[31] &= 0x7F
        return smallOrder.contains(bytes)
    }

    /// The y coordinates, less and not less than the field's prime, of the eight points whose
    /// multiple by eight is the identity: 0, 1, -1 and two others with their negatives.
    private static let smallOrder: Set<[UInt8]> = {
        let zero = [UInt8](repeating: 0, count: 32)
        var one = zero
        one[0] = 1
        let ones = [UInt8](repeating: 0xFF, count: 31) + [0x7F]
        // p - 1, p, p + 1, and 2^255 - 1 - 18 …: p ends with 0xED.
        let aroundPrime = [0xEC, 0xED, 0xEE].map { (last: UInt8) in [last] + ones.dropFirst() }
        let fourth = [UInt8](
            hexadecimal: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".utf8)!
        let other = [UInt8](
            hexadecimal: "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".utf8)!
        return Set([zero, one, fourth, other] + aroundPrime)
    }()

    /// Whether a message has this signature by this public key. A signature or key of the wrong
    /// length is invalid.
    package static func isValid(
        _ signature: [UInt8], of message: [UInt8], publicKey: [UInt8]
    ) -> Bool {
        guard signature.count == signatureBytes, publicKey.count == 32,
            !isOfSmallOrder(publicKey), !isOfSmallOrder(signature.prefix(32))
        else { return false }
        // Safety: as above. A public key that is not a point on the curve verifies nothing.
        let key = unsafe EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nil, publicKey, 32)
        let context = unsafe EVP_MD_CTX_new()
        defer {
            unsafe EVP_MD_CTX_free(context)
            unsafe EVP_PKEY_free(key)
        }
        guard unsafe key != nil else { return false }
        return unsafe EVP_DigestVerifyInit(context, nil, nil, nil, key) == 1
            && EVP_DigestVerify(context, signature, signature.count, message, message.count) == 1
    }
}
