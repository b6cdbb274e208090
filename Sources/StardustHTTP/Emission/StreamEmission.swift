internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import Packets
internal import Platform
internal import StardustCore

/// Many packets in one request, one per line, each answered by a line in the same order.
///
/// Invariants:
///  1. `batches` are answered from the front; each line's answer is written once.
///  2. While `kept` has lines, or some of them are being read back, new ones queue behind them.
final class StreamEmission: RequestBody {
    let kind = ConnectionState.Begun.stream
    private let connection: ConnectionHandler
    private let waitsForCheckpoint: Bool
    private var cutter: LineCutter
    private var linesPerStep = EmissionLimits.streamChunkLines
    /// Bytes waiting for the end of their line or for room, and bytes being appended.
    private var reservation: Budgets.Lease
    private var batches = CircularBuffer<Batch>()
    private var bytesInFlight = 0
    private var linesInFlight = 0
    /// A submission that found the inbox full; retried before anything else is read.
    private var delayed: (submission: Submission, bytes: Int)?
    private var kept: KeptAnswers
    /// Memory of the lines that are not yet answered.
    private var unanswered: Budgets.Lease
    /// The client gets no byte of its answer before its body has ended.
    private let answersAtEnd: Bool
    private var isReadingBack = false
    /// What lines amend is being looked up.
    private var isLookingUp = false
    private var hasBegun = false
    /// A step is in progress, or waits for its turn.
    private var isStepping = false
    private var isAbandoned = false
    private let retry = RoomRetry()

    /// Lines that were cut together, and their outcomes once known.
    private final class Batch {
        var lines: [Line] = []
        /// The line's number in the body, for each of `lines`.
        var numbers: [Int] = []
        /// Number of lines in the body, including blank ones.
        var count = 0
        /// Bytes of `unanswered`.
        var weight = 0
        /// The packets, kept until the batch is settled: if an id is already stored, the contents
        /// are compared. Not the whole submission, whose completion has this batch.
        var payloads: (bytes: [UInt8], packets: [Submission.Packet])?
        var isAnswered = false
    }

    /// A line of the body: a waiting packet, or its answer.
    enum Line: Sendable {
        case packet(line: Int, ordinal: Int)
        case receipt(Receipt, isReplay: Bool, CheckpointEvidence? = nil)
        case problem(BoxedProblem)
    }

    init(_ connection: ConnectionHandler, waitsForCheckpoint: Bool, answersAtEnd: Bool) {
        self.answersAtEnd = answersAtEnd
        kept = KeptAnswers(connection.lease(.answerBytes))
        unanswered = connection.lease(.answerBytes)
        self.connection = connection
        self.waitsForCheckpoint = waitsForCheckpoint
        cutter = LineCutter(lineBytesMax: connection.settings.packetBytes)
        reservation = connection.lease(.bodyBytes)
    }

    private var ledger: RunningLedger { connection.server.ledger }

    // MARK: The body

    func take(_ bytes: ByteBuffer) {
        let hasRoom = reservation.add(bytes.readableBytes)
        reservation.give(back: cutter.add(bytes))
        if !hasRoom { retrySoon() }
        pump()
    }

    func finish() {
        cutter.end()
        clientTookAnswers()
        pump()
    }

    /// The connection is gone. Packets already handed over are still appended.
    func abandon() {
        if isAbandoned { return }
        isAbandoned = true
        reservation.give(back: cutter.bytesHeld + (delayed?.bytes ?? 0))
        delayed = nil
    }

    /// Cuts lines and hands them over while there is room, then pauses reading. Each step is a turn
    /// of the loop.
    private func pump() {
        if isAbandoned || isStepping { return }
        isStepping = true
        connection.loop.turns.take(connection.party) { [self] in
            let hasMore = !isAbandoned && step() == true
            isStepping = false
            if hasMore { pump() } else { endIfDone() }
        }
        // What waits for its turn is no more than what the next turn takes.
        if isStepping, cutter.bytesHeld >= EmissionLimits.streamChunkBytes {
            connection.setReadingHeld(.room)
        }
    }

    /// Handles one chunk of lines. Nil if there is no room now, false if there are no lines.
    private func step() -> Bool? {
        if isLookingUp { return nil }
        if let (submission, _) = delayed {
            guard offer(submission) else { return nil }
            delayed = nil
        }
        if kept.isFull {
            // Nobody can take an answer that has not begun.
            if !hasBegun { begin() }
            clientTookAnswers()
            connection.setReadingHeld(.answers)
            return nil
        }
        guard unanswered.hasRoom else {
            retrySoon()
            return nil
        }
        guard bytesInFlight < EmissionLimits.streamBytesInFlight,
            linesInFlight < EmissionLimits.streamLinesInFlight
        else {
            connection.setReadingHeld(.room)
            return nil
        }
        let chunk = cutter.next(atMost: EmissionLimits.streamChunkBytes, lines: linesPerStep)
        guard let chunk else {
            reservation.give(back: cutter.dropLeadingSpace())
            if reservation.hasRoom { connection.setReadingHeld(nil) } else { retrySoon() }
            return false
        }
        return admit(chunk) ? true : nil
    }

