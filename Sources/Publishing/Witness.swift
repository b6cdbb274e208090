package import LedgerFormat
package import LedgerStorage
package import Platform

/// A witness (C2SP tlog-witness). It cosigns a log's checkpoint only if it extends the last one it
/// cosigned, so it never signs both sides of a fork. Used by one thread.
///
/// Invariants:
///  1. A checkpoint is durable here before its cosignature is handed out.
///  2. For each origin the stored checkpoint is the largest ever cosigned.
package struct Witness: ~Copyable {
    package let signer: NoteSigner
    private let volume: any Volume
    private let logs: [NoteVerifier]
    /// The checkpoint cosigned last, with its note, by the bytes of the log's origin.
    private var latest: [[UInt8]: SignedCheckpoint] = [:]
    /// Logs whose state on disk is unknown because a sync failed.
    private var unknown: Set<[UInt8]> = []
    private let clock: @Sendable () -> Timestamp

    /// Longer than any request of a real log.
    package static let bodyBytesMax = 64 << 10
    private static let hashesMax = 63

    package enum OpenError: Error, Sendable, CustomStringConvertible {
        case file(FileFailure)
        case key(SigningKeys.Failure)
        case otherName(found: String, given: String)
        /// The stored checkpoint is not one this witness signed: continuing could sign a fork.
        case checkpoint(file: String, String)
        /// There is a checkpoint, but no key that could have signed it.
        case orphan(String)

        package var description: String {
            switch self {
            case .file(let failure): failure.description
            case .key(let failure): failure.description
            case .otherName(let found, let given):
                "the folder belongs to the witness \(found), not to \(given)"
            case .checkpoint(let file, let problem):
                "this witness did not sign \(file), so it cannot detect a fork: \(problem)"
            case .orphan(let file):
                "\(file) exists, but no key: restore the witness's key, or use another folder"
            }
        }
    }

    private init(
        _ signer: NoteSigner, _ volume: any Volume, _ logs: [NoteVerifier],
        _ latest: [[UInt8]: SignedCheckpoint], _ clock: @escaping @Sendable () -> Timestamp
    ) {
        (self.signer, self.volume, self.logs) = (signer, volume, logs)
        (self.latest, self.clock) = (latest, clock)
    }

    /// Resumes from the folder's contents, and creates a key if it has none. The caller holds the
    /// folder's lock: two witnesses with the same key could sign a fork.
    package static func open(
        _ volume: any Volume, name: String?, logs: [NoteVerifier],
        clock: @escaping @Sendable () -> Timestamp = Timestamp.systemNow,
        using generator: inout some RandomNumberGenerator
    ) throws(OpenError) -> Witness {
        let signer = try key(volume, name, using: &generator)
        var latest: [[UInt8]: SignedCheckpoint] = [:]
        for log in logs { latest[log.keyName.name] = try kept(log, signer, volume) }
        return Witness(signer, volume, logs, latest, clock)
    }

    private static func key(
        _ volume: any Volume, _ name: String?, using generator: inout some RandomNumberGenerator
    ) throws(OpenError) -> NoteSigner {
        let names: [String]
        do throws(FileFailure) { names = try volume.list("") } catch { throw .file(error) }
        let hasKey = names.contains(LedgerLayout.key)
        if !hasKey, let orphan = names.first(where: { $0.hasSuffix(".checkpoint") }) {
            throw .orphan(orphan)
        }
        do throws(FileFailure) {
            if !hasKey {
                let name = name ?? "stardust-witness/\(UUID128.random(using: &generator))"
                let key = NoteSigner(name: name, type: .cosignature, .random(using: &generator))
                try SigningKeys.write(key, to: LedgerLayout.key, volume)
                return key
            }
        } catch { throw .file(error) }
        let key: NoteSigner
        do throws(SigningKeys.Failure) {
            key = try SigningKeys.read(LedgerLayout.key, .cosignature, volume)
        } catch { throw .key(error) }
        guard let name, name != key.verifier.name else { return key }
        throw .otherName(found: key.verifier.name, given: name)
    }

    private static func kept(
        _ log: NoteVerifier, _ signer: NoteSigner, _ volume: any Volume
    ) throws(OpenError) -> SignedCheckpoint? {
        let path = file(log)
        let content: [UInt8]
        do throws(FileFailure) { content = try volume.content(of: path) } catch {
            if error.isMissing { return nil }
            throw .file(error)
        }
        let published: SignedCheckpoint
        do throws(SignedCheckpoint.DecodeError) {
            published = try SignedCheckpoint(content)
        } catch { throw .checkpoint(file: path, error.description) }
        do throws(SignedNote.Failure) {
            let signers = try published.note.signers(among: [signer.verifier, log])
            guard signers.contains(signer.verifier), published.checkpoint.isOf(log) else {
                throw .noKnownKey
            }
        } catch { throw .checkpoint(file: path, error.description) }
        // After a failed sync, what was read may exist only in the page cache. Write it again, so
        // that it is durable.
        do throws(FileFailure) { try volume.replace(path, with: content) } catch {
            throw .file(error)
        }
        return published
    }

    /// The file of a log's checkpoint. Monitors request it by the same hash.
    private static func file(_ log: NoteVerifier) -> String {
        "\(Digest.sha256(log.keyName.name).hex).checkpoint"
    }

    // MARK: Answers

    /// The last cosigned checkpoint of an origin, by the hexadecimal SHA-256 of its name, with the
    /// log's and this witness's signatures; nil if there is none.
    package func checkpoint(ofOriginHash hash: String) -> [UInt8]? {
        logs.first { Self.file($0) == "\(hash).checkpoint" }
            .flatMap { latest[$0.keyName.name] }?.note.bytes
    }

    /// Answers the body of an `add-checkpoint` request. Blocks on the disk before it answers 200.
    package mutating func add(_ body: [UInt8]) -> PlainAnswer {
        let request: AddCheckpoint
        switch AddCheckpoint.read(body, hashesMax: Self.hashesMax) {
        case .failure(let problem): return .text(400, problem.description)
        case .success(let read): request = read
        }
        let (old, note) = (request.oldSize, request.note)
        let checkpoint: Checkpoint
        do throws(Checkpoint.DecodeError) { checkpoint = try Checkpoint(text: note.text) } catch {
            return .text(error == .rootOfNothing ? 422 : 400, error.description)
        }
        let keys = logs.filter { checkpoint.isOf($0) }
        guard let origin = keys.first?.keyName.name else {
            return .text(404, "this witness does not know the log \(checkpoint.origin)")
        }
        guard !unknown.contains(origin) else {
            return .text(503, "a sync has failed; restart the witness to find out what was stored")
        }
        let signers: [NoteVerifier]
        do throws(SignedNote.Failure) { signers = try note.signers(among: keys) } catch {
            return .text(403, error.description)
        }
        guard old <= checkpoint.size else {
            return .text(400, "old is \(old), but the checkpoint has only \(checkpoint.size)")
        }
        let known = latest[origin]?.checkpoint
        guard old == known?.size ?? .empty else {
            return PlainAnswer(
                status: 409, contentType: "text/x.tlog.size",
                body: Array("\(known?.size ?? .empty)\n".utf8))
        }
        guard
            Merkle.isConsistent(
                from: old.entries, known?.root ?? Merkle.emptyRoot, to: checkpoint.size.entries,
                checkpoint.root, request.hashes)
        else { return .text(422, "the checkpoint does not extend the one of \(old) entries") }
        return cosign(checkpoint, note, keys[0], signers)
    }

    private mutating func cosign(
        _ checkpoint: Checkpoint, _ note: SignedNote, _ log: NoteVerifier,
        _ signers: [NoteVerifier]
    ) -> PlainAnswer {
        let seconds = UInt64(max(0, clock().microseconds)) / 1_000_000
        let cosignature = signer.signature(of: note.text, time: seconds)
        // The line of each key that was verified, which is its first; nothing else is kept.
        let own = signers.compactMap { key in
            note.signatures.first { $0.key == key.keyName }
        }
        let kept = SignedCheckpoint(checkpoint, signatures: own + [cosignature])
        // A checkpoint that could not be read again would keep the witness from starting.
        guard (try? SignedCheckpoint(kept.note.bytes)) == kept else {
            return .text(400, "the checkpoint cannot be stored")
        }
        // A crash during this leaves the old checkpoint or the new one. The cosignature was not
        // handed out yet, and the log can ask again from either.
        do throws(FileFailure) {
            try volume.replace(Self.file(log), with: kept.note.bytes)
        } catch {
            // If there was no room, nothing has changed. After any other failure the disk may hold
            // either checkpoint.
            if !error.isNoSpace { unknown.insert(log.keyName.name) }
            return .text(503, "could not store the checkpoint: \(error)")
        }
        latest[log.keyName.name] = kept
        return PlainAnswer(
            status: 200, contentType: "text/plain; charset=utf-8", body: cosignature.line)
    }
}

