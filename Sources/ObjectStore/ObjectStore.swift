package import LedgerFormat

/// A place for objects, outside this machine or on another disk. An object is written once under
/// its name; nothing here changes or deletes one. Any thread may make any call.
package protocol ObjectStore: Sendable {
    /// The store's URL, for messages; without secrets.
    var name: String { get }

    /// Writes an object unless there is one of its name. On return it is durable, as far as the
    /// store keeps its word.
    func put(
        _ key: String, _ body: ObjectBody, _ patience: Patience
    ) throws(StoreFailure) -> PutOutcome

    /// Passes an object's bytes on in order: all, or those of a range that lies within it. Of a
    /// versioned object, the current version or the one that is named.
    func get(
        _ key: String, _ range: Range<Int>?, version: String?, _ patience: Patience,
        _ take: (Span<UInt8>) throws(StoreFailure) -> Void
    ) throws(StoreFailure)

    /// Size of an object; nil if there is none.
    func size(of key: String, _ patience: Patience) throws(StoreFailure) -> Int?

    /// Every object whose name begins with `prefix`, by the bytes of their names.
    func list(_ prefix: String, _ patience: Patience) throws(StoreFailure) -> [StoredObject]

    /// Objects whose names a deletion hides, though the store still has them; none where it keeps no
    /// versions. Sizes are those of the newest version.
    func hidden(_ prefix: String, _ patience: Patience) throws(StoreFailure) -> [StoredObject]

    /// Versions of one object, the newest first; only the current one where the store keeps none.
    func versions(of key: String, _ patience: Patience) throws(StoreFailure) -> [ObjectVersion]

    /// Tries what the store must refuse, and says whether it was allowed; nil where this kind of
    /// store has no such rule.
    func allows(
        _ misuse: StoreMisuse, of key: String, _ patience: Patience
    ) throws(StoreFailure) -> Bool?
}

/// What nobody may do to an archive. Only `StoreProbe` tries it, on objects of its own.
package enum StoreMisuse: Sendable {
    /// Writing a new object with a checksum that is not its bytes'.
    case wrongChecksum
    /// Writing a new object with a wrong secret.
    case wrongSecret
    /// Deleting an object: that version for good, or by hiding it.
    case deletion(version: String?)
}

package enum PutOutcome: Hashable, Sendable {
    case created
    /// There is an object of the name. Its bytes may differ.
    case exists
}

package struct StoredObject: Hashable, Sendable {
    package var key: String
    package var bytes: Int

    package init(key: String, bytes: Int) { (self.key, self.bytes) = (key, bytes) }
}

package struct ObjectVersion: Hashable, Sendable {
    package var version: String?
    package var bytes: Int

    package init(version: String?, bytes: Int) { (self.version, self.bytes) = (version, bytes) }
}

/// What becomes an object: bytes that can be read more than once, because a request may have to be
/// repeated.
package struct ObjectBody: Sendable {
    package let count: Int
    /// SHA-256 of all bytes, which is signed and sent.
    package let digest: Digest
    let read: Read

    /// Fills the array from an offset on. Returns how many bytes it filled: all, unless the body ends.
    package typealias Read =
        @Sendable (_ bytes: inout [UInt8], _ offset: Int) throws(StoreFailure) -> Int

    /// Reads the body once, for its digest.
    package init(count: Int, _ read: @escaping Read) throws(StoreFailure) {
        (self.count, self.read) = (count, read)
        var hasher = SHA256Hasher()
        try Self.forEachPiece(of: count, read) { hasher.update($0) }
        digest = hasher.finish()
    }

    /// Another digest, for stores that know no better checksum, from one more reading; nil where the system
    /// forbids it.
    func md5() throws(StoreFailure) -> [UInt8]? {
        var hasher = MD5Hasher()
        try Self.forEachPiece(of: count, read) { hasher.update($0) }
        return hasher.finish()
    }

    private static func forEachPiece(
        of count: Int, _ read: Read, _ take: (Span<UInt8>) -> Void
    ) throws(StoreFailure) {
        var piece = [UInt8](repeating: 0, count: min(max(count, 1), StoreLimits.pieceBytes))
        var offset = 0
        while offset < count {
            let found = min(try read(&piece, offset), count - offset)
            guard found > 0 else {
                throw StoreFailure(
                    .source, "", "what was to be stored ends after \(offset) of \(count) bytes")
            }
            take(piece.span.extracting(0..<found))
            offset += found
        }
    }

    /// Fills the array from an offset on. Returns how many bytes it filled.
    package func bytes(_ bytes: inout [UInt8], _ offset: Int) throws(StoreFailure) -> Int {
        try read(&bytes, offset)
    }

    package init(_ bytes: [UInt8]) {
        count = bytes.count
        digest = .sha256(bytes)
        read = { (piece: inout [UInt8], offset: Int) throws(StoreFailure) in
            let found = min(piece.count, bytes.count - offset)
            if found > 0 { piece.replaceSubrange(0..<found, with: bytes[offset..<offset + found]) }
            return max(found, 0)
        }
    }
}