    /// Hands a chunk's packets over, once it is known what those of a peer who is limited to some
    /// entity types amend. False if there is more to wait for.
    private func admit(_ chunk: LineCutter.Chunk) -> Bool {
        let grant = connection.currentGrant
        guard grant.isLimited else { return handOver(chunk, refused: [:]) }
        let amending = Amendments.packets(in: chunk) { try? connection.loop.read($0) }
        guard !amending.isEmpty else { return handOver(chunk, refused: [:]) }
        isLookingUp = true
        connection.setReadingHeld(.room)
        let ledger = ledger
        connection.offLoop(.disk) {
            Amendments.problems(amending, grant, .patient(ledger, since: .now))
        } then: { [self] _, refused in
            isLookingUp = false
            if isAbandoned { return reservation.give(back: chunk.bytes) }
            _ = handOver(chunk, refused: refused)
            pump()
        }
        return false
    }

    /// Parses a chunk's lines and hands the packets over. False if the inbox is full.
    private func handOver(_ chunk: LineCutter.Chunk, refused: [Int: BoxedProblem]) -> Bool {
        let batch = Batch()
        let bound = NIOLoopBound(
            (stream: self, batch: batch), eventLoop: connection.eventLoop)
        let (loop, bytes, grant) = (connection.eventLoop, chunk.bytes, connection.currentGrant)
        var submission = Submission(peer: connection.peer.peer) { outcomes in
            loop.execute { bound.value.stream.answered(bound.value.batch, outcomes, bytes) }
        }
        submission.bytes.reserveCapacity(chunk.bytes)
        chunk.eachLine { line, text in
            batch.numbers.append(line)
            switch text {
            case .tooLong: batch.lines.append(.problem(BoxedProblem(tooLarge(line))))
            case .text(let payload):
                batch.lines.append(read(payload, line, grant, refused[line], into: &submission))
            }
        }
        let isMostlyRefused = 2 * submission.packets.count < batch.lines.count
        linesPerStep =
            isMostlyRefused
            ? EmissionLimits.streamChunkLinesRefused : EmissionLimits.streamChunkLines
        batch.payloads = (submission.bytes, submission.packets)
        batch.count = chunk.lines
        batch.weight = batch.lines.reduce(0) { sum, line in
            if case .problem = line { return sum + EmissionLimits.problemBytes }
            return sum + EmissionLimits.receiptBytes
        }
        _ = unanswered.add(batch.weight)
        batches.append(batch)
        bytesInFlight += bytes
        linesInFlight += chunk.lines
        guard !submission.packets.isEmpty else {
            answered(batch, [], bytes)
            return true
        }
        guard offer(submission) else {
            delayed = (submission, bytes)
            return false
        }
        return true
    }

    private func read(
        _ payload: Span<UInt8>, _ line: Int, _ grant: AccessPolicy.Grant, _ refused: BoxedProblem?,
        into submission: inout Submission
    ) -> Line {
        var problem: Problem
        do throws(PacketError) {
            let facts = try connection.loop.read(payload)
            if !grant.allows(.append) {
                problem = connection.server.denied(.append, connection.peer, .forbidden(.append))
            } else if !grant.allowsAppending(facts.entityType) {
                problem = connection.server.denied(
                    .append, connection.peer, .forbidden(appending: facts.entityType))
            } else if let refused {
                problem = refused.problem
            } else if let refused = connection.settings.refusal(of: payload) {
                problem = refused
            } else {
                submission.append(payload, facts)
                return .packet(line: line, ordinal: submission.packets.count - 1)
            }
        } catch { problem = Problem(error) }
        problem.line = line
        connection.server.refusedPacket(connection.peer, problem)
        return .problem(BoxedProblem(problem))
    }

    private func tooLarge(_ line: Int) -> Problem {
        var problem = Problem.tooLarge(limit: connection.settings.packetBytes)
        problem.line = line
        connection.server.refusedPacket(connection.peer, problem)
        return problem
    }

    /// False if the inbox is full; then reading pauses and the submission is retried soon.
    private func offer(_ submission: Submission) -> Bool {
        switch ledger.submit(submission) {
        case nil: return true
        case .tooMuchInFlight?:
            retrySoon()
            return false
        case let refusal?:
            submission.completion(submission.packets.map { _ in .refused(refusal) })
            return true
        }
    }

    private func retrySoon() { retry.soon(connection) { self.pump() } }

