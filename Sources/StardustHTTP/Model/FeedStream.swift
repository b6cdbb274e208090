internal import NIOCore
internal import Packets
internal import Platform
internal import ReadModel
internal import StardustCore

/// A change feed in one request. Lines are applied in order; each is answered by a line once its
/// outcome is final.
final class FeedStream: RequestBody {
    let kind = ConnectionState.Begun.stream
    private let connection: ConnectionHandler
    private var cutter = LineCutter(lineBytesMax: ModelRequestLimits.changeBytes)
    private var reservation: Budgets.Lease
    private var session: RunningModel.FeedSession?
    private var isWorking = false
    private var hasBegun = false
    private var isAbandoned = false
    private var hasEnded = false
    private let retry = RoomRetry()

    init(_ connection: ConnectionHandler) {
        self.connection = connection
        reservation = connection.lease(.bodyBytes)
    }

    func take(_ bytes: ByteBuffer) {
        _ = reservation.add(bytes.readableBytes)
        reservation.give(back: cutter.add(bytes))
        pump()
    }

    func finish() {
        cutter.end()
        pump()
    }

    /// The connection is gone. An unfinished transaction is rolled back when the session ends.
    func abandon() {
        isAbandoned = true
        if !isWorking { release() }
    }

    private func release() {
        guard let session else { return }
        self.session = nil
        connection.offLoop(.feed) {
            _ = session.end()
        } then: { _, _ in
        }
    }

    private func pump() {
        guard !isWorking, !isAbandoned else { return }
        guard session != nil else { return begin() }
        guard let chunk = cutter.next(atMost: EmissionLimits.streamChunkBytes) else {
            if cutter.isDone { end() } else { readOn() }
            return
        }
        work(on: chunk.bytes) { session in
            session.apply { feed in
                chunk.eachLine { line, text in
                    switch text {
                    case .tooLong:
                        feed.refuse(
                            ModelRefusal(
                                .notAChange,
                                "a line may have at most \(ModelRequestLimits.changeBytes) bytes"),
                            line: line)
                    case .text(let text): feed.take(text, line: line)
                    }
                }
            }
        }
    }

    /// Reads on if the others' bytes leave room; otherwise tries again soon. A feed does not wait for
    /// its own bytes, because a single line may be longer than all the room.
    private func readOn() {
        if reservation.othersLeaveRoom { return connection.setReadingHeld(nil) }
        retry.soon(connection) { self.pump() }
    }

    private func begin() {
        guard let model = connection.server.ledger.model else {
            return fail(Problem(.noModel, ModelReaders.noModel))
        }
        isWorking = true
        connection.setReadingHeld(.room)
        connection.offLoop(.feed) {
            () -> Result<RunningModel.FeedSession, Problem> in
            do throws(RunningModel.FeedRefusal) { return .success(try model.beginFeed()) } catch {
                return .failure(Problem(error))
            }
        } then: { [self] _, result in
            isWorking = false
            switch result {
            case .success(let session):
                self.session = session
                if isAbandoned { release() } else { pump() }
            case .failure(let problem): fail(problem)
            }
        }
    }

    private func fail(_ problem: Problem) {
        if isAbandoned { return }
        isAbandoned = true
        if cutter.hasEnded {
            connection.respond(Answer(problem))
        } else {
            connection.refuse(problem)
        }
    }

    private func end() {
        guard !hasEnded else { return }
        hasEnded = true
        work(on: 0) { $0.end() }
    }

    /// Applies `bytes` bytes of lines, or ends the feed, and sends the answers this makes final.
    private func work(
        on bytes: Int, _ body: @escaping @Sendable (RunningModel.FeedSession) -> [ModelFeed.Answer]
    ) {
        guard let session else { return }
        isWorking = true
        connection.setReadingHeld(.room)
        let metrics = connection.server.metrics
        connection.offLoop(.feed) { () -> [UInt8] in
            let answers = body(session)
            metrics.modelChanges.add(
                answers.count { if case .applied = $0.outcome { true } else { false } })
            return Self.rendered(answers)
        } then: { [self] _, lines in
            isWorking = false
            reservation.give(back: bytes)
            if isAbandoned { return release() }
            if !hasBegun {
                hasBegun = true
                connection.beginStreaming()
            }
            if !lines.isEmpty { connection.stream(ByteBuffer(bytes: lines)) }
            guard hasEnded else { return pump() }
            self.session = nil
            isAbandoned = true
            connection.endStreaming()
        }
    }

    private static func rendered(_ answers: [ModelFeed.Answer]) -> [UInt8] {
        var lines: [UInt8] = []
        for answer in answers {
            var json = JSONWriter()
            json.beginObject()
            switch answer.outcome {
            case .applied: write(200, "applied", &json)
            case .unchanged: write(200, "unchanged", &json)
            case .skipped: write(200, "skipped", &json)
            case .rolledBack: write(409, "rolled_back", &json)
            case .refused(let refusal): write(Problem(refusal), answer.line, &json)
            case .failed(let failure): write(Problem(failure), answer.line, &json)
            case .notJSON(let error): write(Problem(error), answer.line, &json)
            }
            json.endObject()
            lines += json.bytes + [0x0A]
        }
        return lines
    }

    private static func write(_ status: Int, _ outcome: String, _ json: inout JSONWriter) {
        json.member("status", status)
        json.member("outcome", outcome)
    }

    private static func write(_ problem: Problem, _ line: Int, _ json: inout JSONWriter) {
        var problem = problem
        problem.line = line
        json.member("status", problem.status)
        json.key("problem")
        problem.write(to: &json)
    }
}

extension Problem {
    fileprivate init(_ refusal: RunningModel.FeedRefusal) {
        switch refusal {
        case .busy:
            self.init(
                .feedBusy, "another change feed is being applied; try again", retryAfterSeconds: 1)
        case .followsPostgres:
            self.init(
                .followsPostgres,
                "the read model's rows come from PostgreSQL: `stardust model sync --resync` makes a "
                    + "new copy, `stardust model detach` ends that")
        case .failed(let failure): self.init(failure)
        }
    }
}
