package import LedgerFormat
internal import LedgerStorage

/// A witness's answer over HTTP.
package struct PlainAnswer: Hashable, Sendable {
    package var status: Int
    package var contentType: String?
    package var body: [UInt8]

    package init(status: Int, contentType: String?, body: [UInt8]) {
        (self.status, self.contentType, self.body) = (status, contentType, body)
    }
}

/// One checkpoint shown to one witness, as C2SP tlog-witness specifies: what to send, and what an
/// answer means. Performs no I/O itself.
package struct WitnessExchange: Sendable {
    private let published: SignedCheckpoint
    private let key: NoteVerifier
    /// The last size that the witness is believed to have cosigned.
    package private(set) var oldSize: LedgerSize
    /// The ledger has a valid cosignature of this witness. Only then is its word of another history
    /// believed: any server can give such an answer.
    private let hasCosigned: Bool
    private var retriesLeft: Int

    package enum Action: Hashable, Sendable {
        case cosigned(SignedNote.Signature)
        /// Ask again: `oldSize` has changed.
        case retry
        /// No cosignature this time.
        case failed(String)
        /// The witness has seen another history of this log, or says so.
        case fork(String)
    }

    package init(
        _ published: SignedCheckpoint, key: NoteVerifier, oldSize: LedgerSize, hasCosigned: Bool,
        retries: Int
    ) {
        self.hasCosigned = hasCosigned
        self.published = published
        self.key = key
        self.oldSize = min(oldSize, published.checkpoint.size)
        retriesLeft = retries
    }

    /// The ranges of the consistency proof that the request carries.
    package var ranges: [Range<UInt64>] {
        Merkle.consistencyRanges(from: oldSize.entries, to: published.checkpoint.size.entries)
    }

    /// The proof that the request carries, already checked: a witness treats an invalid proof as a
    /// fork. Nil if the tree's files do not yield a valid one.
    func proof(_ files: TreeFiles) -> [Digest]? {
        let (old, checkpoint) = (oldSize.entries, published.checkpoint)
        guard let hashes = try? files.hashes(ranges), let root = try? files.hash(0..<old),
            Merkle.isConsistent(
                from: old, root, to: checkpoint.size.entries, checkpoint.root, hashes)
        else { return nil }
        return hashes
    }

    /// `old`, the proof, an empty line, and the checkpoint with only the log's own signatures.
    package func body(_ hashes: [Digest]) -> [UInt8] {
        let lines = ["old \(oldSize)"] + hashes.map(\.base64)
        let own = published.note.signatures.filter {
            $0.key.name.elementsEqual(published.checkpoint.origin.utf8)
        }
        return Array((lines.joined(separator: "\n") + "\n\n").utf8)
            + SignedNote(text: published.note.text, signatures: own).bytes
    }

    /// What an answer means.
    package mutating func take(_ answer: PlainAnswer) -> Action {
        let text = String(
            decoding: answer.body.prefix(200).prefix { $0 != 0x0A && $0 != 0x0D }, as: UTF8.self)
        switch answer.status {
        case 200: return cosignature(answer.body)
        case 409: return conflict(answer, text)
        // Without a proof nothing can contradict it.
        case 422: return suspicion(oldSize > .empty, "it answers 422: \(text)")
        case 403: return .failed("it does not trust the ledger's key (403): \(text)")
        case 404: return .failed("it does not know \(published.checkpoint.origin) (404)")
        case 429: return .failed("it receives too many requests (429)")
        default: return .failed("it answered \(answer.status): \(text)")
        }
    }

    private func cosignature(_ body: [UInt8]) -> Action {
        guard let lines = try? SignedNote.signatures(body[...]) else {
            return .failed("its answer does not consist of signature lines")
        }
        // Other witnesses' lines are ignored.
        guard let line = lines.first(where: { $0.key == key.keyName }) else {
            return .failed("its answer has no signature by \(key.keyName)")
        }
        return key.accepts(line.payload, of: published.note.text)
            ? .cosigned(line) : .failed("its signature is invalid")
    }

    private func suspicion(_ isPossible: Bool, _ detail: String) -> Action {
        hasCosigned && isPossible ? .fork(detail) : .failed(detail)
    }

    private mutating func conflict(_ answer: PlainAnswer, _ text: String) -> Action {
        // Media types may have parameters and ignore case (RFC 9110 section 8.3.1).
        let type = (answer.contentType ?? "").prefix { $0 != ";" && $0 != " " }
        guard type.lowercased() == "text/x.tlog.size" else {
            return .failed("it answers 409 without a size: \(text)")
        }
        guard answer.body.last == 0x0A, let size = UInt64(canonical: answer.body.dropLast()) else {
            return .failed("its 409 answer has no size")
        }
        guard size <= published.checkpoint.size.entries else {
            return suspicion(
                true,
                "it has cosigned \(size) entries of this ledger, which has only "
                    + "\(published.checkpoint.size)")
        }
        guard retriesLeft > 0 else { return .failed("it reports a different size each time") }
        retriesLeft -= 1
        oldSize = LedgerSize(size)
        return .retry
    }
}
