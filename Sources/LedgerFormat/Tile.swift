/// A part of a log as C2SP tlog-tiles addresses it.
package struct Tile: Hashable, Sendable {
    package static let width = 256
    /// The tile levels of a tree of 2^64 leaves, each 256 times narrower than the one below.
    package static let levels = 0...7

    package enum Content: Hashable, Sendable {
        /// Hashes of a level, each over 256 of the level below.
        case hashes(level: Int)
        /// An entry bundle: entries, each preceded by its length.
        case entries
    }

    package var content: Content
    package var index: UInt64
    /// 256, or fewer for a partial tile, which has the leftmost ones.
    package var count: Int

    package init(_ content: Content, index: UInt64, count: Int = Tile.width) {
        (self.content, self.index, self.count) = (content, index, count)
    }

    /// Reads the part of a path after `/tile/`, split at its slashes: the level or `entries`, then
    /// groups of three digits, all but the last prefixed with `x`. A partial tile has `.p` and its
    /// width at the end. Nil for any other spelling.
    package init?(path: some Collection<Substring>) {
        guard let first = path.first else { return nil }
        if first == "entries" {
            content = .entries
        } else {
            guard let level = UInt64(canonical: first.utf8), level <= 63 else { return nil }
            content = .hashes(level: Int(level))
        }
        var groups = Array(path.dropFirst())
        count = Self.width
        if groups.count >= 2, let name = groups.dropLast().last, name.hasSuffix(".p") {
            guard let width = UInt64(canonical: groups.removeLast().utf8),
                (1..<UInt64(Self.width)).contains(width)
            else { return nil }
            count = Int(width)
            groups[groups.count - 1] = name.dropLast(2)
        }
        guard let last = groups.popLast(), var value = Self.threeDigits(last), groups.count < 6
        else { return nil }
        var scale: UInt64 = 1000
        for group in groups.reversed() {
            guard group.hasPrefix("x"), let digits = Self.threeDigits(group.dropFirst()) else {
                return nil
            }
            value += digits * scale
            scale *= 1000
        }
        // `x000/001` would be another spelling of `001`.
        guard groups.first != "x000" else { return nil }
        index = value
    }

    private static func threeDigits(_ text: Substring) -> UInt64? {
        guard text.utf8.count == 3, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else {
            return nil
        }
        return UInt64(text)
    }

    /// The path after `/`, as clients request it.
    package var path: String {
        var (groups, rest) = ([String](), index)
        repeat {
            let digits = String(rest % 1000)
            let padded = String(repeating: "0", count: 3 - digits.count) + digits
            groups.insert(groups.isEmpty ? padded : "x" + padded, at: 0)
            rest /= 1000
        } while rest > 0
        let name: String =
            switch content {
            case .entries: "entries"
            case .hashes(let level): String(level)
            }
        let whole = "tile/\(name)/" + groups.joined(separator: "/")
        return count == Self.width ? whole : whole + ".p/\(count)"
    }

    /// How many hashes or entries a tile's level has in a log of this size.
    package static func countOfLevel(_ content: Content, _ size: LedgerSize) -> UInt64 {
        guard case .hashes(let level) = content, level > 0 else { return size.entries }
        return level < 8 ? size.entries >> UInt64(8 * level) : 0
    }

    /// Whether a log of this size has the whole tile.
    package func isCovered(by size: LedgerSize) -> Bool {
        let (start, isTooFar) = index.multipliedReportingOverflow(by: UInt64(Self.width))
        let all = Self.countOfLevel(content, size)
        return !isTooFar && start <= all && all - start >= UInt64(count)
    }

    /// Appends an entry to a bundle: a length of two bytes, big-endian, then the entry.
    package static func append(_ entry: [UInt8], toBundle bundle: inout [UInt8]) {
        precondition(entry.count <= 65_535)
        bundle += [UInt8(entry.count >> 8), UInt8(entry.count & 255)]
        bundle += entry
    }

    /// All tiles that a log of this size must serve, left to right within each level.
    package static func all(_ size: LedgerSize) -> [Tile] {
        let contents = [Content.entries] + levels.map { .hashes(level: $0) }
        return contents.flatMap { content -> [Tile] in
            let all = countOfLevel(content, size)
            let whole = (0..<all / UInt64(width)).map { Tile(content, index: $0) }
            let rest = Int(all % UInt64(width))
            return rest == 0
                ? whole : whole + [Tile(content, index: all / UInt64(width), count: rest)]
        }
    }
}