extension ObjectStore {
    /// The bytes of an object that is known to be small.
    package func bytes(
        of key: String, atMost limit: Int, version: String? = nil, _ patience: Patience
    ) throws(StoreFailure) -> [UInt8] {
        var result: [UInt8] = []
        try get(key, nil, version: version, patience) { (piece) throws(StoreFailure) in
            guard result.count + piece.count <= limit else {
                throw StoreFailure(.damaged, key, "it has more than \(limit) bytes")
            }
            result.append(piece)
        }
        return result
    }
}

extension [UInt8] {
    mutating func append(_ bytes: Span<UInt8>) {
        reserveCapacity(count + bytes.count)
        for index in bytes.indices { append(bytes[index]) }
    }
}

/// How long to try again what may pass.
package struct Patience: Sendable {
    /// How long to go on with one request; nil for ever.
    package var time: Duration?
    /// Whether this process is about to end.
    package var isOver: @Sendable () -> Bool
    /// Told of each failure that is tried again.
    package var note: @Sendable (StoreFailure) -> Void

    package init(
        _ time: Duration?,
        isOver: @escaping @Sendable () -> Bool = { false },
        note: @escaping @Sendable (StoreFailure) -> Void = { _ in }
    ) {
        (self.time, self.isOver, self.note) = (time, isOver, note)
    }

    /// For commands that a person waits for.
    package static let ofCommand = Patience(StoreLimits.commandPatience)
}

/// Why a store did not do what it was asked.
package struct StoreFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package var kind: Kind
    /// The object, with the store's URL before it; "" if none is concerned.
    package var object: String
    package var detail: String

    package enum Kind: Hashable, Sendable {
        /// It may pass: the network, a store that is overloaded.
        case unreachable
        /// Somebody has to change something: credentials, rights, bucket, region, certificates.
        case refused
        /// There is no such object.
        case missing
        /// An answer, or a stored object, is not what it must be.
        case damaged
        /// What was to be stored could not be read.
        case source
        /// This process is about to end.
        case stopped
    }

    package init(_ kind: Kind, _ object: String, _ detail: String) {
        (self.kind, self.object, self.detail) = (kind, object, detail)
    }

    package var description: String { object.isEmpty ? detail : "\(object): \(detail)" }
}

/// Limits of a store's client, each with its reason.
package enum StoreLimits {
    /// Bytes that are read, hashed or sent at once.
    static let pieceBytes = 256 << 10
    /// Answers other than objects are kept in memory: a page of a listing has at most 1,000 names.
    static let answerBytes = 8 << 20
    /// No document of a store nests its elements deeper.
    static let elementDepth = 16
    /// How long a command goes on with a request that may pass.
    static let commandPatience = Duration.seconds(60)
    static let connectTime = Duration.seconds(10)
    /// A store that says nothing for so long is asked again.
    package static let silence = Duration.seconds(30)
    static let firstPause = Duration.milliseconds(100)
    static let longestPause = Duration.seconds(20)
    /// Credentials are renewed so long before they expire.
    static let renewal = Duration.seconds(300)
}
