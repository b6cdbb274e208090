package import LedgerFormat
package import LedgerIndex
internal import LedgerStorage
internal import Logging
internal import Packets
internal import Platform

/// Keeps the index behind the ledger, on a thread of its own. What the sequencer has just appended
/// comes as payloads; what it missed is read from the segments.
package final class IndexFollower: Sendable {
    private let map: LedgerMap
    private let identity: LedgerIdentity
    private let logger: Logger
    private let metrics: Metrics
    private let monitor = Monitor(State())

    private struct State {
        var phase = Phase.catchingUp
        /// The opened index; nil until then.
        var index: TermIndex?
        var size = LedgerSize.empty
        /// Packets behind `size` that need not be read back, without gaps.
        var fresh = FreshPackets()
        /// How many wait for the index to come nearer.
        var waiting = 0
        /// The thread has nothing to do, and sleeps until there is.
        var isIdle = false
        /// Nobody may wait any more.
        var refusesWaiting = false
        /// A reader found a file damaged.
        var isDistrusted = false
        var isStopping = false
        var isStopped = false
        /// Told whenever the index has come nearer.
        var observers: [Int: @Sendable () -> Void] = [:]
        var lastObserver = 0
    }

    /// How the index stands.
    package enum Phase: Hashable, Sendable {
        /// Reading what it missed while it was away, or all of a ledger.
        case catchingUp
        case following
        /// It cannot be written for now; tried again.
        case stalled(String, isNoSpace: Bool)
    }

    init(_ map: LedgerMap, identity: LedgerIdentity, logger: Logger, metrics: Metrics) {
        self.map = map
        self.identity = identity
        self.logger = logger
        self.metrics = metrics
        startThread("indexer") { self.run() }
    }

    // MARK: The sequencer's side

    /// Takes the packets of a batch. Where they pile up they are dropped, and read back later.
    ///
    /// While packets collect the thread is left asleep: waking it for each batch would take the
    /// processor from the very packets that come next.
    func add(_ packets: [FreshPacket]) {
        let needsWaking = monitor.withLock { state in
            state.fresh.append(packets)
            return state.isIdle || isAwaited(state) || state.fresh.areManyEnough
        }
        if needsWaking { monitor.change { _ in } }
    }

    /// Whether somebody wants the newest packets at once.
    private func isAwaited(_ state: State) -> Bool {
        state.waiting > 0 || !state.observers.isEmpty
    }

    /// Holds the caller while a following index is too far behind. Why appends cannot go on at all,
    /// where the index has no room.
    func awaitNearness(to size: LedgerSize) -> String? {
        monitor.wait { state -> String?? in
            switch state.phase {
            case .stalled(let reason, isNoSpace: true): return .some(reason)
            case .following:
                if state.size.entries + UInt64(LedgerLimits.indexLag) < size.entries { return nil }
                return .some(nil)
            default: return .some(nil)
            }
        }
    }

    func stop() {
        monitor.change { $0.isStopping = true }
        monitor.wait { $0.isStopped ? () : nil }
    }

    // MARK: Readers

    package var progress: (phase: Phase, size: LedgerSize) {
        monitor.withLock { ($0.phase, $0.size) }
    }

    /// Bytes of the index's files.
    package var fileBytes: Int { monitor.withLock { $0.index }?.fileBytes ?? 0 }

    /// The index as it is now, whatever it reflects; nil while it is being opened.
    package var snapshot: TermSnapshot? { monitor.withLock { $0.index }?.snapshot() }

    /// The index once it reflects a size; nil if it does not in time. Blocks.
    package func snapshot(
        reflecting size: LedgerSize, until deadline: ContinuousClock.Instant
    ) -> TermSnapshot? {
        if let ready = monitor.withLock({ $0.size >= size ? $0.index : nil }) {
            return ready.snapshot()
        }
        monitor.change { $0.waiting += 1 }
        defer { monitor.withLock { $0.waiting -= 1 } }
        let answer = monitor.wait(until: deadline) { state -> TermIndex?? in
            if state.size >= size, let index = state.index { return .some(index) }
            if state.refusesWaiting { return .some(nil) }
            switch state.phase {
            case .stalled: return .some(nil)
            // A rebuild takes longer than anybody should wait.
            case .catchingUp where size.entries - state.size.entries > LedgerLimits.indexLag:
                return .some(nil)
            default: return nil
            }
        }
        return (answer ?? nil)?.snapshot()
    }

    /// Calls `body`, on the index's thread, whenever the index has come nearer, until `forget`. It
    /// must not block. While anybody observes, packets are indexed as they come.
    package func observe(_ body: @escaping @Sendable () -> Void) -> Int {
        monitor.change { state in
            state.lastObserver += 1
            state.observers[state.lastObserver] = body
            return state.lastObserver
        }
    }

    package func forget(_ observer: Int) {
        monitor.withLock { _ = $0.observers.removeValue(forKey: observer) }
    }

    /// Ends the waiting of all who wait for the index to come nearer.
    package func stopWaiting() { monitor.change { $0.refusesWaiting = true } }

    /// What the index answers shows that a file is damaged: it is made again.
    package func distrust() { monitor.change { $0.isDistrusted = true } }

    // MARK: The thread

    private func run() {
        while !isStopping {
            do throws(IndexFailure) {
                try follow(try open())
            } catch {
                recover(from: error)
            }
        }
        monitor.change { state in
            state.index = nil
            state.isStopped = true
        }
    }

    private var isStopping: Bool { monitor.withLock { $0.isStopping } }

    private func open() throws(IndexFailure) -> TermIndex {
        let index = try TermIndex(map.volume, identity: identity.digest) {
            (size) throws(IndexFailure) in try self.hash(before: size)
        }
        removeOlderFormat()
        monitor.change { state in
            state.index = index
            state.size = index.size
            state.phase = .catchingUp
        }
        return index
    }

    /// Entry hash before a size; nil beyond the ledger.
    private func hash(before size: LedgerSize) throws(IndexFailure) -> Digest? {
        guard size > .empty else { return identity.digest }
        do throws(ReadFailure) {
            return try map.read(Position(size.entries - 1))?.entryHash
        } catch { throw .failed(error.description) }
    }

    /// Files of an index as earlier versions had it. Losing the race for them is harmless.
    private func removeOlderFormat() {
        for suffix in ["", "-wal", "-shm"] { try? map.volume.remove("index.sqlite" + suffix) }
    }

    private func recover(from failure: IndexFailure) {
        logger.warning("index: \(failure)")
        var isNoSpace = false
        switch failure {
        case .unusable:
            monitor.change { state in
                (state.index, state.size, state.phase) = (nil, .empty, .catchingUp)
            }
            // A file that cannot be removed would be found again at once, and again.
            do throws(IndexFailure) { return try TermIndex.removeFiles(map.volume) } catch {
                logger.error("index: \(error)")
            }
        case .noSpace: isNoSpace = true
        case .failed, .wouldBlock: break
        }
        monitor.change { $0.phase = .stalled(failure.description, isNoSpace: isNoSpace) }
        _ = monitor.wait(until: .now + PlatformLimits.retryDelay) { $0.isStopping ? true : nil }
    }

    private func follow(_ index: TermIndex) throws(IndexFailure) {
        let compaction = IndexCompaction(index)
        defer { compaction.stop() }
        var scanner = TermScanner(key: index.key)
        while let work = nextWork() {
            if monitor.withLock({ $0.isDistrusted }) {
                monitor.withLock { $0.isDistrusted = false }
                throw .unusable("a question to it failed")
            }
            try compaction.check()
            switch work {
            case .fresh(let packets):
                for packet in packets { packet.index(in: index, with: &scanner) }
            case .missed: try catchUp(index, &scanner, compaction)
            case .upToDate:
                monitor.change { $0.phase = .following }
                continue
            }
            try advance(index, compaction)
        }
        compaction.stop()
        try keepBuffer(of: index)
    }

    private enum Work {
        case fresh(ArraySlice<FreshPacket>)
        case missed
        case upToDate
    }

    /// Nil when it is time to end.
    private func nextWork() -> Work? {
        let work = monitor.wait { state -> Work?? in
            if state.isStopping { return .some(nil) }
            if state.isDistrusted { return .upToDate }
            state.fresh.drop(before: state.size.nextPosition)
            state.isIdle = false
            if state.fresh.begin(at: state.size.nextPosition) { return .fresh([]) }
            if state.size < map.head.size { return .missed }
            if state.phase != .following { return .upToDate }
            state.isIdle = true
            return nil
        }
        guard case .fresh = work else { return work }
        // A few packets wait a moment for more, unless somebody waits for them.
        let deadline = ContinuousClock.now + LedgerLimits.indexDelay
        _ = monitor.wait(until: deadline) { state in
            isAwaited(state) || state.isStopping || state.fresh.areManyEnough ? true : nil
        }
        return monitor.withLock { state in
            // They may have been dropped meanwhile, and others have come.
            guard state.fresh.begin(at: state.size.nextPosition) else { return .missed }
            return .fresh(state.fresh.take(LedgerLimits.indexStep))
        }
    }

    /// Publishes what the index reflects now, and puts a full buffer aside.
    private func advance(
        _ index: TermIndex, _ compaction: IndexCompaction
    ) throws(IndexFailure) {
        let size = index.size
        let observers = monitor.change { state in
            state.size = size
            if state.phase != .catchingUp { state.phase = .following }
            return Array(state.observers.values)
        }
        metrics.indexedSize.set(Int(size.entries))
        for observer in observers { observer() }
        if index.waitingBuffers > 0 { try compaction.wake() }
    }

    private func catchUp(
        _ index: TermIndex, _ scanner: inout TermScanner, _ compaction: IndexCompaction
    ) throws(IndexFailure) {
        let (size, goal) = (index.size, map.head.size)
        if goal.entries - size.entries > 2 * UInt64(IndexLimits.bufferPackets) {
            compaction.stop()
            try keepBuffer(of: index)
            let rebuild = IndexRebuild(map, index, goal: goal)
            try rebuild.run { done in
                self.monitor.change { $0.size = done }
                self.metrics.indexedSize.set(Int(done.entries))
                self.logger.notice("index: \(done) of \(goal) packets")
                return !self.isStopping
            }
            compaction.start()
            return
        }
        let (first, waiting) = (size.nextPosition, index.waitingBuffers)
        do throws(ReadFailure) {
            try map.walk(from: first) { record, payload in
                index.add(record, payload, &scanner)
                // Large packets fill a buffer sooner; it is written before the next.
                return record.entry.position.value - first.value < LedgerLimits.indexStep
                    && index.waitingBuffers <= waiting && !isStopping
            }
        } catch { throw .failed(error.description) }
    }

    /// Writes what is in memory only.
    private func keepBuffer(of index: TermIndex) throws(IndexFailure) {
        index.beginBuffer()
        while try index.writeWaitingBuffer() {}
    }
}
