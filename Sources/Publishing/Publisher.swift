package import LedgerFormat
package import LedgerStorage
package import Logging
package import Platform

/// Keeps the tree behind the ledger and publishes checkpoints, on a thread of its own: at most once
/// a second while the ledger grows, at once when somebody waits for one.
///
/// A checkpoint is published when it is durable here and, where there is a policy, enough witnesses
/// have cosigned it.
package final class Publisher: Sendable {
    let map: LedgerMap
    let files: TreeFiles
    package let history: KeyHistory
    private let witnesses: WitnessCouncil
    private let logger: Logger
    private let metrics: Metrics
    private let monitor: Monitor<State>

    private struct State {
        var phase = Phase.publishing
        /// The newest that may be shown.
        var published: SignedCheckpoint?
        /// Hashes of entries behind the tree, without gaps; the first stands at `pendingStart`.
        var pending: [Digest] = []
        var pendingStart = Position(0)
        var waiters: [Int: Waiter] = [:]
        var lastWaiter = 0
        /// What the witnesses answered, until the thread takes it.
        var roundEnd: WitnessCouncil.Outcome?
        var isIdle = false
        var isTreeDistrusted = false
        /// It is being made again, and has not come as far as what was published.
        var isRebuilding = false
        /// Nobody may wait any more.
        var refusesWaiting = false
        var isStopping = false
        var isStopped = false

        mutating func takeWaiters(upTo size: LedgerSize = LedgerSize(.max)) -> [Waiter] {
            let taken = waiters.filter { $1.size <= size }
            for number in taken.keys { waiters[number] = nil }
            return Array(taken.values)
        }
    }

    private struct Waiter {
        var size: LedgerSize
        var tell: @Sendable (Result<SignedCheckpoint, Unpublished>) -> Void
    }

    /// How publishing stands.
    package enum Phase: Hashable, Sendable {
        case publishing
        /// It cannot be written for now; tried again.
        case stalled(String, isNoSpace: Bool)
        /// Nothing is signed any more until an operator has looked.
        case stopped(String)

        fileprivate var isStopped: Bool { if case .stopped = self { true } else { false } }
    }

    /// Why there is no checkpoint over something.
    package enum Unpublished: Error, Hashable, Sendable {
        case phase(String)
        case timeout
        case closing
    }

    package init(
        _ publisher: consuming TreePublisher, _ map: LedgerMap, _ witnesses: WitnessCouncil,
        logger: Logger, metrics: Metrics
    ) {
        self.map = map
        self.witnesses = witnesses
        self.logger = logger
        self.metrics = metrics
        files = publisher.tree.files
        history = publisher.history
        var state = State()
        state.pendingStart = publisher.tree.size.nextPosition
        state.published = publisher.recent.last { witnesses.isEnough($0) }
        if let alarm = witnesses.alarm {
            state.phase = .stopped(alarm)
            logger.critical("nothing is published any more: \(alarm)")
            metrics.publishingStopped.set(1)
        }
        metrics.publishedSize.set(Int(state.published?.checkpoint.size.entries ?? 0))
        monitor = Monitor(state)
        start(publisher)
    }

    private func start(_ publisher: consuming TreePublisher) {
        let box = OneTimeBox(publisher)
        startThread("publisher") { self.run(box.take()) }
    }

    // MARK: The sequencer's side

    /// Takes the hashes of a batch. Where they pile up they are dropped, and read back later.
    package func add(_ hashes: [Digest], from position: Position) {
        let needsWaking = monitor.withLock { state in
            if state.pending.isEmpty { state.pendingStart = position }
            if state.pending.count > PublishingLimits.treePendingMax { state.pending = [] }
            guard state.pendingStart.value + UInt64(state.pending.count) == position.value else {
                return state.isIdle
            }
            state.pending += hashes
            return state.isIdle || !state.waiters.isEmpty
                || state.pending.count >= PublishingLimits.treePending
        }
        if needsWaking { monitor.change { _ in } }
    }

    /// Why appends cannot go on, where checkpoints have no room.
    package var noSpace: String? {
        monitor.withLock { state in
            if case .stalled(let reason, isNoSpace: true) = state.phase { reason } else { nil }
        }
    }

    /// Makes the tree durable, after a last checkpoint.
    package func stop() {
        monitor.change { $0.isStopping = true }
        monitor.wait { $0.isStopped ? () : nil }
    }

    // MARK: Readers

    package var phase: Phase { monitor.withLock { $0.phase } }

    /// The newest published checkpoint.
    package var published: SignedCheckpoint? { monitor.withLock { $0.published } }

    /// Calls `tell` once, on any thread, when a published checkpoint covers a size, or when it is
    /// clear that none will. It must not block. Gives what `forget` takes; nil where it was told.
    package func whenCovered(
        _ size: LedgerSize,
        _ tell: @escaping @Sendable (Result<SignedCheckpoint, Unpublished>) -> Void
    ) -> Int? {
        let known: (Result<SignedCheckpoint, Unpublished>?, Int?) = monitor.change { state in
            if let published = state.published, published.checkpoint.size >= size {
                return (.success(published), nil)
            }
            if case .stopped(let reason) = state.phase { return (.failure(.phase(reason)), nil) }
            if state.refusesWaiting { return (.failure(.closing), nil) }
            state.lastWaiter += 1
            state.waiters[state.lastWaiter] = Waiter(size: size, tell: tell)
            return (nil, state.lastWaiter)
        }
        if let result = known.0 { tell(result) }
        return known.1
    }

    /// Nobody waits for that any more.
    package func forget(_ waiter: Int) {
        monitor.change { _ = $0.waiters.removeValue(forKey: waiter) }
    }

    /// Tells all who wait that it will not be, and whoever would.
    package func stopWaiting() {
        let waiters = monitor.change { state in
            state.refusesWaiting = true
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.tell(.failure(.closing)) }
    }

    /// The same, for a thread that may wait until a deadline.
    package func covering(
        _ size: LedgerSize, until deadline: ContinuousClock.Instant
    ) throws(Unpublished) -> SignedCheckpoint {
        let answer = Monitor<Result<SignedCheckpoint, Unpublished>?>(nil)
        let waiter = whenCovered(size) { result in answer.change { $0 = result } }
        guard let result = answer.wait(until: deadline, { $0 }) else {
            if let waiter { forget(waiter) }
            throw .timeout
        }
        return try result.get()
    }

    /// A proof did not lead to the checkpoint's root: the tree is made again.
    package func distrustTree() {
        // What is asked while that is under way finds it unfinished, and says nothing new.
        monitor.change { $0.isTreeDistrusted = !$0.isRebuilding }
    }

    /// Whether the tree is being made again from the entries.
    package var isRebuilding: Bool { monitor.withLock { $0.isRebuilding } }

    // MARK: The thread

    private func run(_ publisher: consuming TreePublisher) {
        var publisher = publisher
        var schedule = CheckpointSchedule(newest: publisher.newest?.checkpoint.size)
        schedule.needsRound = publisher.newest != published
        while true {
            let work = nextWork(schedule, publisher.tree.size)
            if case .end = work { break }
            do throws(PublishFailure) {
                try perform(work, &publisher, &schedule)
                monitor.change { if case .stalled = $0.phase { $0.phase = .publishing } }
            } catch { recover(from: error) }
        }
        close(&publisher)
    }

    private enum Work {
        case extend([Digest])
        case catchUp
        case sign
        case ask
        case roundEnded(WitnessCouncil.Outcome)
        case rebuild
        case end
    }

    private func nextWork(_ schedule: CheckpointSchedule, _ tree: LedgerSize) -> Work {
        while true {
            let head = map.head.size
            let (work, isWanted, mayPublish): (Work?, Bool, Bool) = monitor.withLock { state in
                state.isIdle = false
                let work = decide(&state, schedule, tree, head)
                return (work, !state.waiters.isEmpty, !state.phase.isStopped)
            }
            if let work { return work }
            // Where nothing is published any more, nothing is due: only full rows of hashes come.
            let due = mayPublish ? schedule.due(head: head, isWanted: isWanted) : nil
            let deadline = due ?? .now + .seconds(3600)
            let wakesOnGrowth = mayPublish && due == nil
            let seen = monitor.withLock { state in
                state.isIdle = wakesOnGrowth
                return state.pending.count
            }
            _ = monitor.wait(until: deadline) { state in
                state.isStopping || state.roundEnd != nil || state.isTreeDistrusted
                    || (wakesOnGrowth && state.pending.count != seen)
                    || state.pending.count >= PublishingLimits.treePending
                    || state.waiters.isEmpty == isWanted ? () : nil
            }
        }
    }

    private func decide(
        _ state: inout State, _ schedule: CheckpointSchedule, _ tree: LedgerSize,
        _ head: LedgerSize
    ) -> Work? {
        if let outcome = state.roundEnd {
            state.roundEnd = nil
            return .roundEnded(outcome)
        }
        if state.isStopping { return .end }
        if tree >= state.published?.checkpoint.size ?? .empty { state.isRebuilding = false }
        if state.isTreeDistrusted {
            (state.isTreeDistrusted, state.isRebuilding) = (false, true)
            return .rebuild
        }
        let due = schedule.due(head: head, isWanted: !state.waiters.isEmpty)
        let isDue = due.map { $0 <= .now } ?? false
        // What was published must be provable at once.
        let isBehind = tree < state.published?.checkpoint.size ?? .empty
        if state.pending.count >= PublishingLimits.treePending || (isDue || isBehind) && tree < head {
            guard state.pendingStart == tree.nextPosition, !state.pending.isEmpty else {
                state.pending = []
                return .catchUp
            }
            defer { (state.pending, state.pendingStart) = ([], head.nextPosition) }
            return .extend(state.pending)
        }
        if state.phase.isStopped { return nil }
        guard isDue else {
            // Nothing is left to be written, so nothing fails any more.
            if case .stalled = state.phase { state.phase = .publishing }
            return nil
        }
        return schedule.needsRound(at: head) ? .ask : .sign
    }

    private enum PublishFailure: Error {
        case read(ReadFailure)
        case sign(TreePublisher.Failure)
    }

    private func perform(
        _ work: Work, _ publisher: inout TreePublisher, _ schedule: inout CheckpointSchedule
    ) throws(PublishFailure) {
        switch work {
        case .end: break
        case .extend(let hashes):
            do throws(FileFailure) { try publisher.extend(hashes) } catch {
                throw .read(.file(error))
            }
        case .rebuild, .catchUp:
            do throws(ReadFailure) {
                if case .rebuild = work {
                    logger.warning("the tree's files are not what the entries give: made again")
                    publisher.rebuild()
                }
                try publisher.catchUp(atMost: PublishingLimits.treePending)
            } catch { throw .read(error) }
        case .sign:
            schedule.signed(nil)
            let signed: SignedCheckpoint
            do throws(TreePublisher.Failure) {
                let time = map.head.lastReceivedAt ?? Timestamp(microseconds: 0)
                signed = try publisher.sign(lastReceivedAt: time)
            } catch { throw .sign(error) }
            metrics.checkpointsSigned.add()
            schedule.signed(signed.checkpoint.size)
            if witnesses.asksNobody, witnesses.isEnough(signed) { return publish(signed) }
            ask(signed, publisher, &schedule)
        case .ask:
            schedule.signed(nil)
            ask(publisher.newest!, publisher, &schedule)
        case .roundEnded(let outcome): try take(outcome, &publisher, &schedule)
        }
    }

    private func publish(_ checkpoint: SignedCheckpoint) {
        metrics.publishedSize.set(Int(checkpoint.checkpoint.size.entries))
        let covered = monitor.change { state in
            state.published = checkpoint
            return state.takeWaiters(upTo: checkpoint.checkpoint.size)
        }
        for waiter in covered { waiter.tell(.success(checkpoint)) }
    }

    // MARK: Witnesses

    private func ask(
        _ signed: SignedCheckpoint, _ publisher: borrowing TreePublisher,
        _ schedule: inout CheckpointSchedule
    ) {
        schedule.isRoundUnderWay = true
        let distrust: @Sendable () -> Void = { self.distrustTree() }
        witnesses.ask(signed, files: publisher.tree.files, distrust) { outcome in
            self.monitor.change { $0.roundEnd = outcome }
        }
    }

    private func take(
        _ outcome: WitnessCouncil.Outcome, _ publisher: inout TreePublisher,
        _ schedule: inout CheckpointSchedule
    ) throws(PublishFailure) {
        schedule.isRoundUnderWay = false
        // Until what came of it is kept, it is as if nobody had been asked.
        schedule.needsRound = true
        for problem in outcome.problems { logger.warning("witness \(problem)") }
        metrics.cosignatures.add(outcome.cosignatureCount)
        do throws(TreePublisher.Failure) {
            if outcome.cosignatureCount > 0 { try publisher.keep(outcome.checkpoint) }
        } catch { throw .sign(error) }
        if let alarm = outcome.alarm {
            witnesses.keep(alarm)
            return stopPublishing(alarm)
        }
        let isEnough = witnesses.isEnough(outcome.checkpoint)
        schedule.needsRound = !isEnough
        if isEnough { publish(outcome.checkpoint) }
    }

    /// Somebody has seen another history of this ledger, or it can no longer be told what is durable.
    private func stopPublishing(_ reason: String) {
        logger.critical("nothing is published any more: \(reason)")
        metrics.publishingStopped.set(1)
        let waiters = monitor.change { state in
            state.phase = .stopped(reason)
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.tell(.failure(.phase(reason))) }
    }

    private func recover(from failure: PublishFailure) {
        switch failure {
        case .read(.file(let failure)), .sign(.file(let failure)):
            // Something else stands in a file's place: it is set aside.
            if failure.isOutOfPlace { distrustTree() }
            // What a failed sync left behind is unknown: nothing is signed on top of it.
            if case .sync = failure.operation { return stopPublishing("\(failure)") }
            logger.warning("publishing: \(failure)")
            monitor.change { state in
                // What stopped for good is not begun again by a disk that has room once more.
                if state.phase.isStopped { return }
                state.phase = .stalled(failure.description, isNoSpace: failure.isNoSpace)
            }
            _ = monitor.wait(until: .now + PlatformLimits.retryDelay) { $0.isStopping ? () : nil }
        case .read(.damaged(let finding)): stopPublishing(finding.description)
        case .sign(.key(let failure)): stopPublishing(failure.description)
        }
    }

    /// Signs what came last, where nobody need be asked, and leaves the tree complete.
    private func close(_ publisher: inout TreePublisher) {
        do throws(ReadFailure) {
            // One that is being made from the beginning goes on at the next start.
            try publisher.catchUp(atMost: PublishingLimits.treePendingMax)
            do throws(FileFailure) { try publisher.close() } catch { throw .file(error) }
        } catch { logger.warning("the tree was not completed: \(error)") }
        let size = publisher.newest?.checkpoint.size ?? .empty
        let isWhole = publisher.tree.size == map.head.size && publisher.tree.size > size
        if case .publishing = phase, witnesses.asksNobody, isWhole {
            do throws(TreePublisher.Failure) {
                let time = map.head.lastReceivedAt ?? Timestamp(microseconds: 0)
                let signed = try publisher.sign(lastReceivedAt: time)
                if witnesses.isEnough(signed) { publish(signed) }
            } catch { logger.warning("the last checkpoint was not signed: \(error)") }
        }
        let waiters = monitor.change { state in
            (state.isStopped, state.refusesWaiting) = (true, true)
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.tell(.failure(.closing)) }
    }
}

