internal import Glibc
internal import LedgerFormat
internal import Platform
internal import Synchronization

/// Tries whether a store keeps the promises that an archive rests on. It leaves a few objects of some
/// bytes below `probe/`, since it may not delete them.
package struct StoreProbe: Sendable {
    /// One promise and what became of it.
    package struct Finding: Hashable, Sendable {
        package var promise: String
        package var verdict: Verdict
        /// What to do; "" if it holds.
        package var advice: String
    }

    package enum Verdict: String, Sendable {
        case holds
        /// The archive is safe, but not as safe as it could be.
        case warning
        /// Nothing may be archived here.
        case fails
    }

    private let store: any ObjectStore
    private let patience: Patience
    private let isLocked: Bool
    private let prefix: String
    private var findings: [Finding] = []

    /// `isLocked` says that the settings ask for Object Lock.
    package init(_ store: any ObjectStore, isLocked: Bool, _ patience: Patience) {
        (self.store, self.isLocked, self.patience) = (store, isLocked, patience)
        let time = Timestamp.systemNow().description.prefix(19).filter { $0.isNumber }
        prefix = "probe/\(time)-\(String(UInt64.random(in: 0 ... .max), radix: 16))"
    }

    /// Tries everything; takes a few requests. Fails only if the store cannot be asked.
    package consuming func run() throws(StoreFailure) -> [Finding] {
        try writeOnce()
        try writeTogether()
        try readRanges()
        try misuse()
        return findings
    }

    private mutating func note(
        _ promise: String, _ holds: Bool, else verdict: Verdict = .fails, _ advice: String
    ) {
        findings.append(
            Finding(
                promise: promise, verdict: holds ? .holds : verdict, advice: holds ? "" : advice))
    }

    private mutating func writeOnce() throws(StoreFailure) {
        let key = "\(prefix)/once"
        let (first, second) = (Array("first".utf8), Array("other".utf8))
        // A lost answer makes it look as if it was there.
        _ = try store.put(key, ObjectBody(first), patience)
        let again = try store.put(key, ObjectBody(second), patience)
        let found = try store.bytes(of: key, atMost: 64, patience)
        note(
            "a name is written once", again == .exists && found == first,
            "the store ignores conditional writes (If-None-Match: *), so two writers could "
                + "overwrite each other's objects; use another store, or a later version of it")
        let listed = try store.list(prefix, patience).map(\.key)
        note(
            "what was written is listed at once", listed == [key],
            "a listing after a write showed \(listed.count) objects instead of one; use a store "
                + "whose listings are consistent")
    }

    private mutating func writeTogether() throws(StoreFailure) {
        let key = "\(prefix)/race"
        let (store, patience) = (store, patience)
        let state = Monitor<[Result<PutOutcome, StoreFailure>]>([])
        let writers = 8
        for number in 0..<writers {
            startThread("probe") {
                let outcome = Result { () throws(StoreFailure) in
                    try store.put(key, ObjectBody([UInt8(number)]), patience)
                }
                state.change { $0.append(outcome) }
            }
        }
        let outcomes = state.wait { $0.count == writers ? $0 : nil }
        var winners = 0
        for outcome in outcomes { if try outcome.get() == .created { winners += 1 } }
        let kept = try store.bytes(of: key, atMost: 64, patience)
        note(
            "of 8 writers one wins", winners <= 1 && kept.count == 1,
            "\(winners) writers were told that they wrote the same name; use another store")
    }

    private mutating func readRanges() throws(StoreFailure) {
        let key = "\(prefix)/range"
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        _ = try store.put(key, ObjectBody(bytes), patience)
        var found: [UInt8] = []
        var failure: StoreFailure?
        do throws(StoreFailure) {
            try store.get(key, 300..<700, version: nil, patience) { found.append($0) }
        } catch { failure = error }
        if let failure, failure.kind != .damaged { throw failure }
        note(
            "ranges are read", found == Array(bytes[300..<700]),
            "the store does not answer ranges (RFC 9110 section 14); use another store")
    }

    private mutating func misuse() throws(StoreFailure) {
        if let allowed = try store.allows(.wrongChecksum, of: "\(prefix)/checksum", patience) {
            note(
                "a wrong checksum is refused", !allowed,
                "the store took bytes that differ from their checksum, so a broken transmission "
                    + "would be stored; use another store")
        }
        if let allowed = try store.allows(.wrongSecret, of: "\(prefix)/secret", patience) {
            note(
                "a wrong secret is refused", !allowed,
                "the store does not check signatures, so anybody may write; set up its users")
        }
        let key = "\(prefix)/once"
        let version = try store.versions(of: key, patience).first?.version
        if isLocked, let version,
            let allowed = try store.allows(.deletion(version: version), of: key, patience)
        {
            note(
                "a locked version stays", !allowed,
                "the store deleted an object that its lock must keep; create the bucket with "
                    + "Object Lock")
        }
        if let allowed = try store.allows(.deletion(version: nil), of: key, patience) {
            note(
                "these credentials cannot delete", !allowed, else: .warning,
                "take DeleteObject and DeleteObjectVersion from the archive's user, so that not "
                    + "even its own machine can remove the archive")
        }
    }
}
