package import LedgerFormat

/// Turns packet content into *terms*: 48-bit numbers that stand for a path with a scalar, or for a
/// fact about a whole packet. Equal content has equal terms. Different content has the same term
/// about once in 2⁴⁸, so a term only finds candidates.
///
/// The key is random for each index, so nobody who writes packets can construct terms that collide.
package struct TermKey: Hashable, Sendable {
    package let first: UInt64
    package let second: UInt64

    package static let termBits: UInt64 = 48

    /// Path hashes every query needs, precomputed.
    let paths: Paths

    struct Paths: Hashable, Sendable {
        var parents: UInt64 = 0
        var parentID: UInt64 = 0
        var parentHash: UInt64 = 0
        var parentEntity: UInt64 = 0
        var trace: UInt64 = 0
        var parentRelation: UInt64 = 0
        /// Terms of the relations that amend a packet.
        var amending: [UInt64] = []
        /// Votes, in both forms of a decision chain.
        var votes = FewHashes([])
        /// Name of the member that says which question a chain decides.
        var decisionKeyMember: UInt64 = 0
        /// Names of the members of a vote that name an option.
        var optionMembers = FewHashes([])
        /// Names of the members whose strings are texts.
        var textMembers = FewHashes([])
    }

    package init(first: UInt64, second: UInt64) {
        let bare = TermKey(bareFirst: first, second | 1)
        var paths = Paths()
        paths.parents = bare.path(.lineage, "_meta_parents")
        paths.parentID = bare.path(.lineage, "_meta_parents", "stardust_id")
        paths.parentHash = bare.path(.lineage, "_meta_parents", "packet_hash")
        paths.parentEntity = bare.path(.lineage, "_meta_parents", "entity_id")
        paths.trace = bare.path(.lineage, "trace_id")
        paths.parentRelation = bare.path(.lineage, "_meta_parents", "relation")
        paths.amending = ["retracts", "supersedes", "revision_of"].map { (name: String) in
            bare.term(paths.parentRelation, bare.text(Array(name.utf8).span))
        }
        paths.votes = FewHashes([
            bare.path(.decisionChain, "votes"), bare.path(.decisionChain, "nodes", "votes"),
        ])
        paths.decisionKeyMember = bare.text(Array("decision_key".utf8).span)
        paths.optionMembers = FewHashes(
            ["option", "vote"].map { bare.text(Array($0.utf8).span) })
        paths.textMembers = FewHashes(
            Words.textMembers.map { bare.text(Array($0.utf8).span) })
        (self.first, self.second, self.paths) = (bare.first, bare.second, paths)
    }

    private init(bareFirst first: UInt64, _ second: UInt64) {
        (self.first, self.second, paths) = (first, second, Paths())
    }

    package static func random() -> TermKey {
        var generator = SystemRandomNumberGenerator()
        return TermKey(first: generator.next(), second: generator.next())
    }

    // MARK: Paths

    /// The start of a path, or a fact about a packet as a whole.
    package enum Root: UInt64, Sendable {
        case lineage = 1
        case decisionChain, entityType, entityID, entity, payload, amendment, unindexed, word, voter
        case votedOption, decisionKey
    }

    @inline(__always)
    package func path(_ root: Root) -> UInt64 { mix(root.rawValue &* 0xA076_1D64_78BD_642F, first) }

    /// The path extended by one member. Arrays add nothing to a path.
    @inline(__always)
    func path(_ parent: UInt64, member name: UInt64) -> UInt64 { mix(parent, name) }

    private func path(_ root: Root, _ names: StaticString...) -> UInt64 {
        names.reduce(path(root)) { parent, name in
            let bytes = (0..<name.utf8CodeUnitCount).map { name.byte(at: $0) }
            return path(parent, member: text(bytes.span))
        }
    }

    @inline(__always)
    func term(_ path: UInt64, _ scalar: UInt64) -> UInt64 {
        mix(path, scalar) >> (64 - Self.termBits)
    }

    // MARK: Scalars

    private enum Tag {
        static let string: UInt64 = 0xE703_7ED1_A0B4_28DB
        static let id: UInt64 = 0x8EBC_6AF0_9C88_C6E3
        static let number: UInt64 = 0x5899_65CC_7537_4CC3
        static let literal: UInt64 = 0x1D8E_4E27_C47D_124F
        static let word: UInt64 = 0x94D0_49BB_1331_11EB
    }

    @inline(__always)
    private func mix(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = (left ^ first).multipliedFullWidth(by: right ^ second)
        return product.high ^ product.low
    }

    /// The scalar of a text; also used for member names.
    @inline(__always)
    func text(_ text: Span<UInt8>) -> UInt64 { self.text(text, 0..<text.count) }

    @inline(__always)
    func text(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64 {
        let (count, end) = (range.count, range.upperBound)
        var hash = Tag.string ^ UInt64(count)
        guard count > 8 else {
            return mix(hash, ShortText.word(bytes, range.lowerBound, count))
        }
        var index = range.lowerBound
        while index + 8 < end {
            hash = mix(hash, bytes.littleEndian(UInt64.self, at: index))
            index += 8
        }
        // The last eight bytes may overlap earlier ones; the length in the hash tells them apart.
        return mix(hash, bytes.littleEndian(UInt64.self, at: end - 8))
    }

    /// A UUID in any spelling: with dashes as in ids, or as 32 digits as in trace ids.
    @inline(__always)
    func id(_ id: UUID128) -> UInt64 { mix(mix(Tag.id, id.high), id.low) }

    /// A number by its value, however it is written.
    @inline(__always)
    func number(_ text: Span<UInt8>) -> UInt64 {
        var mantissa: UInt64 = 0
        var (digits, exponent, index) = (0, 0, 0)
        let isNegative = text[0] == UInt8(ascii: "-")
        if isNegative { index = 1 }
        var isFraction = false
        while index < text.count {
            let digit = text[index] &- UInt8(ascii: "0")
            if digit < 10 {
                mantissa = mantissa &* 10 &+ UInt64(digit)
                if mantissa != 0 { digits += 1 }
                if isFraction { exponent -= 1 }
            } else if text[index] == UInt8(ascii: ".") {
                isFraction = true
            } else {
                return longNumber(text)
            }
            index += 1
        }
        guard digits <= Self.shortDigits else { return longNumber(text) }
        return number(mantissa, exponent, isNegative)
    }

    /// Any number with this many digits fits in a word.
    private static let shortDigits = 18

    private func number(_ mantissa: UInt64, _ exponent: Int, _ isNegative: Bool) -> UInt64 {
        guard mantissa != 0 else { return mix(Tag.number, 0) }
        var (mantissa, exponent) = (mantissa, exponent)
        while mantissa.isMultiple(of: 10) {
            mantissa /= 10
            exponent += 1
        }
        let scale = UInt64(truncatingIfNeeded: exponent) << 1 | (isNegative ? 1 : 0)
        return mix(mix(Tag.number, mantissa), scale)
    }

    private func longNumber(_ text: Span<UInt8>) -> UInt64 {
        let decimal = JSONDecimal(text)
        if decimal.digits.count <= Self.shortDigits {
            let mantissa = decimal.digits.reduce(UInt64(0)) {
                $0 &* 10 &+ UInt64($1 &- UInt8(ascii: "0"))
            }
            return number(mantissa, decimal.exponent, decimal.isNegative)
        }
        let canonical = decimal.canonicalText
        return mix(Tag.number, self.text(canonical.span))
    }

    /// The hash of a word, byte by byte.
    struct WordHash {
        private var hash = Tag.word
        private var chunk: UInt64 = 0
        private(set) var count: UInt64 = 0

        @inline(__always)
        mutating func add(_ byte: UInt8, _ key: borrowing TermKey) {
            chunk |= UInt64(byte) << (count & 7 * 8)
            count += 1
            guard count & 7 == 0 else { return }
            hash = key.mix(hash, chunk)
            chunk = 0
        }

        @inline(__always)
        func value(_ key: borrowing TermKey) -> UInt64 { key.mix(hash ^ count, chunk) }
    }

    /// true, false or null, by its first letter.
    @inline(__always)
    func literal(_ letter: UInt8) -> UInt64 { mix(Tag.literal, UInt64(letter)) }
}

/// A few hashes among which most others are not: one bit tells, nearly always.
struct FewHashes: Hashable, Sendable {
    private let bits: UInt64
    private let all: [UInt64]

    init(_ all: [UInt64]) {
        self.all = all
        bits = all.reduce(0) { $0 | 1 << ($1 & 63) }
    }

    @inline(__always)
    func contains(_ hash: UInt64) -> Bool {
        bits >> (hash & 63) & 1 == 1 && all.contains(hash)
    }
}

// MARK: Facts of a packet

extension TermKey {
    package func entity(_ type: String, _ id: UUID128) -> UInt64 {
        let name = Array(type.utf8)
        return entity(type: text(name.span), id: self.id(id))
    }

    @inline(__always)
    func entity(type: UInt64, id: UInt64) -> UInt64 { term(path(.entity) ^ type, id) }

    package func entityType(_ type: String) -> UInt64 {
        let name = Array(type.utf8)
        return term(path(.entityType), text(name.span))
    }

    package func entityID(_ id: UUID128) -> UInt64 { term(path(.entityID), self.id(id)) }

    /// Packets whose payload has this digest.
    package func payload(_ digest: Digest) -> UInt64 {
        let bytes = digest.bytes
        return term(path(.payload), text(bytes.span))
    }

    package func trace(_ id: UUID128) -> UInt64 {
        term(paths.trace, self.id(id))
    }

    /// Packets with a word in one of their texts; `word` is as `Words.folded` has it.
    package func word(_ word: Span<UInt8>) -> UInt64 {
        var hash = WordHash()
        for index in word.indices { hash.add(word[index], self) }
        return term(path(.word), hash.value(self))
    }

    /// Packets in whose reasoning somebody of this name votes.
    package func voter(_ name: String) -> UInt64 {
        let name = Array(name.utf8)
        return term(path(.voter), text(name.span))
    }

    /// Packets in whose reasoning somebody votes for an option of this name.
    package func votedOption(_ name: String) -> UInt64 {
        let name = Array(name.utf8)
        return term(path(.votedOption), string(name.span))
    }

    /// A string's scalar. A UUID is represented by its 16 bytes, so every spelling is found.
    @inline(__always)
    func string(_ text: Span<UInt8>) -> UInt64 {
        UUID128(anyText: text).map(id) ?? self.text(text)
    }

    /// Packets that cannot be read and so have no other term.
    package var unindexed: UInt64 { term(path(.unindexed), 0) }

    /// Packets with a parent reference that names this, as a bare id or by a member.
    package func parent(_ reference: ParentKey) -> [UInt64] {
        switch reference {
        case .id(let id):
            [
                term(paths.parents, self.id(id)),
                term(paths.parentID, self.id(id)),
            ]
        case .hash(let digest):
            [
                term(paths.parentHash, text(Array(digest.tagged.utf8).span))
            ]
        case .entity(let id):
            [term(paths.parentEntity, self.id(id))]
        }
    }

    /// Packets that retract another.
    package var retraction: UInt64 { paths.amending[0] }

    /// Packets that retract, supersede or revise any others: a term for each of these.
    package var amendments: [UInt64] { paths.amending }

    /// Packets that say which question they decide.
    package var decisionKey: UInt64 { term(path(.decisionKey), 0) }

    /// Packets that retract, supersede or revise what a reference names. Uses the term by member: a
    /// bare id states no relation.
    package func amendment(_ reference: ParentKey) -> UInt64 {
        amendment(of: parent(reference).last!)
    }

    @inline(__always)
    func amendment(of term: UInt64) -> UInt64 { self.term(path(.amendment), term) }
}

/// The ways a parent reference can name a packet.
package enum ParentKey: Hashable, Sendable {
    case id(UUID128)
    case hash(Digest)
    case entity(UUID128)
}
