// Fixed-width integers in buffers. All of Stardust's own formats are little-endian.

extension Span<UInt8> {
    /// The little-endian integer at byte `offset`. The caller has checked that it fits.
    @inlinable package func littleEndian<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self, at offset: Int
    ) -> Value {
        precondition(offset >= 0 && offset + MemoryLayout<Value>.size <= count)
        // Safety: the line above checked the range, and every bit pattern is a valid integer.
        return unsafe withUnsafeBytes {
            Value(littleEndian: unsafe $0.loadUnaligned(fromByteOffset: offset, as: type))
        }
    }
}

extension MutableSpan<UInt8> {
    /// Stores an integer at byte `offset`, little-endian.
    @inlinable package mutating func store<Value: FixedWidthInteger & BitwiseCopyable>(
        _ value: Value, at offset: Int
    ) {
        precondition(offset >= 0 && offset + MemoryLayout<Value>.size <= count)
        // Safety: the line above checked the range.
        unsafe withUnsafeMutableBytes {
            unsafe $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Value.self)
        }
    }
}
