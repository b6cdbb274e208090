internal import CLibCrypto

/// Incremental MD5 (RFC 1321), for `Content-MD5` (RFC 1864) alone: it tells transmission errors, and
/// proves nothing.
@safe struct MD5Hasher: ~Copyable {
    /// Nil where the system's policy forbids MD5.
    private let context: OpaquePointer?

    init() {
        let context = unsafe EVP_MD_CTX_new()
        let isReady = unsafe EVP_DigestInit_ex(context, EVP_md5(), nil) == 1
        if !isReady { unsafe EVP_MD_CTX_free(context) }
        unsafe self.context = isReady ? context : nil
    }

    deinit { unsafe EVP_MD_CTX_free(context) }

    mutating func update(_ bytes: Span<UInt8>) {
        guard unsafe context != nil else { return }
        unsafe bytes.withUnsafeBytes { buffer in
            _ = unsafe EVP_DigestUpdate(context, buffer.baseAddress, buffer.count)
        }
    }

    /// The 16 bytes of the digest.
    consuming func finish() -> [UInt8]? {
        guard unsafe context != nil else { return nil }
        var result = [UInt8](repeating: 0, count: 16)
        // Safety: MD5 writes 16 bytes.
        guard unsafe EVP_DigestFinal_ex(context, &result, nil) == 1 else { return nil }
        return result
    }
}
