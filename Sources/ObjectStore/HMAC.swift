internal import CLibCrypto

/// HMAC-SHA256 (RFC 2104): 32 bytes.
func hmacSHA256(_ key: [UInt8], _ message: some Collection<UInt8>) -> [UInt8] {
    let message = Array(message)
    var result = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 0
    // Safety: libcrypto reads both arrays during the call and writes the digest's 32 bytes.
    let written = unsafe HMAC(
        EVP_sha256(), key, Int32(key.count), message, message.count, &result, &count)
    unsafe precondition(written != nil && count == 32, "libcrypto lacks HMAC-SHA256")
    return result
}
