internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import Packets
internal import Platform
internal import StardustCore

/// One packet in one request.
final class SingleEmission {
    private let connection: ConnectionHandler
    private var body = ByteBuffer()
    /// Bytes that were taken from the ledger's room and not given back.
    private var reserved = 0
    private let waitsForCheckpoint: Bool

    init(_ connection: ConnectionHandler, waitsForCheckpoint: Bool) {
        self.connection = connection
        self.waitsForCheckpoint = waitsForCheckpoint
    }

    private var ledger: RunningLedger { connection.server.ledger }

    func take(_ bytes: ByteBuffer) {
        let limit = ledger.settings.packetBytes
        guard body.readableBytes + bytes.readableBytes <= limit else {
            return refuse(.tooLarge(limit: limit))
        }
        guard ledger.inbox.reserve(bytes.readableBytes) else {
            connection.server.metrics.packetsTurnedAway.add()
            return refuse(Problem(.tooMuchInFlight))
        }
        reserved += bytes.readableBytes
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

    /// Gives back what was reserved; nothing was appended.
    func abandon() {
        ledger.inbox.release(reserved)
        reserved = 0
    }

    func finish() {
        let bound = NIOLoopBound(self, eventLoop: connection.context.eventLoop)
        let (loop, inbox, count) = (connection.context.eventLoop, ledger.inbox, reserved)
        var submission = Submission(peer: connection.peer.peer) { outcomes in
            inbox.release(count)
            loop.execute { bound.value.answer(outcomes[0]) }
        }
        do throws(Problem) {
            try admit(to: &submission)
        } catch {
            connection.server.metrics.packetsRefused.add()
            abandon()
            return connection.respond(Answer(error))
        }
        if let refusal = ledger.submit(submission) {
            connection.server.metrics.packetsTurnedAway.add()
            abandon()
            connection.respond(Answer(Problem(refusal)))
        }
    }

    /// Parses and validates the body's packet.
    private func admit(to submission: inout Submission) throws(Problem) {
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
            throw Problem(
                403, "forbidden", "the configuration does not let you append \(facts.entityType)")
        }
        submission.append(payload, facts)
    }

    private func answer(_ outcome: AppendOutcome) {
        let server = connection.server
        switch outcome {
        case .appended(let receipt):
            give(receipt, isReplay: false)
        case .refused(let refusal):
            server.metrics.packetsTurnedAway.add()
            connection.respond(Answer(Problem(refusal)))
        case .present(let position):
            let body = body
            let bytes = body.readableBytesUInt8Span
            let payload = [UInt8](bytes.extracting(JSONText.trimmed(bytes)))
            connection.onReaders {
                Repetitions.answer(payload, .sha256(payload), at: position, server)
            } then: { [self] connection, result in
                switch result {
                case .success(let receipt): give(receipt, isReplay: true)
                case .failure(let problem): connection.respond(Answer(problem))
                }
            }
        }
    }

    private func give(_ receipt: Receipt, isReplay: Bool) {
        let status = isReplay ? 200 : 201
        guard waitsForCheckpoint else {
            return connection.respond(Answer(status) { $0.receipt(receipt, isReplay: isReplay) })
        }
        CheckpointWait.evidence(for: [receipt], connection) { [connection] found in
            switch found[0] {
            case .success(let evidence):
                connection.respond(
                    Answer(status) { $0.receipt(receipt, isReplay: isReplay, evidence) })
            case .failure(let problem): connection.respond(Answer(problem))
            }
        }
    }
}

/// Packets whose id stands already.
enum Repetitions {
    /// The first receipt for the same content, a conflict for other. Blocks on the disk.
    static func answer(
        _ payload: [UInt8], _ digest: Digest, at position: Position, _ server: ServerContext
    ) -> Result<Receipt, Problem> {
        do throws(ReadFailure) {
            switch try server.ledger.resolve(payload, digest: digest, at: position) {
            case .replay(let receipt):
                server.metrics.packetsReplayed.add()
                return .success(receipt)
            case .conflict(let receipt):
                server.metrics.packetsConflicting.add()
                return .failure(.conflict(receipt))
            }
        } catch { return .failure(Problem(error)) }
    }
}
