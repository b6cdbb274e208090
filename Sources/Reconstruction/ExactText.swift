/// Text that equals only the same code points, as in JSON. Swift's own strings are also equal if
/// they are canonically equivalent.
struct ExactText: Hashable, Sendable, CustomStringConvertible {
    let description: String

    init(_ text: String) { description = text }

    static func == (left: Self, right: Self) -> Bool {
        left.description.utf8.elementsEqual(right.description.utf8)
    }

    func hash(into hasher: inout Hasher) {
        // Safety: the bytes are read only within the closure.
        let isHashed: Void? = unsafe description.utf8.withContiguousStorageIfAvailable {
            unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        precondition(isHashed != nil, "a native string is contiguous")
    }
}
