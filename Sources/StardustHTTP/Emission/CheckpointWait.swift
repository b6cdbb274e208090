internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import Publishing
internal import StardustCore

/// Waits on an event loop until a published checkpoint covers a size. It ends once, with the
/// checkpoint or the reason there is none. It never blocks the loop.
final class CheckpointWait {
    typealias Outcome = Result<SignedCheckpoint, Problem>

    private var finish: ((Outcome) -> Void)?
    private var timeout: Scheduled<Void>?

    private init(_ finish: @escaping (Outcome) -> Void) { self.finish = finish }

    /// `finish` is called on `loop`, which must be the current one.
    static func begin(
        _ ledger: RunningLedger, _ size: LedgerSize, atMost time: Duration, on loop: any EventLoop,
        _ finish: @escaping (Outcome) -> Void
    ) {
        guard let publisher = ledger.publisher else {
            return finish(.failure(Problem(.stopping)))
        }
        let wait = CheckpointWait(finish)
        let bound = NIOLoopBound(wait, eventLoop: loop)
        let waiter = publisher.whenCovered(size) { result in
            loop.execute { bound.value.end(result.mapError { Problem($0) }) }
        }
        guard let waiter else { return }
        wait.timeout = loop.assumeIsolated().scheduleTask(in: TimeAmount(time)) {
            publisher.forget(waiter)
            wait.end(.failure(Problem(Publisher.Unpublished.timeout)))
        }
    }

    private func end(_ outcome: Outcome) {
        guard let finish else { return }
        self.finish = nil
        timeout?.cancel()
        finish(outcome)
    }

    /// The same for receipts, with the evidence for each. `finish` is called on the connection's
    /// loop.
    static func evidence(
        for receipts: [Receipt], _ connection: ConnectionHandler,
        _ finish: @escaping ([Result<CheckpointEvidence, Problem>]) -> Void
    ) {
        let ledger = connection.server.ledger
        let last = receipts.map(\.position.value).max() ?? 0
        begin(
            ledger, LedgerSize(last + 1), atMost: PublishingLimits.checkpointWait,
            on: connection.eventLoop
        ) { outcome in
            switch outcome {
            case .success(let published):
                connection.offLoop(.disk) {
                    receipts.map { CheckpointEvidence.of($0, published, ledger) }
                } then: { _, found in
                    finish(found)
                }
            case .failure(let problem):
                finish(receipts.map { .failure(problem.ofDurable($0)) })
            }
        }
    }
}

extension Problem {
    /// Why no checkpoint covers a packet that is durable nonetheless.
    fileprivate func ofDurable(_ receipt: Receipt) -> Problem {
        var problem = self
        problem.detail =
            "the packet is durable at position \(receipt.position), but \(detail). It is safe "
            + "to send it again"
        problem.position = receipt.position.value
        return problem
    }
}
