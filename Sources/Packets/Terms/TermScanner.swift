internal import CPlatform
package import LedgerFormat

/// Reads the terms of a payload in one pass, without a token array. The payload was admitted
/// before, so nothing is validated here. Bytes that are not a packet after all yield no terms of
/// their own and do no harm.
package struct TermScanner: ~Copyable {
    package let key: TermKey
    /// Terms of the last scanned payload. A term may occur more than once.
    package private(set) var terms: [UInt64] = []
    /// Whether it names a parent without an id: by hash, or as the newest packet of an entity.
    package private(set) var namesParentsByHash = false
    package private(set) var namesParentsByEntity = false

    // Paths known in advance.
    private let lineage: UInt64
    private let decisionChain: UInt64
    private let parents: UInt64
    private let word: UInt64
    private let voter: UInt64
    private let votedOption: UInt64

    /// Terms of the parent reference being read, by member.
    private var reference = Reference()
    /// Whether a pattern is being scanned. A pattern may state only part of a reference, so it has
    /// no terms for whole references.
    private var isPattern = false
    /// Whether the strings being read are texts.
    private var isWithinText = false
    /// What of a vote is being read.
    private var vote = VotePart.none

    private enum VotePart {
        case none
        /// A voter's value: an option's name, a number, or an object.
        case value
        /// A member that names an option.
        case option
    }

    private struct Reference {
        var id: UInt64?
        var hash: UInt64?
        var entity: UInt64?
        var isAmendment = false
    }

    package init(key: TermKey) {
        self.key = key
        lineage = key.path(.lineage)
        decisionChain = key.path(.decisionChain)
        parents = key.paths.parents
        (word, voter) = (key.path(.word), key.path(.voter))
        votedOption = key.path(.votedOption)
    }

    // MARK: Scanning

    /// Reads the terms of a packet and of its payload's digest. False if the packet cannot be read;
    /// then its only term is the one for unreadable packets.
    package mutating func scan(_ payload: Span<UInt8>, digest: Digest) -> Bool {
        begin()
        var index = 0
        guard packet(payload, &index) else {
            terms = [key.unindexed]
            return false
        }
        terms.append(key.payload(digest))
        return true
    }

    /// Clears the terms: an entry that is not a packet has none.
    package mutating func scanNothing() { begin() }

    /// The terms that a document must have to contain `pattern`, which has already been parsed.
    package mutating func pattern(_ pattern: Span<UInt8>, in root: TermKey.Root) -> [UInt64] {
        begin()
        isPattern = true
        defer { isPattern = false }
        var index = 0
        skipSpace(pattern, &index)
        // Cannot fail: the pattern was parsed before.
        _ = value(pattern, &index, path: key.path(root), depth: 0)
        return Set(terms).sorted()
    }

    private mutating func begin() {
        terms.removeAll(keepingCapacity: true)
        namesParentsByHash = false
        namesParentsByEntity = false
        isWithinText = false
        vote = .none
    }

    private mutating func packet(_ bytes: Span<UInt8>, _ index: inout Int) -> Bool {
        guard take(UInt8(ascii: "{"), bytes, &index) else { return false }
        var (type, id): (UInt64?, UInt64?) = (nil, nil)
        repeat {
            guard let name = string(bytes, &index), take(UInt8(ascii: ":"), bytes, &index) else {
                return false
            }
            switch PacketMember(name.text(bytes)) {
            case .entityType:
                guard let value = string(bytes, &index) else { return false }
                type = textHash(value, bytes)
            case .entityID:
                guard let value = string(bytes, &index) else { return false }
                id = stringHash(value, bytes)
            case .lineage:
                guard value(bytes, &index, path: lineage, depth: 1) else { return false }
            case .decisionChain:
                let count = terms.count
                let isNull = index < bytes.count && bytes[index] == UInt8(ascii: "n")
                guard value(bytes, &index, path: decisionChain, depth: 1) else { return false }
                // This null is SQL's NULL, not JSON's, so it has no term.
                if isNull { terms.removeLast(terms.count - count) }
            case nil:
                let count = terms.count
                guard value(bytes, &index, path: 0, depth: 1) else { return false }
                terms.removeLast(terms.count - count)
            }
            skipSpace(bytes, &index)
        } while take(UInt8(ascii: ","), bytes, &index)
        guard let type, let id, index < bytes.count, bytes[index] == UInt8(ascii: "}") else {
            return false
        }
        terms.append(key.entity(type: type, id: id))
        terms.append(key.term(key.path(.entityType), type))
        terms.append(key.term(key.path(.entityID), id))
        return true
    }

    /// Adds the terms of the value at `index` and steps over it.
    private mutating func value(
        _ bytes: Span<UInt8>, _ index: inout Int, path: UInt64, depth: Int
    ) -> Bool {
        guard index < bytes.count, depth <= PacketLimits.depthMax + 1 else { return false }
        switch bytes[index] {
        case UInt8(ascii: "\""):
            guard let text = string(bytes, &index) else { return false }
            add(path, stringHash(text, bytes))
            if isWithinText { addWords(text, bytes) }
            if vote != .none { add(votedOption, stringHash(text, bytes)) }
        case UInt8(ascii: "{"): return object(bytes, &index, path: path, depth: depth)
        case UInt8(ascii: "["): return array(bytes, &index, path: path, depth: depth)
        case let first where first == UInt8(ascii: "-") || first &- UInt8(ascii: "0") < 10:
            let start = index
            index += 1
            while index < bytes.count, Self.isOfNumber(bytes[index]) { index += 1 }
            add(path, key.number(bytes.extracting(start..<index)))
        case UInt8(ascii: "t"), UInt8(ascii: "f"), UInt8(ascii: "n"):
            add(path, key.literal(bytes[index]))
            while index < bytes.count, bytes[index] &- UInt8(ascii: "a") < 26 { index += 1 }
        default: return false
        }
        return true
    }

    private mutating func object(
        _ bytes: Span<UInt8>, _ index: inout Int, path: UInt64, depth: Int
    ) -> Bool {
        if path == parents { reference = Reference() }
        let areVotes = !isPattern && key.paths.votes.contains(path)
        let isVote = vote == .value
        defer { vote = .none }
        index += 1
        skipSpace(bytes, &index)
        if take(UInt8(ascii: "}"), bytes, &index) { return true }
        repeat {
            guard let name = string(bytes, &index), take(UInt8(ascii: ":"), bytes, &index) else {
                return false
            }
            let hash = textHash(name, bytes)
            let member = key.path(path, member: hash)
            if areVotes { terms.append(key.term(voter, hash)) }
            if path == decisionChain, hash == key.paths.decisionKeyMember, !isPattern {
                terms.append(key.decisionKey)
            }
            vote =
                areVotes
                ? .value : isVote && key.paths.optionMembers.contains(hash) ? .option : .none
            let wasWithinText = isWithinText
            isWithinText = wasWithinText || (!isPattern && key.paths.textMembers.contains(hash))
            guard value(bytes, &index, path: member, depth: depth + 1) else { return false }
            isWithinText = wasWithinText
            if path == parents { note(member) }
            skipSpace(bytes, &index)
        } while take(UInt8(ascii: ","), bytes, &index)
        guard index < bytes.count, bytes[index] == UInt8(ascii: "}") else { return false }
        index += 1
        if path == parents { endReference() }
        return true
    }

    private mutating func array(
        _ bytes: Span<UInt8>, _ index: inout Int, path: UInt64, depth: Int
    ) -> Bool {
        vote = .none
        index += 1
        skipSpace(bytes, &index)
        if index < bytes.count, bytes[index] == UInt8(ascii: "]") {
            index += 1
            return true
        }
        repeat {
            guard value(bytes, &index, path: path, depth: depth + 1) else { return false }
            skipSpace(bytes, &index)
        } while take(UInt8(ascii: ","), bytes, &index)
        guard index < bytes.count, bytes[index] == UInt8(ascii: "]") else { return false }
        index += 1
        return true
    }

    @inline(__always)
    private mutating func add(_ path: UInt64, _ scalar: UInt64) {
        terms.append(key.term(path, scalar))
    }

    // MARK: Parent references

    /// Records the term of the reference's member that was just read.
    private mutating func note(_ member: UInt64) {
        guard let term = terms.last else { return }
        if member == key.paths.parentID { reference.id = term }
        if member == key.paths.parentHash { reference.hash = term }
        if member == key.paths.parentEntity { reference.entity = term }
        if member == key.paths.parentRelation {
            reference.isAmendment = key.paths.amending.contains(term)
        }
    }

    private mutating func endReference() {
        defer { reference = Reference() }
        if reference.id == nil {
            if reference.hash != nil {
                namesParentsByHash = true
            } else if reference.entity != nil {
                namesParentsByEntity = true
            }
        }
        guard reference.isAmendment, !isPattern,
            let named = reference.id ?? reference.hash ?? reference.entity
        else { return }
        terms.append(key.amendment(of: named))
    }

    // MARK: Text

    private struct Text {
        var range: Range<Int>
        var isEscaped: Bool

        /// Nil if it is longer than the names that matter.
        @inline(__always)
        func text(_ bytes: Span<UInt8>) -> ShortText? {
            isEscaped
                ? ShortText(bytes.text(token).span, 0..<bytes.text(token).count)
                : ShortText(bytes, range)
        }

        var token: JSONToken {
            JSONToken(
                kind: .string, isEscaped: isEscaped, start: UInt32(range.lowerBound),
                end: UInt32(range.upperBound), next: 0)
        }
    }

    /// Skips white space, then reads the string at `index` and steps over it. Nil if there is none.
    @inline(__always)
    private func string(_ bytes: Span<UInt8>, _ index: inout Int) -> Text? {
        skipSpace(bytes, &index)
        guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { return nil }
        index += 1
        let start = index
        var isEscaped = false
        while true {
            // Safety: only bytes between `index` and the end of the borrowed bytes are read.
            index += unsafe bytes.withUnsafeBufferPointer {
                unsafe stardust_unescaped_prefix($0.baseAddress! + index, $0.count - index)
            }
            guard index < bytes.count else { return nil }
            if bytes[index] == UInt8(ascii: "\"") { break }
            isEscaped = true
            do throws(JSONError) { index = try JSONText.afterEscape(bytes, at: index) } catch {
                return nil
            }
        }
        defer { index += 1 }
        return Text(range: start..<index, isEscaped: isEscaped)
    }

    @inline(__always)
    private func textHash(_ text: Text, _ bytes: Span<UInt8>) -> UInt64 {
        guard text.isEscaped else { return key.text(bytes, text.range) }
        return key.text(bytes.text(text.token).span)
    }

    /// A string's scalar. A UUID is represented by its 16 bytes, so every spelling is found.
    @inline(__always)
    private func stringHash(_ text: Text, _ bytes: Span<UInt8>) -> UInt64 {
        guard !text.isEscaped else {
            let resolved = bytes.text(text.token)
            return UUID128(anyText: resolved.span).map(key.id) ?? key.text(resolved.span)
        }
        if text.range.count == UUID128.textCount || text.range.count == UUID128.digitCount,
            let id = UUID128(anyText: bytes.extracting(text.range))
        {
            return key.id(id)
        }
        return key.text(bytes, text.range)
    }

    /// Adds the words of a text.
    private mutating func addWords(_ text: Text, _ bytes: Span<UInt8>) {
        if text.isEscaped {
            let resolved = bytes.text(text.token)
            addWords(resolved.span, 0..<resolved.count)
        } else {
            addWords(bytes, text.range)
        }
    }

    private mutating func addWords(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        var hash = TermKey.WordHash()
        Words.scan(bytes, range) { byte in
            hash.add(byte, key)
        } end: {
            guard hash.count > 0 else { return }
            terms.append(key.term(word, hash.value(key)))
            hash = TermKey.WordHash()
        }
    }

    // MARK: Bytes

    @inline(__always)
    private func skipSpace(_ bytes: Span<UInt8>, _ index: inout Int) {
        while index < bytes.count, JSONText.isSpace(bytes[index]) { index += 1 }
    }

    /// Steps over `byte` and the white space around it. False if another byte is next.
    @inline(__always)
    private func take(_ byte: UInt8, _ bytes: Span<UInt8>, _ index: inout Int) -> Bool {
        skipSpace(bytes, &index)
        guard index < bytes.count, bytes[index] == byte else { return false }
        index += 1
        skipSpace(bytes, &index)
        return true
    }

    @inline(__always)
    private static func isOfNumber(_ byte: UInt8) -> Bool {
        byte &- UInt8(ascii: "0") < 10 || byte == UInt8(ascii: ".") || byte | 0x20 == 0x65
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
    }
}

/// The members of a packet that terms are derived from.
private enum PacketMember {
    case entityType, entityID, lineage, decisionChain

    @inline(__always)
    init?(_ name: ShortText?) {
        switch name {
        case Self.entityTypeText: self = .entityType
        case Self.entityIDText: self = .entityID
        case Self.lineageText: self = .lineage
        case Self.decisionChainText: self = .decisionChain
        default: return nil
        }
    }

    private static let entityTypeText: ShortText? = ShortText("entity_type")
    private static let entityIDText: ShortText? = ShortText("entity_id")
    private static let lineageText: ShortText? = ShortText("lineage")
    private static let decisionChainText: ShortText? = ShortText("decision_chain")
}
