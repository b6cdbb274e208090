/// A text that is equal only to the same code points, as in JSON; Swift's own strings are equal
/// where they look alike.
struct ExactText: Hashable, Sendable, CustomStringConvertible {
    let description: String

    init(_ text: String) { description = text }

    static func == (left: Self, right: Self) -> Bool {
        left.description.utf8.elementsEqual(right.description.utf8)
    }

    func hash(into hasher: inout Hasher) {
        // Safety: the bytes are read while they are lent.
        let isHashed: Void? = unsafe description.utf8.withContiguousStorageIfAvailable {
            unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0))
        }
        precondition(isHashed != nil, "a native string is contiguous")
    }
}
