/// A proof in one file that an entry is in a log (C2SP tlog-proof): index, path and checkpoint. The
/// extra data is our entry. The format does not authenticate it, but the leaf hash is computed from
/// it.
package struct TLogProof: Hashable, Sendable {
    package var extra: [UInt8]?
    package var index: UInt64
    /// The leaf's sibling first, the root's child last.
    package var path: [Digest]
    /// A signed checkpoint, byte for byte.
    package var checkpoint: [UInt8]

    private static let firstLine = "c2sp.org/tlog-proof@v1"
    /// No tree needs a longer path.
    private static let pathMax = 63

    package init(extra: [UInt8]?, index: UInt64, path: [Digest], checkpoint: [UInt8]) {
        (self.extra, self.index, self.path, self.checkpoint) = (extra, index, path, checkpoint)
    }

    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case firstLine
        case extra
        case index
        case hash(line: Int)
        case checkpoint

        package var description: String {
            switch self {
            case .firstLine: "the first line is not \(TLogProof.firstLine)"
            case .extra: "the `extra` line is not base64"
            case .index: "there is no `index` line with a position"
            case .hash(let line): "line \(line) is not a hash: 32 bytes in base64"
            case .checkpoint: "there is no blank line followed by a checkpoint"
            }
        }
    }

    package init(_ bytes: [UInt8]) throws(DecodeError) {
        var rest = bytes[...]
        var lineNumber = 0
        func line() -> ArraySlice<UInt8>? {
            guard let end = rest.firstIndex(of: 0x0A) else { return nil }
            defer { rest = rest[(end + 1)...] }
            lineNumber += 1
            return rest[..<end]
        }
        guard let first = line(), first.elementsEqual(Self.firstLine.utf8) else {
            throw .firstLine
        }
        var next = line()
        if let field = next?.value(of: "extra ") {
            guard let bytes = Base64.decoded(field) else { throw .extra }
            extra = bytes
            next = line()
        }
        guard let field = next?.value(of: "index "), let index = UInt64(canonical: field) else {
            throw .index
        }
        self.index = index
        path = []
        while true {
            guard let text = line() else { throw .checkpoint }
            if text.isEmpty { break }
            guard let hash = Base64.digest(text), path.count < Self.pathMax else {
                throw .hash(line: lineNumber)
            }
            path.append(hash)
        }
        guard !rest.isEmpty else { throw .checkpoint }
        checkpoint = Array(rest)
    }

    package var bytes: [UInt8] {
        var text = Self.firstLine + "\n"
        if let extra { text += "extra \(Base64.encoded(extra))\n" }
        text += "index \(index)\n"
        for hash in path { text += hash.base64 + "\n" }
        return Array((text + "\n").utf8) + checkpoint
    }
}

extension ArraySlice<UInt8> {
    /// What follows a word at the start of the line; nil if the line begins differently.
    fileprivate func value(of word: String) -> ArraySlice<UInt8>? {
        starts(with: word.utf8) ? dropFirst(word.utf8.count) : nil
    }
}
