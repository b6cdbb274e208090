/// Many short texts, one after the other, without memory of their own each.
struct PackedTexts: Sendable {
    /// Of a fixed size, since a single array would be copied whole as it grows.
    private var pieces: [[UInt8]] = []
    private static let pieceBytes = 1 << 20

    /// In the order in which they were added.
    struct Place: Hashable, Comparable, Sendable {
        fileprivate var start: Int
        fileprivate var count: UInt32

        static func < (left: Place, right: Place) -> Bool { left.start < right.start }
    }

    mutating func add(_ text: String) -> Place {
        var text = text
        return text.withUTF8 { bytes in
            if (pieces.last?.count ?? Self.pieceBytes) + bytes.count > Self.pieceBytes {
                var piece: [UInt8] = []
                piece.reserveCapacity(max(Self.pieceBytes, bytes.count))
                pieces.append(piece)
            }
            let last = pieces.count - 1
            let place = Place(
                start: last * Self.pieceBytes + pieces[last].count, count: UInt32(bytes.count))
            unsafe pieces[last].append(contentsOf: bytes)
            return place
        }
    }

    subscript(place: Place) -> String {
        let start = place.start % Self.pieceBytes
        let piece = pieces[place.start / Self.pieceBytes]
        return String(decoding: piece[start..<start + Int(place.count)], as: UTF8.self)
    }
}