extension PlainAnswer {
    /// An answer of one line of text, for people.
    package static func text(_ status: Int, _ text: String) -> PlainAnswer {
        PlainAnswer(
            status: status, contentType: "text/plain; charset=utf-8",
            body: Array((text + "\n").utf8))
    }
}

/// The body of `add-checkpoint`: `old` and a size, hashes, an empty line, the signed checkpoint.
private struct AddCheckpoint {
    var oldSize: LedgerSize
    var hashes: [Digest] = []
    var note: SignedNote

    enum Problem: Error, CustomStringConvertible {
        case old, hash, tooManyHashes, noCheckpoint
        case note(SignedNote.DecodeError)

        var description: String {
            switch self {
            case .old: "the first line is not `old` and a size"
            case .hash: "a line of the proof is not a hash: 32 bytes in base64"
            case .tooManyHashes: "a proof has at most 63 hashes"
            case .noCheckpoint: "there is no empty line followed by a checkpoint"
            case .note(let error): error.description
            }
        }
    }

    static func read(_ body: [UInt8], hashesMax: Int) -> Result<AddCheckpoint, Problem> {
        var lines: [ArraySlice<UInt8>] = []
        var rest = body[...]
        while let end = rest.firstIndex(of: 0x0A), end > rest.startIndex {
            guard lines.count <= hashesMax else { return .failure(.tooManyHashes) }
            lines.append(rest[..<end])
            rest = rest[(end + 1)...]
        }
        guard let first = lines.first, first.starts(with: "old ".utf8),
            let old = UInt64(canonical: first.dropFirst(4))
        else { return .failure(.old) }
        guard rest.first == 0x0A else { return .failure(.noCheckpoint) }
        var hashes: [Digest] = []
        for line in lines.dropFirst() {
            guard let hash = Base64.digest(line) else { return .failure(.hash) }
            hashes.append(hash)
        }
        do throws(SignedNote.DecodeError) {
            let note = try SignedNote(Array(rest.dropFirst()))
            return .success(AddCheckpoint(oldSize: LedgerSize(old), hashes: hashes, note: note))
        } catch { return .failure(.note(error)) }
    }
}
