internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Publishing
internal import StardustCore

/// What the archive process reads: the ledger's files, as far as they are durable.
enum SourceQueries {
    static let parameters: Endpoint.ParameterNames = .some(["wait_ms"])

    /// The segments, and how many bytes of each are durable.
    static func source(_ request: QueryRequest) throws(Problem) -> Query {
        let (map, checkpoints) = try files(request.ledger)
        return Query { context in
            Answer { json in
                json.beginObject()
                json.member("ledger_id", context.ledger.identity.ledgerID)
                json.key("segments")
                json.array(map.extents) { segment, json in
                    json.beginObject()
                    json.member("first", segment.first.value)
                    json.member("end", segment.end.value)
                    json.member("bytes", segment.bytes)
                    json.member("sealed", segment.isSealed)
                    json.member("archived", segment.isArchived)
                    json.endObject()
                }
                json.member("checkpoints_bytes", checkpoints())
                json.endObject()
            }
        }
    }

    static func identity(_ request: QueryRequest) throws(Problem) -> Query {
        let identity = request.ledger.identity
        return Query { _ in
            Answer(200, "text/plain; charset=utf-8", identity.fileContent)
        }
    }

    /// The signed note that says which writer this daemon is.
    static func epoch(_ request: QueryRequest) throws(Problem) -> Query {
        _ = try files(request.ledger)
        guard let epoch = request.ledger.epoch else {
            throw Problem(
                .noArchive,
                "there is no epoch: the daemon's configuration names no archive, or the ledger's key "
                    + "is missing")
        }
        return Query { _ in Answer(200, "text/plain; charset=utf-8", epoch.content) }
    }

    /// Ends this writer, because another machine has begun a later epoch.
    static func superseded(_ connection: ConnectionHandler) -> any RequestBody {
        WholeBody(
            connection, "an epoch's note", bytesMax: EpochNote.bytesMax, on: .waiting
        ) { (body, context) throws(Problem) in
            do throws(RunningLedger.NotSuperseded) { try context.ledger.supersede(body) } catch {
                switch error {
                case .refused(let detail): throw Problem(.badRequest, detail)
                case .file(let failure):
                    throw Problem(.failed, "\(failure); try again", retryAfterSeconds: 5)
                }
            }
            return Answer { json in
                json.beginObject()
                json.member("superseded", true)
                json.endObject()
            }
        }
    }

    static func segment(_ request: QueryRequest) throws(Problem) -> Query {
        let first = request.variables.position("position")
        let (map, _) = try files(request.ledger)
        guard let extent = map.extent(from: first) else {
            throw Problem(.notFound, "no segment begins at position \(first)")
        }
        guard !extent.isArchived else {
            throw Problem(
                .notFound, "the segment at position \(first) has left the disk for the archive")
        }
        let range = try SourceRange(request)
        var query = Query { (_) throws(Problem) in
            guard let segment = map.extent(from: first) else { throw .notFound }
            return try range.answer(upTo: segment.bytes) { (range) throws(FileFailure) in
                try map.bytes(range, of: segment)
            }
        }
        query.wait = try SourceRange.wait(request) {
            guard let segment = map.extent(from: first) else { return true }
            return segment.bytes > range.start || segment.isSealed
        }
        return query
    }

    static func checkpoints(_ request: QueryRequest) throws(Problem) -> Query {
        let (map, end) = try files(request.ledger)
        let range = try SourceRange(request)
        var query = Query { (_) throws(Problem) in
            try range.answer(upTo: end()) { (range) throws(FileFailure) in
                let file = try map.volume.open(LedgerLayout.checkpoints, .read)
                var bytes = [UInt8](repeating: 0, count: range.count)
                let count = try file.read(into: &bytes, 0..<bytes.count, at: range.lowerBound)
                return Array(bytes.prefix(count))
            }
        }
        query.wait = try SourceRange.wait(request) { end() > range.start }
        return query
    }

    /// The segments, and how many bytes of the checkpoints are durable. Nothing of a damaged ledger is
    /// archived: it would take the place of what is sound.
    private static func files(
        _ ledger: RunningLedger
    ) throws(Problem) -> (LedgerMap, @Sendable () -> Int) {
        guard let map = ledger.map else { throw Problem(.recovering) }
        if let damage = map.damage {
            throw Problem(.damaged, "nothing is archived of a damaged ledger: \(damage)")
        }
        guard ledger.checkpointBytes != nil else {
            throw Problem(
                .readOnly, "nothing is archived of a ledger that is only read",
                retryAfterSeconds: 60)
        }
        return (map, { ledger.checkpointBytes ?? 0 })
    }
}

/// The one range of bytes that a request asks for (RFC 9110 section 14.2).
private struct SourceRange: Sendable {
    let start: Int
    /// Nil for as many as there are.
    private let last: Int?

    init(_ request: QueryRequest) throws(Problem) {
        func malformed(_ detail: String) -> Problem { Problem(.badRequest, "Range: \(detail)") }
        guard let text = request.range else {
            throw malformed("this path needs one, as in bytes=0-1048575")
        }
        let parts = text.dropFirst(6).split(
            separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard text.hasPrefix("bytes="), parts.count == 2, let start = Int(parts[0]), start >= 0
        else { throw malformed("\(text.prefix(100)) is not a range as in bytes=0-1048575") }
        let last = parts[1].isEmpty ? nil : Int(parts[1])
        guard parts[1].isEmpty || last ?? -1 >= start else {
            throw malformed("\(text.prefix(100)) ends before it begins")
        }
        (self.start, self.last) = (start, last)
    }

    /// The durable bytes of the range, at most a megabyte: 206 says how many there are.
    func answer(
        upTo end: Int, _ read: (Range<Int>) throws(FileFailure) -> [UInt8]
    ) throws(Problem) -> Answer {
        guard start < end else {
            var problem = Problem(
                .rangeNotSatisfiable, "byte \(start) is not durable yet: there are \(end)")
            problem.limit = end
            throw problem
        }
        let most = min(end, start + QueryLimits.sourceBytes)
        let range = start..<min(most, last.map { $0 < most ? $0 + 1 : most } ?? most)
        let bytes: [UInt8]
        do throws(FileFailure) { bytes = try read(range) } catch {
            throw Problem(ReadFailure.file(error))
        }
        guard bytes.count == range.count else {
            throw Problem(.readFailed, "a file ends before byte \(range.upperBound); try again")
        }
        var answer = Answer(206, "application/octet-stream", bytes)
        answer.contentRange = "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(end)"
        return answer
    }

    /// How long the request waits for something new.
    static func wait(
        _ request: QueryRequest, until isThere: @escaping @Sendable () -> Bool
    ) throws(Problem) -> Query.Wait? {
        guard let time = try request.parameters.number("wait_ms", in: 0...30_000) else {
            return nil
        }
        return Query.Wait(until: .now + .milliseconds(Int64(time)), isOver: isThere)
    }
}
