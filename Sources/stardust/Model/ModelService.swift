#if PostgreSQL
    internal import LedgerStorage
    internal import Logging
    internal import Platform
    internal import ReadModel
    internal import Replication
    internal import ServiceLifecycle
    internal import StardustCore

    /// Replication as a service of the daemon. If it fails, the ledger keeps running.
    struct ModelService: Service {
        private let synchronizer: Synchronizer

        init(_ model: RunningModel, _ settings: SyncSettings, _ metrics: Metrics, logger: Logger) {
            model.reserveForService()
            synchronizer = Synchronizer(
                model.folder, settings, ServiceObserver(model: model, metrics: metrics),
                logger: logger)
        }

        func run() async {
            await withGracefulShutdownHandler {
                await withCheckedContinuation { continuation in
                    startThread("model") {
                        synchronizer.runAsService()
                        continuation.resume()
                    }
                }
            } onGracefulShutdown: {
                synchronizer.stop()
            }
        }
    }

    private struct ServiceObserver: SyncObserver {
        let model: RunningModel
        let metrics: Metrics

        func applied(_ rows: Int, _ state: ModelState) {
            metrics.modelChanges.add(rows)
            model.serviceFollows()
        }

        func waits(for reason: String?) { model.serviceWaits(for: reason) }

        func failed(_ failure: ReplicationFailure, willRetryIn: Duration?) {
            model.serviceFailed(failure.description, needsDecision: willRetryIn == nil)
        }
    }
#endif
