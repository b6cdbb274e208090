internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import StardustCore

/// Waits on a connection's loop until packets are under a published checkpoint, and finds what shows
/// it. Ends once: with evidence for each receipt, or why there is none.
final class CheckpointWait {
    typealias Found = [Result<Evidence, Problem>]

    private let connection: ConnectionHandler
    private let receipts: [Receipt]
    private var finish: ((Found) -> Void)?

    private init(
        _ connection: ConnectionHandler, _ receipts: [Receipt], _ finish: @escaping (Found) -> Void
    ) {
        (self.connection, self.receipts, self.finish) = (connection, receipts, finish)
    }

    /// `finish` is called on the connection's loop.
    static func begin(
        _ connection: ConnectionHandler, _ receipts: [Receipt],
        _ finish: @escaping (Found) -> Void
    ) {
        let wait = CheckpointWait(connection, receipts, finish)
        let loop = connection.context.eventLoop
        guard let publisher = connection.server.ledger.publisher else {
            return wait.fail(Problem(.stopping))
        }
        let bound = NIOLoopBound(wait, eventLoop: loop)
        let timeout = loop.assumeIsolated().scheduleTask(
            in: TimeAmount(LedgerLimits.checkpointWait)
        ) {
            wait.fail(Problem(Publisher.Unpublished.timeout))
        }
        let last = receipts.map(\.position.value).max() ?? 0
        publisher.whenCovered(LedgerSize(last + 1)) { result in
            loop.execute {
                timeout.cancel()
                bound.value.take(result)
            }
        }
    }

    private func take(_ result: Result<PublishedCheckpoint, Publisher.Unpublished>) {
        guard finish != nil else { return }
        let published: PublishedCheckpoint
        do throws(Publisher.Unpublished) { published = try result.get() } catch {
            return fail(Problem(error))
        }
        let (receipts, ledger) = (receipts, connection.server.ledger)
        connection.onReaders {
            receipts.map { Evidence.of($0, published, ledger) }
        } then: { [self] _, found in
            end(found)
        }
    }

    private func fail(_ problem: Problem) {
        end(
            receipts.map { receipt in
                var problem = problem
                problem.detail =
                    "the packet is durable at position \(receipt.position), but "
                    + problem.detail + ". Sending it again is harmless"
                problem.position = receipt.position.value
                return .failure(problem)
            })
    }

    private func end(_ found: Found) {
        guard let finish else { return }
        self.finish = nil
        finish(found)
    }
}

extension Parameters {
    /// Whether a receipt is wanted only when a checkpoint covers it.
    func waitsForCheckpoint() throws(Problem) -> Bool {
        guard let text = self["wait"] else { return false }
        guard text == "checkpoint" else {
            throw .badParameter("wait", "\(text) is nothing to wait for; `checkpoint` is")
        }
        return true
    }
}
