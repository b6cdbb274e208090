internal import Cleanup
internal import Glibc
internal import LedgerFormat
internal import Logging
internal import Packets
internal import Replication
internal import Synchronization

/// Where a run's log rows go: to the engine's PostgreSQL, or into the read model by the daemon's feed.
struct CleanupLogs {
    private let socket: String
    private let address: String?

    init(_ socket: String, _ address: String?, followsPostgres: Bool) throws(Failure) {
        (self.socket, self.address) = (socket, address)
        guard address != nil else {
            guard !followsPostgres else {
                throw Failure(
                    .usage,
                    "--logs is missing: the rows come from PostgreSQL, so that is where log rows go, as in "
                        + "--logs postgres://user@host/database")
            }
            return
        }
        #if PostgreSQL
            do throws(SourceAddress.Malformed) { _ = try SourceAddress(address ?? "") } catch {
                throw Failure(.usage, "--logs: \(error)")
            }
        #else
            throw Failure(.usage, "--logs: this program was built without PostgreSQL")
        #endif
    }

    /// Whether they become rows of the read model at once.
    var areFed: Bool { address == nil }

    func add(_ rows: [CleanupLog]) async throws(Failure) {
        #if PostgreSQL
            if let address { return try Self.insert(rows, address) }
        #endif
        try await feed(rows)
    }

    #if PostgreSQL
        private static func insert(_ rows: [CleanupLog], _ address: String) throws(Failure) {
            do throws(ReplicationFailure) {
                let table = try LogTable(address, SourceContext(Logger(label: "stardust")))
                for row in rows {
                    try table.add(
                        LogTable.Row(
                            id: "\(row.id)", source: CleanupLog.source, level: row.level,
                            message: row.message,
                            metadata: String(decoding: row.metadata, as: UTF8.self),
                            time: "\(row.time)"))
                }
            } catch {
                throw Failure(
                    .unreachable,
                    "a log row could not be added, and will be by the next run: \(error)")
            }
        }
    #endif

    /// How long another feed may keep ours out.
    private static let patience: Duration = .seconds(20)

    private func feed(_ rows: [CleanupLog]) async throws(Failure) {
        let end = ContinuousClock.now + Self.patience
        while true {
            do throws(Failure) { return try await feedOnce(rows) } catch {
                guard error.exit == .unreachable, ContinuousClock.now < end else { throw error }
            }
            // If the sleep is cancelled, it is only tried earlier.
            try? await Task.sleep(for: .milliseconds(500))
        }
    }

    private func feedOnce(_ rows: [CleanupLog]) async throws(Failure) {
        var lines: [UInt8] = []
        for row in rows {
            var json = JSONWriter()
            json.beginObject()
            json.member("table", "logs")
            json.member("op", "insert")
            // Tells these rows from those of the source.
            json.member("committed_at", rows.last?.time ?? row.time)
            json.key("row")
            json.beginObject()
            json.member("log_id", row.id)
            json.member("source", CleanupLog.source)
            json.member("level", row.level)
            json.member("message", row.message)
            json.key("metadata")
            json.json(row.metadata)
            json.member("created_at", row.time)
            json.endObject()
            json.endObject()
            lines += json.bytes + [0x0A]
        }
        var problem: String?
        do {
            try await LineExchange(socket: socket, path: "/v1/model/changes").run(
                GivenLines(lines)
            ) { (line, _) in
                guard let document = try? JSONDocument(line),
                    case .problem(_, _, let detail) = AnswerLine(document)
                else { return }
                problem = problem ?? detail
            }
        } catch let failure as Failure { throw failure } catch {
            throw LineExchange.failure(error, socket)
        }
        guard let problem else { return }
        throw Failure(.inputOutput, "a log row was refused: \(problem)")
    }
}

extension CleanupLog {
    /// JSON; see Docs/log-metadata.schema.json.
    fileprivate var metadata: [UInt8] {
        var json = JSONWriter()
        json.beginObject()
        json.member("stardust_id", record)
        json.member("asset", uri)
        json.member("asset_id", asset)
        json.endObject()
        return json.bytes
    }
}

/// A body that is at hand.
private final class GivenLines: BodyInput {
    private let bytes: Mutex<[UInt8]?>

    init(_ bytes: [UInt8]) { self.bytes = Mutex(bytes) }

    func next() throws(Failure) -> [UInt8]? { bytes.withLock { $0.take() } }

    func cancel() {}
}
