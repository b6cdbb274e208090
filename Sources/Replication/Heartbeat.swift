#if PostgreSQL
    internal import Logging
    internal import Platform
    internal import ReadModel

    /// A thread that tells the server that we are alive, even during a long commit, and that checks
    /// the slot.
    final class Heartbeat: Sendable {
        private let stream: ReplicationStream
        private let state: Monitor<State>
        private let retainedBytesWarning: Int64

        private struct State {
            var lsn: LSN
            var slot: SlotFacts?
            var isEnding = false
            var failure: ReplicationFailure?
        }

        init(_ stream: ReplicationStream, lsn: LSN, retainedBytesWarning: Int64) {
            (self.stream, self.retainedBytesWarning) = (stream, retainedBytesWarning)
            state = Monitor(State(lsn: lsn))
        }

        func durable(_ lsn: LSN) { state.withLock { $0.lsn = lsn } }
        func end() { state.change { $0.isEnding = true } }

        /// Throws the failure that occurred on the thread, if any.
        func check() throws(ReplicationFailure) {
            if let failure = state.withLock({ $0.failure }) { throw failure }
        }

        /// Records what the slot costs the source.
        func describe(_ model: inout ModelState) {
            guard let slot = state.withLock({ $0.slot }) else { return }
            model.retainedBytes = slot.retainedBytes
            if let lsn = slot.sourceLSN { model.sourceLSN = max(model.sourceLSN, lsn) }
            var warnings: [String] = []
            if let bytes = slot.retainedBytes, bytes > retainedBytesWarning {
                warnings.append(
                    "\(SlotFacts.warning) holds back \(bytes >> 20) MiB of write-ahead log at the source"
                )
            }
            if slot.walStatus == "unreserved" || slot.walStatus == "lost" {
                warnings.append(
                    "\(SlotFacts.warning) is \(slot.walStatus): the server is about to remove what it needs"
                )
            }
            let others = model.warnings.filter { !$0.hasPrefix(SlotFacts.warning) }
            model.warnings = others + warnings
        }

        /// Runs until `end`. `interval` is at most a third of the server's timeout.
        func run(
            _ catalog: SourceCatalog, slot name: String, every interval: Duration, _ logger: Logger
        ) {
            var wasWarned = false
            while true {
                let due = ContinuousClock.now + interval
                do throws(ReplicationFailure) {
                    // The reply shows that the server is alive.
                    try stream.report(state.withLock { $0.lsn }, asksForReply: true)
                    let slot = try catalog.slot(name)
                    state.withLock { $0.slot = slot }
                    let retained = slot?.retainedBytes ?? 0
                    if retained > retainedBytesWarning, !wasWarned {
                        logger.log(
                            .slotHoldsLog,
                            "the slot holds back a lot of write-ahead log at the source",
                            metadata: ["slot": "\(name)", "bytes": "\(retained)"])
                    }
                    wasWarned = retained > retainedBytesWarning
                } catch {
                    state.withLock { $0.failure = error }
                    return
                }
                let isEnding = state.wait(until: due) { $0.isEnding ? true : nil }
                if isEnding == true { return }
            }
        }
    }
#endif
