internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Publishing
internal import StardustCore

/// What an auditor downloads: checkpoints, proofs and tiles.
enum ProofQueries {
    // From C2SP tlog-tiles: a checkpoint is out of date within a second, a tile never.
    private static let briefly = "no-cache"
    private static let forEver = "public, max-age=31536000, immutable"

    // MARK: Checkpoints

    static func checkpoint(_ request: QueryRequest) -> Query {
        let query = Query { (context) throws(Problem) in
            let published = try context.publisher().published
            guard let published else { throw try context.unpublished() }
            var answer = Answer(200, "text/plain; charset=utf-8", published.note.bytes)
            answer.cacheControl = briefly
            return answer
        }
        // The first one follows the first packets at once.
        guard let map = request.ledger.map, map.head.size > .empty else { return query }
        return query.awaiting(request.unpublished(LedgerSize(1)))
    }

    // MARK: Proofs

    static func packetProof(_ request: QueryRequest) throws(Problem) -> Query {
        let id = request.variables.id("stardust_id")
        let map = try request.map()
        let query = Query { (context) throws(Problem) in
            guard let position = try context.position(of: id, map),
                let entry = try context.entry(position, map), entry.kind == .packet
            else { throw context.unknown("the packet \(id)") }
            return try proof(of: entry, context)
        }
        // If the position is not in memory, `proof` waits for the checkpoint instead.
        let position = (try? map.position(of: id, .cachedOnly)) ?? nil
        return query.awaiting(
            position.flatMap { request.unpublished(LedgerSize($0.value + 1)) })
    }

    static func entryProof(_ request: QueryRequest) throws(Problem) -> Query {
        let position = request.variables.position("position")
        let map = try request.map()
        let query = Query { (context) throws(Problem) in
            guard let entry = try context.entry(position, map) else {
                throw context.unknown("position \(position)")
            }
            return try proof(of: entry, context)
        }
        guard map.head.size.contains(position) else { return query }
        return query.awaiting(request.unpublished(LedgerSize(position.value + 1)))
    }

    private static func proof(
        of entry: Entry, _ context: QueryContext
    ) throws(Problem) -> Answer {
        let source = try context.published(
            covering: LedgerSize(entry.position.value + 1))
        // Only a thread that may wait reads the tree's files.
        try context.mayWait()
        return Answer(
            200, "text/plain; charset=utf-8",
            try context.proving { () throws(ProofSource.Failure) in
                try source.proof(of: entry).bytes
            })
    }

    static func consistency(_ request: QueryRequest) throws(Problem) -> Query {
        let parameters = request.parameters
        let head = try request.map().head.size.entries
        guard let from = try parameters.number("from", in: 0...head) else {
            throw .badParameter("from", "missing; give the smaller ledger size")
        }
        let to = try parameters.number("to", in: from...max(from, head))
        let query = Query { (context) throws(Problem) in
            guard head > 0 else { throw try context.unpublished() }
            try context.mayWait()
            let source = try context.published(covering: LedgerSize(to ?? max(from, 1)))
            let end = to ?? source.published.checkpoint.size.entries
            let proof = try context.proving { () throws(ProofSource.Failure) in
                try source.consistency(from: from, to: end)
            }
            return Answer { json in
                json.beginObject()
                json.member("from", from)
                json.member("to", end)
                json.member("from_root", proof.fromRoot)
                json.member("to_root", proof.toRoot)
                json.key("hashes")
                json.array(proof.hashes) { $1.string($0.base64) }
                json.endObject()
            }
        }
        return query.awaiting(request.unpublished(LedgerSize(to ?? from)))
    }

    // MARK: Tiles

