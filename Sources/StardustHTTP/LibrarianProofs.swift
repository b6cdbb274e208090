internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Publishing
internal import StardustCore

/// What an auditor takes home: checkpoints, proofs and tiles.
extension Librarian {
    // Of C2SP tlog-tiles: a checkpoint is outdated in a second, a tile never.
    private static let briefly = "no-cache"
    private static let forEver = "public, max-age=31536000, immutable"

    // MARK: Checkpoints

    func checkpoint(_ query: Substring?) throws(Problem) -> Answer {
        _ = try Parameters(query: query, known: [])
        guard let published = try publisher().published else { throw try unpublished() }
        var answer = Answer(200, "text/plain; charset=utf-8", published.note.bytes)
        answer.cacheControl = Self.briefly
        return answer
    }

    private func publisher() throws(Problem) -> Publisher {
        if let publisher = ledger.publisher { return publisher }
        switch ledger.phase {
        case .recovering: throw Problem(.recovering)
        default:
            throw Problem(
                503, "not_published",
                "a damaged ledger is not published; what was signed stands in "
                    + "its folder, in the files checkpoint and checkpoints")
        }
    }

    /// Why nothing has been published so far.
    private func unpublished() throws(Problem) -> Problem {
        let publisher = try publisher()
        guard let map = ledger.map, map.head.size > .empty else {
            return Problem(
                404, "not_found", "there is no checkpoint: the ledger has no entries yet")
        }
        if case .publishing = publisher.phase {
            var problem = Problem(
                503, "not_published",
                "no checkpoint is published yet; try again in a second. Where witnesses are asked, "
                    + "/v1/status and the log say how they answer")
            problem.retryAfterSeconds = 1
            return problem
        }
        return Problem(503, "not_published", publisher.phase.reason ?? "try again")
    }

    /// A published checkpoint over a size; waits for one as long as a question may take.
    private func published(covering size: LedgerSize) throws(Problem) -> ProofSource {
        let publisher = try publisher()
        if let published = publisher.published, published.checkpoint.size >= size {
            return ProofSource(publisher, published)
        }
        guard access == .blocking else { throw .wouldBlock }
        do throws(Publisher.Unpublished) {
            let published = try publisher.covering(size, until: deadline)
            return ProofSource(publisher, published)
        } catch { throw Problem(error) }
    }

    // MARK: Proofs

    /// The size that a checkpoint must cover before a question can be answered: waited for on the
    /// event loop, so that nobody who waits keeps a thread from others. Nil where it is known
    /// already, or the answer is another one.
    func sizeToAwait(_ route: Route, _ query: Substring?) -> LedgerSize? {
        guard let map = ledger.map, let publisher = ledger.publisher else { return nil }
        let size: LedgerSize?
        switch route {
        case .proof(let id):
            // What is not in memory is waited for where it is read.
            size = ((try? map.position(of: id, .cachedOnly)) ?? nil).map {
                LedgerSize($0.value + 1)
            }
        case .entryProof(let position):
            size = map.head.size.contains(position) ? LedgerSize(position.value + 1) : nil
        case .consistency:
            let parameters = try? Parameters(query: query, known: ["from", "to"])
            let to = (parameters?["to"] ?? parameters?["from"]).flatMap {
                UInt64(canonical: $0.utf8)
            }
            size = to.flatMap { $0 <= map.head.size.entries ? LedgerSize($0) : nil }
        case .chain:
            let parameters = try? Parameters(query: query, known: Self.chainParameters)
            guard parameters?["proofs"] == "inclusion" else { return nil }
            size = try? parameters?.size(upTo: map.head.size)
        default: return nil
        }
        guard let size, size > publisher.published?.checkpoint.size ?? .empty else { return nil }
        return size
    }

    func proof(of id: UUID128, _ query: Substring?) throws(Problem) -> Answer {
        _ = try Parameters(query: query, known: [])
        let map = try readableMap()
        guard let position = try position(of: id, map), let record = try read(position, map),
            record.entry.kind == .packet
        else { throw .unknown("the packet \(id)") }
        return try proof(of: record)
    }

    func proof(at position: Position, _ query: Substring?) throws(Problem) -> Answer {
        _ = try Parameters(query: query, known: [])
        guard let record = try read(position, try readableMap()) else {
            throw .unknown("position \(position)")
        }
        return try proof(of: record)
    }

    private func proof(of record: StoredRecord) throws(Problem) -> Answer {
        let source = try published(covering: LedgerSize(record.entry.position.value + 1))
        // The tree's files are read where one may wait for them.
        guard access == .blocking else { throw .wouldBlock }
        return Answer(
            200, "text/plain; charset=utf-8",
            try proving { () throws(ProofSource.Failure) in try source.proof(of: record).bytes })
    }

