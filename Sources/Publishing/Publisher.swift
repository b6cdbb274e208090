package import LedgerFormat
package import LedgerStorage
package import Logging
package import Platform
internal import Synchronization

/// Keeps the tree up to date with the ledger and publishes checkpoints, on its own thread. It
/// publishes at most once a second while the ledger grows, and sooner if somebody waits.
///
/// A checkpoint is published once it is durable here and, if there is a policy, enough witnesses
/// have cosigned it.
package final class Publisher: Sendable {
    let map: LedgerMap
    let files: TreeFiles
    package let history: KeyHistory
    private let council: Mutex<WitnessCouncil>
    private var witnesses: WitnessCouncil { council.withLock { $0 } }
    private let logger: Logger
    private let metrics: Metrics
    private let monitor: Monitor<State>

    private struct State {
        var plan: PublishingPlan
        /// The newest checkpoint that may be shown, and since when.
        var published: SignedCheckpoint?
        var publishedAt: Timestamp?
        /// Somebody has seen another history.
        var isForked = false
        /// Bytes of the file of checkpoints that are durable.
        var checkpointBytes: Int
        var waiters: [Int: Waiter] = [:]
        var lastWaiter = 0
        /// The thread sleeps until the ledger grows.
        var isIdle = false

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

    package typealias Phase = PublishingPlan.Phase

    /// Why no checkpoint covers a size.
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
        council = Mutex(witnesses)
        self.logger = logger
        self.metrics = metrics
        files = publisher.tree.files
        history = publisher.history
        let published = publisher.recent.last { witnesses.isEnough($0) }
        var plan = PublishingPlan(
            tree: publisher.tree.size, signed: publisher.newest?.checkpoint.size,
            published: published?.checkpoint.size ?? .empty,
            needsRound: publisher.newest != published, now: .now)
        if let reason = witnesses.alarm ?? publisher.keyProblem?.description {
            plan.stopPublishing(reason)
            logger.log(.publishingStopped, "publishing has stopped: \(reason)")
            metrics.publishingStopped.set(1)
        }
        metrics.publishedSize.set(Int(plan.publishedSize.entries))
        monitor = Monitor(
            State(
                plan: plan, published: published,
                // As old as its last entry, at most.
                publishedAt: published == nil ? nil : map.head.lastReceivedAt,
                isForked: witnesses.alarm != nil, checkpointBytes: publisher.checkpointBytes))
        start(publisher)
    }

    private func start(_ publisher: consuming TreePublisher) {
        let box = OneTimeBox(publisher)
        startThread("publisher") { self.run(box.take()) }
    }

    // MARK: The sequencer's side

    /// Accepts the hashes of a batch. If too many accumulate, they are dropped and later read back.
    package func add(_ hashes: [Digest], from position: Position) {
        let needsWaking = monitor.withLock { state in
            state.plan.append(hashes, from: position)
            return state.isIdle || !state.waiters.isEmpty || state.plan.hasManyPending
        }
        if needsWaking { monitor.change { _ in } }
    }

    /// Why appends cannot continue: there is no room for checkpoints. Nil if there is.
    package var noSpace: String? {
        monitor.withLock { state in
            if case .stalled(let reason, isNoSpace: true) = state.plan.phase { reason } else { nil }
        }
    }

    /// Ends the thread. It first makes the tree durable and signs a last checkpoint.
    package func stop() {
        monitor.change { $0.plan.life.go(to: .stopping) }
        monitor.wait { $0.plan.life == .stopped ? () : nil }
    }

    // MARK: Readers

    package var phase: Phase { monitor.withLock { $0.plan.phase } }

    /// Since when the newest checkpoint may be shown; nil if there is none.
    package var publishedAt: Timestamp? { monitor.withLock { $0.publishedAt } }

    /// Whether a witness says that there is another history.
    package var isForked: Bool { monitor.withLock { $0.isForked } }

    /// What is known of each witness that is asked.
    /// The witnesses of another policy. Nothing changes yet. Blocks on the disk.
    package func council(_ policy: WitnessPolicy) throws(FileFailure) -> WitnessCouncil {
        try witnesses.succeeded(by: policy)
    }

    /// Asks these witnesses from the next checkpoint on.
    package func replace(_ council: WitnessCouncil) { self.council.withLock { $0 = council } }

    package var witnessReports: [WitnessCouncil.Report] { witnesses.reports }

    /// Bytes of the file of checkpoints that are durable.
    package var checkpointBytes: Int { monitor.withLock { $0.checkpointBytes } }

    /// The newest published checkpoint.
    package var published: SignedCheckpoint? { monitor.withLock { $0.published } }

    /// Calls `tell` once, on any thread, when a published checkpoint covers a size or when it is
    /// certain that none will. `tell` must not block. Returns the waiter for `forget`, or nil if
    /// `tell` was already called.
    package func whenCovered(
        _ size: LedgerSize,
        _ tell: @escaping @Sendable (Result<SignedCheckpoint, Unpublished>) -> Void
    ) -> Int? {
        let known: (Result<SignedCheckpoint, Unpublished>?, Int?) = monitor.change { state in
            if let published = state.published, published.checkpoint.size >= size {
                return (.success(published), nil)
            }
            if case .stopped(let reason) = state.plan.phase {
                return (.failure(.phase(reason)), nil)
            }
            if state.plan.life >= .refusesWaiters { return (.failure(.closing), nil) }
            state.lastWaiter += 1
            state.waiters[state.lastWaiter] = Waiter(size: size, tell: tell)
            return (nil, state.lastWaiter)
        }
        if let result = known.0 { tell(result) }
        return known.1
    }

    /// Cancels a waiter.
    package func forget(_ waiter: Int) {
        monitor.change { _ = $0.waiters.removeValue(forKey: waiter) }
    }

    /// Fails everybody who waits, and refuses new waiters.
    package func stopWaiting() {
        let waiters = monitor.change { state in
            state.plan.life.go(to: .refusesWaiters)
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.tell(.failure(.closing)) }
    }

    /// Like `whenCovered`, but blocks until a deadline.
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

    /// A proof did not lead to the checkpoint's root: the tree is rebuilt.
    package func distrustTree() { monitor.change { $0.plan.distrustTree() } }

    /// Whether the tree is being rebuilt from the entries.
    package var isRebuilding: Bool { monitor.withLock { $0.plan.tree == .rebuilding } }

    // MARK: The thread

    private func run(_ publisher: consuming TreePublisher) {
        var publisher = publisher
        while true {
            let work = nextWork(publisher.tree.size)
            if case .end = work { break }
            do throws(PublishFailure) {
                try perform(work, &publisher)
                let bytes = publisher.checkpointBytes
                monitor.change { state in
                    state.plan.succeeded()
                    state.checkpointBytes = bytes
                }
            } catch { recover(from: error) }
        }
        close(&publisher)
    }

    private func nextWork(_ tree: LedgerSize) -> PublishingPlan.Work {
        while true {
            let (step, isWanted, seen) = monitor.withLock { state in
                // Read here: a batch that comes later is not yet among those counted as seen.
                let head = map.head.size
                let isWanted = !state.waiters.isEmpty
                let step = state.plan.next(tree: tree, head: head, isWanted: isWanted, now: .now)
                if case .wait(_, let wakesOnGrowth) = step {
                    state.isIdle = wakesOnGrowth
                } else {
                    state.isIdle = false
                }
                return (step, isWanted, state.plan.pendingCount)
            }
            switch step {
            case .work(let work): return work
            case .wait(let due, let wakesOnGrowth):
                monitor.wait(atMost: due) { state in
                    state.plan.hasNews || (wakesOnGrowth && state.plan.pendingCount != seen)
                        || state.waiters.isEmpty == isWanted
                }
            }
        }
    }

    private enum PublishFailure: Error {
        case read(ReadFailure)
        case sign(TreePublisher.Failure)
    }

    private func perform(
        _ work: PublishingPlan.Work, _ publisher: inout TreePublisher
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
                    logger.log(
                        .treeRebuilding,
                        "the tree's files do not match the entries; rebuilding the tree")
                    publisher.rebuild()
                }
                try publisher.catchUp(atMost: PublishingLimits.treePending)
            } catch { throw .read(error) }
        case .sign:
            monitor.change { $0.plan.attempts(now: .now) }
            let signed: SignedCheckpoint
            do throws(TreePublisher.Failure) {
                let time = map.head.lastReceivedAt ?? Timestamp(microseconds: 0)
                signed = try publisher.sign(lastReceivedAt: time)
            } catch { throw .sign(error) }
            metrics.checkpointsSigned.add()
            monitor.change { $0.plan.signed(signed.checkpoint.size, now: .now) }
            if witnesses.asksNobody, witnesses.isEnough(signed) { return publish(signed) }
            ask(signed, publisher)
        case .ask:
            monitor.change { $0.plan.attempts(now: .now) }
            ask(publisher.newest!, publisher)
        case .takeRound(let outcome): try take(outcome, &publisher)
        }
    }

    private func publish(_ checkpoint: SignedCheckpoint) {
        metrics.publishedSize.set(Int(checkpoint.checkpoint.size.entries))
        let covered = monitor.change { state in
            (state.published, state.publishedAt) = (checkpoint, .systemNow())
            state.plan.published(checkpoint.checkpoint.size)
            return state.takeWaiters(upTo: checkpoint.checkpoint.size)
        }
        for waiter in covered { waiter.tell(.success(checkpoint)) }
    }

    // MARK: Witnesses

    private func ask(_ signed: SignedCheckpoint, _ publisher: borrowing TreePublisher) {
        monitor.change { $0.plan.beganRound() }
        let distrust: @Sendable () -> Void = { self.distrustTree() }
        witnesses.ask(signed, files: publisher.tree.files, distrust) { outcome in
            self.monitor.change { $0.plan.roundEnded(outcome) }
        }
    }

    private func take(
        _ outcome: WitnessCouncil.Outcome, _ publisher: inout TreePublisher
    ) throws(PublishFailure) {
        monitor.change { $0.plan.tookRound() }
        for problem in outcome.problems { logger.log(.witnessFailed, "witness \(problem)") }
        metrics.cosignatures.add(outcome.cosignatureCount)
        do throws(TreePublisher.Failure) {
            if outcome.cosignatureCount > 0 { try publisher.keep(outcome.checkpoint) }
        } catch { throw .sign(error) }
        if let alarm = outcome.alarm {
            witnesses.keep(alarm)
            monitor.change { $0.isForked = true }
            return stopPublishing(alarm)
        }
        let isEnough = witnesses.isEnough(outcome.checkpoint)
        let missing = isEnough ? nil : witnesses.missing
        monitor.change { $0.plan.judged(missing: missing) }
        if isEnough { publish(outcome.checkpoint) }
    }

    /// Called if somebody has seen another history of this ledger, if it is unknown what is
    /// durable, or if damage or the private key prevents signing.
    private func stopPublishing(_ reason: String) {
        logger.log(.publishingStopped, "publishing has stopped: \(reason)")
        metrics.publishingStopped.set(1)
        let waiters = monitor.change { state in
            state.plan.stopPublishing(reason)
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.tell(.failure(.phase(reason))) }
    }

    private func recover(from failure: PublishFailure) {
        switch failure {
        case .read(.file(let failure)), .sign(.file(let failure)):
            // A file is missing, or something else is in its place: the rebuild sets that aside.
            if failure.isOutOfPlace { distrustTree() }
            // What a failed sync left behind is unknown: nothing is signed on top of it.
            if case .sync = failure.operation { return stopPublishing("\(failure)") }
            logger.log(.publishingStalled, "publishing: \(failure)")
            monitor.change {
                $0.plan.stalled(failure.description, isNoSpace: failure.isNoSpace)
            }
            _ = monitor.wait(until: .now + PlatformLimits.retryDelay) {
                $0.plan.life >= .stopping ? () : nil
            }
        case .read(.damaged(let finding)): stopPublishing(finding.description)
        case .sign(.key(let failure)): stopPublishing(failure.description)
        }
    }

    /// Completes the tree, and signs the last entries if no witness needs to be asked. A crash here
    /// leaves a smaller durable tree; the next opening reads the rest from the entries.
    private func close(_ publisher: inout TreePublisher) {
        do throws(ReadFailure) {
            // If the tree is being rebuilt, the next start continues the rebuild.
            try publisher.catchUp(atMost: PublishingLimits.treePendingMax)
            do throws(FileFailure) { try publisher.close() } catch { throw .file(error) }
        } catch { logger.log(.publishingStalled, "could not complete the tree: \(error)") }
        let size = publisher.newest?.checkpoint.size ?? .empty
        let isWhole = publisher.tree.size == map.head.size && publisher.tree.size > size
        if case .publishing = phase, witnesses.asksNobody, isWhole {
            do throws(TreePublisher.Failure) {
                let time = map.head.lastReceivedAt ?? Timestamp(microseconds: 0)
                let signed = try publisher.sign(lastReceivedAt: time)
                if witnesses.isEnough(signed) { publish(signed) }
            } catch {
                logger.log(.publishingStalled, "could not sign the last checkpoint: \(error)")
            }
        }
        let bytes = publisher.checkpointBytes
        let waiters = monitor.change { state in
            state.plan.life.go(to: .stopped)
            state.checkpointBytes = bytes
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.tell(.failure(.closing)) }
    }
}

/// Hands a noncopyable value to another thread.
private final class OneTimeBox: @unchecked Sendable {
    // Unchecked: filled before the thread starts, and emptied only by that thread.
    private var publisher: TreePublisher?
    init(_ publisher: consuming TreePublisher) { self.publisher = consume publisher }
    func take() -> TreePublisher { publisher.take()! }
}