    static func tile(_ request: QueryRequest) throws(Problem) -> Query {
        let tile = request.variables.tile("index")
        return Query { (context) throws(Problem) in
            let publisher = try context.publisher()
            guard let published = publisher.published else { throw try context.unpublished() }
            guard tile.isCovered(by: published.checkpoint.size) else {
                throw Problem(
                    .notFound,
                    "/\(tile.path) is not in the published tree of \(published.checkpoint.size) "
                        + "entries")
            }
            try context.mayWait()
            let source = ProofSource(publisher, published)
            var answer = Answer(
                200, "application/octet-stream",
                try context.proving { () throws(ProofSource.Failure) in
                    try source.content(of: tile)
                })
            answer.cacheControl = forEver
            return answer
        }
    }
}

extension QueryRequest {
    /// The size, or nil if a published checkpoint already covers it.
    func unpublished(_ size: LedgerSize) -> LedgerSize? {
        guard let publisher = ledger.publisher else { return nil }
        return size > publisher.published?.checkpoint.size ?? .empty ? size : nil
    }
}

extension QueryContext {
    func publisher() throws(Problem) -> Publisher {
        if let publisher = ledger.publisher { return publisher }
        switch ledger.phase {
        case .recovering: throw Problem(.recovering)
        default:
            throw Problem(
                .notPublished,
                "a read-only ledger is not published; the files checkpoint and checkpoints in its "
                    + "folder hold what was signed")
        }
    }

    /// Why nothing has been published yet.
    func unpublished() throws(Problem) -> Problem {
        let publisher = try publisher()
        guard let map = ledger.map, map.head.size > .empty else {
            return Problem(.notFound, "there is no checkpoint: the ledger has no entries yet")
        }
        if case .publishing = publisher.phase {
            return Problem(
                .notPublished,
                "no checkpoint is published yet; try again in a second. If witnesses are asked, "
                    + "/v1/status and the log show their answers", retryAfterSeconds: 1)
        }
        return Problem(.notPublished, publisher.phase.reason ?? "try again")
    }

    /// Proofs from a published checkpoint that covers a size; waits for one until the query's
    /// deadline.
    func published(covering size: LedgerSize) throws(Problem) -> ProofSource {
        let publisher = try publisher()
        if let published = publisher.published, published.checkpoint.size >= size {
            return ProofSource(publisher, published)
        }
        try mayWait()
        do throws(Publisher.Unpublished) {
            return ProofSource(publisher, try publisher.covering(size, until: deadline))
        } catch { throw Problem(error) }
    }

    /// The root at a size, and each entry's path to it.
    func proofs(
        at size: LedgerSize, of entries: [(position: Position, hash: Digest)]
    ) throws(Problem) -> (root: Digest, paths: [[Digest]]) {
        guard size > .empty else { return (Merkle.emptyRoot, []) }
        try mayWait()
        let source = try published(covering: size)
        return try proving { () throws(ProofSource.Failure) in
            try source.inclusions(of: entries, in: size)
        }
    }

    func proving<Result>(
        _ body: () throws(ProofSource.Failure) -> Result
    ) throws(Problem) -> Result {
        do throws(ProofSource.Failure) { return try body() } catch { throw Problem(error) }
    }
}

extension Publisher.Phase {
    var name: String {
        switch self {
        case .publishing: "publishing"
        case .stalled: "stalled"
        case .stopped: "stopped"
        }
    }

    var reason: String? {
        switch self {
        case .publishing: nil
        case .stalled(let reason, _), .stopped(let reason): reason
        }
    }
}

extension Problem {
    init(_ unpublished: Publisher.Unpublished) {
        switch unpublished {
        case .phase(let reason): self.init(.notPublished, "publishing has stopped: \(reason)")
        case .timeout:
            self.init(
                .notPublished,
                "no checkpoint was published in time; /v1/status shows the state of publishing",
                retryAfterSeconds: 5)
        case .closing: self.init(.stopping)
        }
    }

    init(_ failure: ProofSource.Failure) {
        switch failure {
        case .read(let failure): self.init(failure)
        case .treeDamaged:
            self.init(
                .treeDamaged,
                "the tree's files do not match what was signed; they are being rebuilt from the "
                    + "entries", retryAfterSeconds: 5)
        }
    }
}
