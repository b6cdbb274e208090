internal import NIOCore
internal import Platform
internal import StardustCore

extension ConnectionHandler {
    /// Answers a query once everything that it waits for is there.
    func answer(_ prepared: PreparedQuery) {
        if prepared.endpoint.execution == .paced, let delay = checkpoints.delay(now: .now) {
            eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) {
                self.answerNow(prepared)
            }
            return
        }
        if let wait = prepared.query.wait, wait.until > .now, !wait.isOver(), !state.isDraining,
            state.phase != .closed
        {
            eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(QueryLimits.sourcePause)) {
                self.answer(prepared)
            }
            return
        }
        guard let size = prepared.query.awaits else { return answerNow(prepared) }
        let ledger = server.ledger
        CheckpointWait.begin(
            ledger, size, atMost: ledger.inForce.values.queryTime, on: eventLoop
        ) { outcome in
            switch outcome {
            case .success: self.answerNow(prepared)
            case .failure(let problem): self.respond(Answer(problem))
            }
        }
    }

    private func answerNow(_ prepared: PreparedQuery) {
        if state.phase == .closed { return }
        var prepared = prepared
        do throws(Problem) {
            if let answer = try prepared.immediateAnswer(server.ledger) { return respond(answer) }
        } catch { return respond(Answer(error)) }
        guard let pool = prepared.pool else { preconditionFailure("no pool can answer this query") }
        let query = prepared.query
        // A query that may wait must not keep others from the disk.
        answerOffLoop(pool) { (context) throws(Problem) in try query.answer(context) }
    }

    /// Makes an answer on a pool's thread, within a query's time. Whatever takes longer is answered
    /// for and forgotten; what has not begun by then is not begun.
    func answerOffLoop(
        _ pool: Pool,
        _ body: @escaping @Sendable (QueryContext) throws(Problem) -> Answer
    ) {
        let place = HeldLease(lease(.jobs))
        guard place.take(1) else {
            return respond(
                Answer(
                    Problem(
                        .tooManyQueries,
                        "too many queries wait, in all or of this user; try again",
                        retryAfterSeconds: 1)))
        }
        let context = QueryContext.patient(server.ledger, since: .now)
        let time =
            pool == .drift ? ModelRequestLimits.driftTime : server.ledger.inForce.values.queryTime
        let end = ContinuousClock.now + time + ConnectionLimits.lateness
        let turn = AnswerTurn(self)
        turn.timer = eventLoop.assumeIsolated().scheduleTask(
            in: TimeAmount(end - .now)
        ) {
            turn.end(Answer(Problem(PacketSearch.Failure.timeIsOver, self.server.ledger)))
        }
        let bound = NIOLoopBound((turn: turn, place: place), eventLoop: eventLoop)
        let loop = eventLoop
        let finish = { @Sendable (answer: Answer) in
            loop.execute {
                bound.value.place.end()
                bound.value.turn.end(answer)
            }
        }
        let (pools, party) = (server.pools, party)
        pools[pool].submit(party) {
            let answer = Self.answer(body, context, until: end)
            guard answer == nil else { return finish(answer!) }
            pools[.archive].submit(party) {
                finish(Self.answer(body, context.fetching, until: end)!)
            }
        }
    }

    /// Nil if the answer needs a thread that may wait for the archive.
    private static func answer(
        _ body: (QueryContext) throws(Problem) -> Answer, _ context: QueryContext,
        until end: ContinuousClock.Instant
    ) -> Answer? {
        do throws(Problem) {
            guard ContinuousClock.now < end else {
                throw Problem(PacketSearch.Failure.timeIsOver, context.ledger)
            }
            return try body(context)
        } catch {
            if error.isWouldFetch, context.access != .fetching { return nil }
            return Answer(error)
        }
    }

    /// Runs blocking work on a pool, then continues on this loop with its result.
    func offLoop<Value: Sendable>(
        _ pool: Pool, _ body: @escaping @Sendable () -> Value,
        then finish: @escaping (ConnectionHandler, Value) -> Void
    ) {
        let bound = NIOLoopBound((handler: self, finish: finish), eventLoop: eventLoop)
        let loop = eventLoop
        server.pools[pool].submit(party) {
            let value = body()
            loop.execute { bound.value.finish(bound.value.handler, value) }
        }
    }

    /// Making a large answer took several times its size, in the heap of whichever thread made it.
    func giveBackMemory() {
        server.pools[.disk].submit(party) { ProcessMemory.giveBack() }
    }
}

/// One answer that is being made; the first to come is sent.
private final class AnswerTurn {
    private var connection: ConnectionHandler?
    var timer: Scheduled<Void>?

    init(_ connection: ConnectionHandler) { self.connection = connection }

    func end(_ answer: Answer) {
        guard let connection else { return }
        self.connection = nil
        timer?.cancel()
        connection.respond(answer)
    }
}

/// Keeps a connection from asking for one checkpoint after the other without pause.
struct CheckpointPace {
    /// When the last checkpoint was sent, or is due to be sent.
    private var last: ContinuousClock.Instant?

    /// How long the next checkpoint must wait; nil if it can be sent at once.
    mutating func delay(now: ContinuousClock.Instant) -> Duration? {
        let due = max(now, last.map { $0 + ConnectionLimits.checkpointPace } ?? now)
        last = due
        return due > now ? due - now : nil
    }
}