    func consistency(_ query: Substring?) throws(Problem) -> Answer {
        let parameters = try Parameters(query: query, known: ["from", "to"])
        let head = try readableMap().head.size.entries
        guard let from = try parameters.number("from", in: 0...head) else {
            throw .badParameter("from", "missing: the smaller ledger size")
        }
        let to = try parameters.number("to", in: from...max(from, head))
        guard head > 0 else { throw try unpublished() }
        guard access == .blocking else { throw .wouldBlock }
        let source = try published(covering: LedgerSize(to ?? max(from, 1)))
        let end = to ?? source.published.checkpoint.size.entries
        let proof = try proving { () throws(ProofSource.Failure) in
            try source.consistency(from: from, to: end)
        }
        return Answer { json in
            json.beginObject()
            json.member("from", Int(from))
            json.member("to", Int(end))
            json.member("from_root", proof.fromRoot)
            json.member("to_root", proof.toRoot)
            json.key("hashes")
            json.array(proof.hashes) { $1.string($0.base64) }
            json.endObject()
        }
    }

    /// The root at a size, and the paths of entries to it.
    func proofs(
        at size: LedgerSize, of entries: [(position: Position, hash: Digest)]
    ) throws(Problem) -> (root: Digest, paths: [[Digest]]) {
        guard size > .empty else { return (Merkle.emptyRoot, []) }
        guard access == .blocking else { throw .wouldBlock }
        let source = try published(covering: size)
        return try proving { () throws(ProofSource.Failure) in
            try source.inclusions(of: entries, in: size)
        }
    }

    // MARK: Tiles

    func content(of tile: Tile, _ query: Substring?) throws(Problem) -> Answer {
        _ = try Parameters(query: query, known: [])
        let publisher = try publisher()
        guard let published = publisher.published else { throw try unpublished() }
        guard tile.isCovered(by: published.checkpoint.size) else {
            throw Problem(
                404, "not_found",
                "/\(tile.path) is not in the published tree of \(published.checkpoint.size) entries"
            )
        }
        guard access == .blocking else { throw .wouldBlock }
        let source = ProofSource(publisher, published)
        var answer = Answer(
            200, "application/octet-stream",
            try proving { () throws(ProofSource.Failure) in try source.content(of: tile) })
        answer.cacheControl = Self.forEver
        return answer
    }

    private func proving<Result>(
        _ body: () throws(ProofSource.Failure) -> Result
    ) throws(Problem) -> Result {
        do throws(ProofSource.Failure) { return try body() } catch { throw Problem(error) }
    }

    // MARK: Status

    func write(_ publisher: Publisher?, to json: inout JSONWriter) {
        let published = publisher?.published?.checkpoint
        json.beginObject()
        json.member("phase", publisher?.phase.name ?? "closed")
        json.key("reason")
        if let reason = publisher?.phase.reason { json.string(reason) } else { json.null() }
        json.key("checkpoint_size")
        if let published { json.integer(Int(published.size.entries)) } else { json.null() }
        json.key("root")
        if let published { json.string(published.root.tagged) } else { json.null() }
        json.key("keys")
        json.array(publisher?.history.all ?? []) { $1.string($0.description) }
        json.endObject()
    }
}

extension Publisher.Phase {
    fileprivate var name: String {
        switch self {
        case .publishing: "publishing"
        case .stalled: "stalled"
        case .stopped: "stopped"
        }
    }

    fileprivate var reason: String? {
        switch self {
        case .publishing: nil
        case .stalled(let reason, _), .stopped(let reason): reason
        }
    }
}

extension Problem {
    init(_ unpublished: Publisher.Unpublished) {
        switch unpublished {
        case .phase(let reason):
            self.init(503, "not_published", "nothing is published any more: \(reason)")
        case .timeout:
            self.init(
                503, "not_published",
                "no checkpoint was published in time; /v1/status says how publishing stands")
            retryAfterSeconds = 5
        case .closing: self.init(.stopping)
        }
    }

    init(_ failure: ProofSource.Failure) {
        switch failure {
        case .read(let failure): self.init(failure)
        case .treeDamaged:
            self.init(
                503, "tree_damaged",
                "the tree's files are not what was signed; they are being made again from the entries"
            )
            retryAfterSeconds = 5
        }
    }
}

/// What shows that a receipt's packet is under a published checkpoint.
final class Evidence: Sendable {
    /// The signed note.
    let checkpoint: [UInt8]
    let inclusion: [Digest]

    init(checkpoint: [UInt8], inclusion: [Digest]) {
        (self.checkpoint, self.inclusion) = (checkpoint, inclusion)
    }

    /// Makes it for a receipt that a published checkpoint covers. Blocks on the disk.
    static func of(
        _ receipt: Receipt, _ published: SignedCheckpoint, _ ledger: RunningLedger
    ) -> Result<Evidence, Problem> {
        guard let publisher = ledger.publisher else { return .failure(Problem(.stopping)) }
        let source = ProofSource(publisher, published)
        do throws(ProofSource.Failure) {
            return .success(
                Evidence(
                    checkpoint: published.note.bytes,
                    inclusion: try source.inclusion(of: receipt.position, receipt.entryHash)))
        } catch { return .failure(Problem(error)) }
    }
}