    // MARK: Outcomes

    private func answered(_ batch: Batch, _ outcomes: [AppendOutcome], _ bytes: Int) {
        bytesInFlight -= bytes
        reservation.give(back: bytes)
        var present: [(line: Int, ordinal: Int, number: Int, position: Position)] = []
        for (index, line) in batch.lines.enumerated() {
            guard case .packet(let number, let ordinal) = line else { continue }
            switch outcomes[ordinal] {
            case .appended(let receipt): batch.lines[index] = .receipt(receipt, isReplay: false)
            case .present(let position): present.append((index, ordinal, number, position))
            case .refused(let refusal):
                connection.server.metrics.packetsTurnedAway.add()
                var problem = Problem(refusal)
                problem.line = number
                batch.lines[index] = .problem(BoxedProblem(problem))
            }
        }
        guard present.isEmpty else { return resolve(present, batch) }
        batch.payloads = nil
        awaitCheckpoint(batch)
    }

    private func resolve(
        _ present: [(line: Int, ordinal: Int, number: Int, position: Position)], _ batch: Batch
    ) {
        guard let (bytes, packets) = batch.payloads, !isAbandoned else { return }
        let ledger = ledger
        connection.offLoop(.disk) {
            present.map { item -> (Int, Line) in
                let packet = packets[item.ordinal]
                let payload = Array(bytes[packet.range])
                switch Emission.replay(payload, packet.digest, at: item.position, ledger) {
                case .success(let receipt): return (item.line, .receipt(receipt, isReplay: true))
                case .failure(var problem):
                    problem.line = item.number
                    return (item.line, .problem(BoxedProblem(problem)))
                }
            }
        } then: { [self] _, answers in
            for (index, line) in answers { batch.lines[index] = line }
            awaitCheckpoint(batch)
        }
    }

    /// Settles a batch. If the client asked for it, this first waits until a checkpoint covers
    /// all of it.
    private func awaitCheckpoint(_ batch: Batch) {
        var waiting: [(index: Int, receipt: Receipt, isReplay: Bool)] = []
        if waitsForCheckpoint {
            for (index, line) in batch.lines.enumerated() {
                guard case .receipt(let receipt, let isReplay, _) = line else { continue }
                waiting.append((index, receipt, isReplay))
            }
        }
        guard !waiting.isEmpty, !isAbandoned else { return settle(batch) }
        CheckpointWait.evidence(for: waiting.map(\.receipt), connection) { [self] found in
            for (place, result) in zip(waiting, found) {
                switch result {
                case .success(let evidence):
                    batch.lines[place.index] = .receipt(
                        place.receipt, isReplay: place.isReplay, evidence)
                case .failure(var problem):
                    problem.line = batch.numbers[place.index]
                    batch.lines[place.index] = .problem(BoxedProblem(problem))
                }
            }
            settle(batch)
        }
    }

    private func settle(_ batch: Batch) {
        batch.isAnswered = true
        batch.payloads = nil
        while let first = batches.first, first.isAnswered {
            batches.removeFirst()
            linesInFlight -= first.count
            unanswered.give(back: first.weight)
            write(first.lines)
        }
        clientTookAnswers()
        pump()
    }

    // MARK: Answers

    private func write(_ lines: [Line]) {
        if isAbandoned || lines.isEmpty { return }
        if answersAtEnd, !hasBegun, !cutter.hasEnded { return kept.append(lines) }
        if !hasBegun { begin() }
        guard kept.isEmpty, !isReadingBack, connection.isWritable else {
            kept.append(lines)
            return
        }
        connection.stream(AnswerLines.rendered(lines))
    }

    private func begin() {
        hasBegun = true
        connection.beginStreaming()
    }

    /// Called when there is room again: sends kept answers, read back from the ledger.
    func clientTookAnswers() {
        guard !isAbandoned, !isReadingBack, !kept.isEmpty, connection.isWritable else { return }
        guard hasBegun || !answersAtEnd || cutter.hasEnded else { return }
        if !hasBegun { begin() }
        isReadingBack = true
        let (some, ledger, waits) = (
            kept.take(EmissionLimits.linesReadBack), ledger, waitsForCheckpoint
        )
        connection.offLoop(.disk) {
            AnswerLines.rendered(some, from: ledger, withEvidence: waits)
        } then: { [self] connection, bytes in
            isReadingBack = false
            guard !isAbandoned else { return }
            connection.stream(bytes)
            clientTookAnswers()
            pump()
        }
    }

    private func endIfDone() {
        guard cutter.isDone, delayed == nil, batches.isEmpty, kept.isEmpty, !isReadingBack,
            !isLookingUp, !isAbandoned
        else { return }
        isAbandoned = true
        if !hasBegun { connection.beginStreaming() }
        connection.endStreaming()
    }
}
