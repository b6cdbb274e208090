internal import Platform

/// What a service manager is told, as a function of what happens: sd_notify(3).
struct ServiceNotices {
    private var isReady = false
    private var status = ""
    private var lastExtension: ContinuousClock.Instant?
    private var lastBeat: ContinuousClock.Instant?
    private let watchdog: Duration?

    /// What the daemon is like at a moment.
    struct State {
        /// The ledger is open, and clients can connect.
        var isServing: Bool
        /// In words; one line.
        var status: String
        /// Bytes that the process has read since it began.
        var bytesRead: Int
        /// Neither a loop nor the sequencer is stuck in our own code.
        var isAlive: Bool
    }

    init(watchdog: Duration?) { self.watchdog = watchdog }

    private var bytesRead = 0
    /// How often a slow opening is told about, and for how long it asks to be left alone.
    private static let patience: Duration = .seconds(10)
    private static let room: Duration = .seconds(60)

    /// The lines of one message; none if there is nothing to tell.
    mutating func lines(_ state: State, now: ContinuousClock.Instant) -> [String] {
        var lines: [String] = []
        if state.isServing, !isReady {
            isReady = true
            lines.append("READY=1")
        }
        if state.status != status {
            status = state.status
            lines.append("STATUS=\(status)")
        }
        if !isReady, lastExtension.map({ now - $0 >= Self.patience }) ?? true,
            state.bytesRead > bytesRead
        {
            (lastExtension, bytesRead) = (now, state.bytesRead)
            lines.append("EXTEND_TIMEOUT_USEC=\(Int64(Self.room / .microseconds(1)))")
        }
        if let watchdog, state.isAlive, lastBeat.map({ now - $0 >= watchdog / 3 }) ?? true {
            lastBeat = now
            lines.append("WATCHDOG=1")
        }
        return lines
    }

    /// `now` is the monotonic clock, in microseconds.
    static func reloading(now: Int64) -> [String] { ["RELOADING=1", "MONOTONIC_USEC=\(now)"] }
    static let reloaded = ["READY=1"]
    static let stopping = ["STOPPING=1", "STATUS=stopping"]
}

/// Whether the thread that appends is stuck in our own code: it runs all the time, and nothing becomes durable. Whoever
/// waits in a system call is not stuck, however slow the disk is.
struct SequencerWatch {
    private var batches = -1
    private var moved: ContinuousClock.Instant?
    private static let patience: Duration = .seconds(10)

    /// `isRunning` says that the thread is on a processor, or wants to be.
    mutating func isAlive(
        batches: Int, isRunning: Bool, now: ContinuousClock.Instant
    ) -> Bool {
        if batches != self.batches || !isRunning || moved == nil {
            (self.batches, moved) = (batches, now)
        }
        return now - (moved ?? now) < Self.patience
    }
}
