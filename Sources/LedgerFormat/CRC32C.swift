internal import CPlatform

/// CRC-32C (RFC 3720 appendix B.4). Detects accidental damage, not tampering.
package struct CRC32C: Hashable, Sendable {
    package var value: UInt32

    /// The checksum of no bytes, or one to continue from.
    package init(_ value: UInt32 = 0) { self.value = value }

    /// Eight hexadecimal digits, the most significant first.
    package var hex: String {
        String(hexadecimal: (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) })
    }

    /// The checksum of everything so far, followed by `bytes`.
    package func continued(over bytes: Span<UInt8>) -> CRC32C {
        // Safety: the pointer is used only during the call, for the count that belongs to it.
        unsafe bytes.withUnsafeBytes { buffer in
            CRC32C(unsafe stardust_crc32c(value, buffer.baseAddress, buffer.count))
        }
    }

    /// The same result without the processor's CRC instruction.
    package func continuedPortably(over bytes: Span<UInt8>) -> CRC32C {
        unsafe bytes.withUnsafeBytes { buffer in
            CRC32C(unsafe stardust_crc32c_portable(value, buffer.baseAddress, buffer.count))
        }
    }
}