/// When the next checkpoint is due.
struct CheckpointSchedule {
    private var signedSize: LedgerSize?
    private var lastSigned: ContinuousClock.Instant?
    private let began = ContinuousClock.now
    /// The newest checkpoint has not enough cosignatures.
    var needsRound = false
    var isRoundUnderWay = false

    init(newest: LedgerSize?) { signedSize = newest }

    /// Nil where there is nothing to do until the ledger grows or a round ends.
    func due(head: LedgerSize, isWanted: Bool) -> ContinuousClock.Instant? {
        guard !isRoundUnderWay, head > (signedSize ?? .empty) || needsRound else { return nil }
        let interval =
            isWanted ? PublishingLimits.checkpointIntervalInDemand : PublishingLimits.checkpointInterval
        return (lastSigned ?? began) + interval
    }

    /// Whether the newest checkpoint is to be shown to the witnesses again rather than a newer one.
    func needsRound(at head: LedgerSize) -> Bool { needsRound && head == signedSize }

    /// A checkpoint was signed, or is about to be.
    mutating func signed(_ size: LedgerSize?) {
        lastSigned = .now
        if let size { (signedSize, needsRound) = (size, false) }
    }
}

/// Hands a value that cannot be copied to another thread.
private final class OneTimeBox: @unchecked Sendable {
    // Unchecked: filled before the thread starts, emptied by it alone.
    private var publisher: TreePublisher?
    init(_ publisher: consuming TreePublisher) { self.publisher = consume publisher }
    func take() -> TreePublisher { publisher.take()! }
}
