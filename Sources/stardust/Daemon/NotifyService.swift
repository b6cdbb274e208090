internal import Glibc
internal import Platform
internal import ServiceLifecycle
internal import StardustCore
internal import StardustHTTP
internal import Synchronization

/// Tells the service manager how the daemon is, from a thread of its own.
struct NotifyService: Service {
    let manager: ServiceManager
    let ledger: RunningLedger
    let pulse: LoopPulse
    private let isStopping = Ending()

    private final class Ending: Sendable { let flag = Atomic(false) }

    private static let interval: Duration = .milliseconds(200)
    /// A loop that has not turned for so long is stuck.
    private static let patience: Duration = .seconds(10)

    init(_ manager: ServiceManager, _ ledger: RunningLedger, _ pulse: LoopPulse) {
        (self.manager, self.ledger, self.pulse) = (manager, ledger, pulse)
    }

    func run() async throws {
        guard manager.listens else { return try await gracefulShutdown() }
        startThread("notify") { watch() }
        try? await gracefulShutdown()
        isStopping.flag.store(true, ordering: .relaxed)
        manager.tell(ServiceNotices.stopping)
    }

    private func watch() {
        var notices = ServiceNotices(watchdog: manager.watchdog)
        var sequencer = SequencerWatch()
        while !isStopping.flag.load(ordering: .relaxed) {
            let now = ContinuousClock.now
            let isTurning = pulse.oldest.map { now - $0 < Self.patience } ?? true
            let isAppending = sequencer.isAlive(
                batches: ledger.metrics.batches.value,
                isRunning: ProcessThreads.isRunning("sequencer"), now: now)
            let state = ServiceNotices.State(
                isServing: pulse.oldest != nil && ledger.phaseName != "recovering",
                status: status, bytesRead: ProcessThreads.bytesRead,
                isAlive: isTurning && isAppending)
            manager.tell(notices.lines(state, now: now))
            usleep(UInt32(Self.interval / .microseconds(1)))
        }
    }

    private var status: String {
        ledger.unreadiness.first ?? "serving"
    }
}

/// Tells the service manager that the process stops, as soon as it does.
struct StoppingNotice: Service {
    let manager: ServiceManager

    func run() async throws {
        try? await gracefulShutdown()
        manager.tell(ServiceNotices.stopping)
    }
}
