/// What the ledger commits to for one packet: a fixed-size record that only the daemon writes.
/// `ledger-format.md`, section "Entry", describes its bytes.
///
/// Invariants of every entry in a sound ledger:
///  1. `position` is the entry's own position. `previous` is the hash of the entry before.
///  2. `receivedAt` is never earlier than that of the entry before.
///  3. `payloadBytes` and `payloadDigest` are those of the payload stored with the entry.
///  4. `stardustID` is the payload's own unless `.idAssigned` is set. `createdAt` is the payload's
///     own unless `.createdAtAssigned` is set; then it equals `receivedAt`.
package struct Entry: Hashable, Sendable {
    package static let byteCount = 160
    package static let formatVersion: UInt16 = 1

    package var formatVersion: UInt16 = Self.formatVersion
    package var kind: Kind
    package var flags: Flags
    package var position: Position
    package var receivedAt: Timestamp
    package var stardustID: UUID128
    package var createdAt: Timestamp
    /// The process connected to the socket, as the kernel reported it.
    package var peer: Peer
    package var payloadBytes: UInt64
    package var payloadDigest: Digest
    package var previous: Digest

    package init(
        kind: Kind, flags: Flags, position: Position, receivedAt: Timestamp, stardustID: UUID128,
        createdAt: Timestamp, peer: Peer, payloadBytes: UInt64, payloadDigest: Digest,
        previous: Digest
    ) {
        self.kind = kind
        self.flags = flags
        self.position = position
        self.receivedAt = receivedAt
        self.stardustID = stardustID
        self.createdAt = createdAt
        self.peer = peer
        self.payloadBytes = payloadBytes
        self.payloadDigest = payloadDigest
        self.previous = previous
    }

    /// What an entry records. Other values are reserved.
    package struct Kind: RawRepresentable, Hashable, Sendable {
        package var rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }

        package static let packet = Kind(rawValue: 0)
        /// The ledger's key changes: the payload is a `KeyRotation`.
        package static let keyRotation = Kind(rawValue: 1)
        /// Another machine writes the ledger from here on: the payload is an `EpochNote`.
        package static let epoch = Kind(rawValue: 3)
    }

    package struct Flags: OptionSet, Hashable, Sendable {
        package var rawValue: UInt32
        package init(rawValue: UInt32) { self.rawValue = rawValue }

        /// The packet came without a stardust_id.
        package static let idAssigned = Flags(rawValue: 1 << 0)
        /// The packet came without a created_at.
        package static let createdAtAssigned = Flags(rawValue: 1 << 1)
        /// The clock was behind the previous entry's time, which was used instead.
        package static let clockHeldBack = Flags(rawValue: 1 << 2)
        package static let known: Flags = [.idAssigned, .createdAtAssigned, .clockHeldBack]
    }

    /// A process's user and group, as the kernel reports them.
    package struct Peer: Hashable, Sendable {
        package var uid: UInt32
        package var gid: UInt32

        package init(uid: UInt32, gid: UInt32) {
            self.uid = uid
            self.gid = gid
        }
    }
}

extension Entry {
    // Offsets of the fields, in the order of ledger-format.md.
    private enum Field {
        static let formatVersion = 0
        static let kind = 2
        static let flags = 4
        static let position = 8
        static let receivedAt = 16
        static let stardustID = 24
        static let createdAt = 40
        static let uid = 48
        static let gid = 52
        static let payloadBytes = 56
        static let payloadDigest = 64
        static let reserved = 96
        static let previous = 128
    }

    /// Why 160 bytes are not an entry of this format.
    package enum DecodeError: Error, Hashable, CustomStringConvertible {
        case formatVersion(UInt16)
        case reservedFlags(UInt32)
        case reservedBytes

        package var description: String {
            switch self {
            case .formatVersion(let found):
                "cannot judge: the entry has format version \(found), and this program knows "
                    + "\(Entry.formatVersion)"
            case .reservedFlags(let bits):
                "cannot judge: flags that this program does not know: \(bits)"
            case .reservedBytes: "cannot judge: the 32 reserved bytes of the entry are not zero"
            }
        }
    }

    /// Reads the 160 bytes at `offset`. The caller has checked the bounds.
    package init(_ bytes: Span<UInt8>, at offset: Int) throws(DecodeError) {
        self.init(unchecked: bytes, at: offset)
        guard formatVersion == Self.formatVersion else { throw .formatVersion(formatVersion) }
        guard Flags.known.isSuperset(of: flags) else { throw .reservedFlags(flags.rawValue) }
        guard Digest(bytes, at: offset + Field.reserved) == .zero else { throw .reservedBytes }
    }

    private init(unchecked bytes: Span<UInt8>, at offset: Int) {
        formatVersion = bytes.littleEndian(at: offset + Field.formatVersion)
        kind = Kind(rawValue: bytes.littleEndian(at: offset + Field.kind))
        flags = Flags(rawValue: bytes.littleEndian(at: offset + Field.flags))
        position = Position(bytes.littleEndian(at: offset + Field.position))
        receivedAt = Timestamp(microseconds: bytes.littleEndian(at: offset + Field.receivedAt))
        stardustID = UUID128(bytes, at: offset + Field.stardustID)
        createdAt = Timestamp(microseconds: bytes.littleEndian(at: offset + Field.createdAt))
        peer = Peer(
            uid: bytes.littleEndian(at: offset + Field.uid),
            gid: bytes.littleEndian(at: offset + Field.gid))
        payloadBytes = bytes.littleEndian(at: offset + Field.payloadBytes)
        payloadDigest = Digest(bytes, at: offset + Field.payloadDigest)
        previous = Digest(bytes, at: offset + Field.previous)
    }

    /// Writes the entry's 160 bytes at `offset`. The buffer must have room for them.
    package func store(in bytes: inout MutableSpan<UInt8>, at offset: Int) {
        bytes.store(formatVersion, at: offset + Field.formatVersion)
        bytes.store(kind.rawValue, at: offset + Field.kind)
        bytes.store(flags.rawValue, at: offset + Field.flags)
        bytes.store(position.value, at: offset + Field.position)
        bytes.store(receivedAt.microseconds, at: offset + Field.receivedAt)
        stardustID.store(in: &bytes, at: offset + Field.stardustID)
        bytes.store(createdAt.microseconds, at: offset + Field.createdAt)
        bytes.store(peer.uid, at: offset + Field.uid)
        bytes.store(peer.gid, at: offset + Field.gid)
        bytes.store(payloadBytes, at: offset + Field.payloadBytes)
        payloadDigest.store(in: &bytes, at: offset + Field.payloadDigest)
        Digest.zero.store(in: &bytes, at: offset + Field.reserved)
        previous.store(in: &bytes, at: offset + Field.previous)
    }

    package var bytes: [UInt8] {
        var result = [UInt8](repeating: 0, count: Self.byteCount)
        var span = result.mutableSpan
        store(in: &span, at: 0)
        return result
    }
}
