#if PostgreSQL
    internal import Glibc
    internal import LedgerStorage
    internal import Logging
    internal import Platform
    internal import ReadModel
    internal import Replication
    internal import ServiceLifecycle
    internal import StardustCore
    internal import Synchronization

    /// Replication as a service of the daemon. Whatever becomes of it, the ledger goes on: when it
    /// cannot go on it lets others write, and tries again now and then, so that it takes up what
    /// somebody has mended.
    final class ModelService: Service {
        private let model: RunningModel
        private let settings: SyncSettings
        private let metrics: Metrics
        private let logger: Logger
        private let state = Mutex(State())

        private struct State {
            var synchronizer: Synchronizer?
            var isStopped = false
        }

        private static let pauseMin: Duration = .seconds(5)
        private static let pauseMax: Duration = .seconds(300)

        init(_ model: RunningModel, _ settings: SyncSettings, _ metrics: Metrics, logger: Logger) {
            (self.model, self.settings) = (model, settings)
            (self.metrics, self.logger) = (metrics, logger)
            model.reserveForService()
        }

        func run() async {
            await withGracefulShutdownHandler {
                await withCheckedContinuation { continuation in
                    startThread("model") {
                        self.work()
                        continuation.resume()
                    }
                }
            } onGracefulShutdown: {
                self.stop()
            }
        }

        private func stop() {
            state.withLock { state in
                state.isStopped = true
                state.synchronizer?.stop()
            }
        }

        private var isStopped: Bool { state.withLock { $0.isStopped } }

        private func work() {
            var told: String?
            var pause = Self.pauseMin
            while !isStopped {
                let began = ContinuousClock.now
                guard let reason = attempt() else { return }
                model.serviceFailed(reason)
                if reason != told {
                    logger.error(
                        "the read model does not follow; the ledger goes on",
                        metadata: ["reason": "\(reason)"])
                }
                told = reason
                // What is wrong for long may cost a whole copy each time.
                if ContinuousClock.now - began > Self.pauseMax { pause = Self.pauseMin }
                let end = ContinuousClock.now + pause
                pause = min(pause * 2, Self.pauseMax)
                while !isStopped, ContinuousClock.now < end { usleep(50_000) }
            }
        }

        /// Follows until the end, or returns why somebody has to look.
        private func attempt() -> String? {
            let lock: ModelFolder.Lock
            do throws(ModelFailure) { lock = try model.folder.lock() } catch {
                return error.description
            }
            defer { withExtendedLifetime(lock) {} }
            let observer = ServiceObserver(model: model, metrics: metrics)
            let synchronizer = Synchronizer(model.folder, settings, observer, logger: logger)
            let isStopped = state.withLock { state in
                state.synchronizer = synchronizer
                return state.isStopped
            }
            return isStopped ? nil : synchronizer.run()?.description
        }
    }

    private struct ServiceObserver: SyncObserver {
        let model: RunningModel
        let metrics: Metrics

        func applied(_ rows: Int, _ state: ModelState) {
            metrics.modelChanges.add(rows)
            model.serviceFollows()
        }

        func failed(_ failure: ReplicationFailure, willRetryIn: Duration?) {
            model.serviceFailed(failure.description)
        }
    }
#endif
