internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import Packets
internal import Platform
internal import Reconstruction
internal import StardustCore

/// One packet in one request.
final class SingleEmission: RequestBody {
    let kind = ConnectionState.Begun.body
    private let connection: ConnectionHandler
    private var body = ByteBuffer()
    private var reservation: Budgets.Lease
    private let waitsForCheckpoint: Bool
    /// The sequencer has the packet. Its bytes stay reserved until its outcome is known, even if the
    /// client has gone, but not while it waits for a checkpoint: an unreachable witness must not
    /// stop other workers.
    private var isSubmitted = false

    init(_ connection: ConnectionHandler, waitsForCheckpoint: Bool) {
        self.connection = connection
        self.waitsForCheckpoint = waitsForCheckpoint
        reservation = connection.lease(.bodyBytes)
    }

    private var ledger: RunningLedger { connection.server.ledger }

    func take(_ bytes: ByteBuffer) {
        let limit = connection.settings.packetBytes
        guard body.readableBytes + bytes.readableBytes <= limit else {
            return refuse(.tooLarge(limit: limit))
        }
        guard reservation.take(bytes.readableBytes) else {
            ledger.metrics.packetsTurnedAway.add()
            return refuse(Problem(.tooMuchInFlight))
        }
        if body.readableBytes == 0 {
            body = bytes
        } else {
            body.writeImmutableBuffer(bytes)
        }
    }

    private func refuse(_ problem: Problem) {
        abandon()
        connection.refuse(problem)
    }

    func abandon() {
        if !isSubmitted { reservation.give(back: reservation.amount) }
    }

    func finish() {
        let loop = connection.eventLoop
        let bound = NIOLoopBound(self, eventLoop: loop)
        var submission = Submission(peer: connection.peer.peer) { outcomes in
            loop.execute { bound.value.answer(outcomes[0]) }
        }
        let amending: ChainPacket?
        do throws(Problem) {
            amending = try admit(to: &submission)
        } catch {
            connection.server.refusedPacket(connection.peer, error)
            return respond(Answer(error))
        }
        isSubmitted = true
        guard let amending else { return submit(submission) }
        let (ledger, grant) = (ledger, connection.grant)
        connection.offLoop(.disk) {
            Result { () throws(Problem) in
                try Amendments.problem(amending, grant, .patient(ledger, since: .now))
            }
        } then: { [self] _, result in
            switch result {
            case .success(nil): submit(submission)
            case .success(let problem?), .failure(let problem):
                connection.server.refusedPacket(connection.peer, problem)
                respond(Answer(problem))
            }
        }
    }

    private func submit(_ submission: Submission) {
        if let refusal = ledger.submit(submission) {
            ledger.metrics.packetsTurnedAway.add()
            respond(Answer(Problem(refusal)))
        }
    }

    /// Parses and validates the body's packet. Returns it if somebody who is limited to some entity
    /// types amends others with it.
    private func admit(to submission: inout Submission) throws(Problem) -> ChainPacket? {
        let body = body
        let bytes = body.readableBytesUInt8Span
        let payload = bytes.extracting(JSONText.trimmed(bytes))
        let facts: PacketFacts
        do throws(PacketError) { facts = try connection.loop.read(payload) } catch {
            var problem = Problem(error)
            problem.offset? += JSONText.trimmed(bytes).lowerBound
            throw problem
        }
        guard connection.grant.allowsAppending(facts.entityType) else {
            throw connection.server.denied(
                .append, connection.peer, .forbidden(appending: facts.entityType))
        }
        if let refused = connection.settings.refusal(of: payload) { throw refused }
        submission.append(payload, facts)
        guard connection.grant.isLimited else { return nil }
        return Amendments.packet([UInt8](payload), facts)
    }

    private func answer(_ outcome: AppendOutcome) {
        switch outcome {
        case .appended(let receipt): give(receipt, isReplay: false)
        case .refused(let refusal):
            ledger.metrics.packetsTurnedAway.add()
            respond(Answer(Problem(refusal)))
        case .present(let position):
            let (body, ledger) = (body, ledger)
            let bytes = body.readableBytesUInt8Span
            let payload = [UInt8](bytes.extracting(JSONText.trimmed(bytes)))
            connection.offLoop(.disk) {
                Emission.replay(payload, .sha256(payload), at: position, ledger)
            } then: { [self] _, result in
                switch result {
                case .success(let receipt): give(receipt, isReplay: true)
                case .failure(let problem): respond(Answer(problem))
                }
            }
        }
    }

    private func give(_ receipt: Receipt, isReplay: Bool) {
        release()
        let status = isReplay ? 200 : 201
        guard waitsForCheckpoint else {
            return respond(Answer(status) { $0.receipt(receipt, isReplay: isReplay) })
        }
        CheckpointWait.evidence(for: [receipt], connection) { [self] found in
            switch found[0] {
            case .success(let evidence):
                respond(Answer(status) { $0.receipt(receipt, isReplay: isReplay, evidence) })
            case .failure(let problem): respond(Answer(problem))
            }
        }
    }

    private func release() {
        isSubmitted = false
        reservation.give(back: reservation.amount)
        body = ByteBuffer()
    }

    private func respond(_ answer: Answer) {
        release()
        connection.respond(answer)
    }
}
