/// What a log commits to: its name, how many entries it has, and the root of the tree over them
/// (C2SP tlog-checkpoint). The text of a signed note.
package struct Checkpoint: Hashable, Sendable {
    package var origin: String
    package var size: LedgerSize
    package var root: Digest
    /// Lines after the first three. Stardust writes none.
    package var extensions: [String] = []

    package init(origin: String, size: LedgerSize, root: Digest) {
        self.origin = origin
        self.size = size
        self.root = root
    }

    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case lines
        case origin
        case size
        case root
        case rootOfNothing

        package var description: String {
            switch self {
            case .lines: "a checkpoint has three lines: origin, size and root"
            case .origin: "the checkpoint's first line is not a valid origin"
            case .size:
                "the checkpoint's second line is not a size: a decimal without leading zeros"
            case .root: "the checkpoint's third line is not a root: 32 bytes in base64"
            case .rootOfNothing: "the checkpoint has size 0 but not the root of the empty tree"
            }
        }
    }

    /// Reads a note's text.
    package init(text: [UInt8]) throws(DecodeError) {
        guard text.last == 0x0A else { throw .lines }
        let lines = text.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)
        guard lines.count >= 3, lines.dropFirst(3).allSatisfy({ !$0.isEmpty }) else {
            throw .lines
        }
        guard let origin = String(validating: lines[0], as: UTF8.self), NoteKeyName.isValid(origin)
        else { throw .origin }
        guard let size = UInt64(canonical: lines[1]) else { throw .size }
        guard let root = Base64.digest(lines[2]) else { throw .root }
        guard size > 0 || root == Merkle.emptyRoot else { throw .rootOfNothing }
        self.init(origin: origin, size: LedgerSize(size), root: root)
        extensions = lines.dropFirst(3).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether this checkpoint belongs to the log that the key names. Compared byte for byte:
    /// strings that only look the same are different origins.
    package func isOf(_ log: NoteVerifier) -> Bool { origin.utf8.elementsEqual(log.keyName.name) }

    package var text: [UInt8] {
        Array(([origin, "\(size)", root.base64] + extensions).map { $0 + "\n" }.joined().utf8)
    }
}

extension UInt64 {
    /// Reads decimal digits without sign, leading zeros or white space; nil for anything else.
    package init?(canonical digits: some Collection<UInt8>) {
        guard !digits.isEmpty, digits.count <= 20,
            digits.allSatisfy({ (0x30...0x39).contains($0) }),
            digits.count == 1 || digits.first != 0x30,
            let value = UInt64(String(decoding: digits, as: UTF8.self))
        else { return nil }
        self = value
    }
}
