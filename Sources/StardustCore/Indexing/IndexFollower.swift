package import LedgerFormat
package import LedgerIndex
internal import LedgerStorage
internal import Logging
internal import Packets
internal import Platform

/// Keeps the index up to date with the ledger, on its own thread. The sequencer passes it the
/// payloads it has just appended. Packets it missed are read from the segments.
package final class IndexFollower: Sendable {
    private let map: LedgerMap
    private let identity: LedgerIdentity
    /// If not, the ledger is read-only: entries that cannot be read count as such, and what they
    /// make of the index stays in memory, so that nothing of it survives the mending.
    private let keepsFiles: Bool
    private let logger: Logger
    private let metrics: Metrics
    private let monitor = Monitor(State())

    private struct State {
        var plan = IndexPlan()
        /// The opened index; nil until then.
        var index: TermIndex?
        /// Called whenever the index has advanced.
        var observers: [Int: @Sendable () -> Void] = [:]
        var lastObserver = 0
    }

    package typealias Phase = IndexPlan.Phase

    init(
        _ map: LedgerMap, identity: LedgerIdentity, keepsFiles: Bool, logger: Logger,
        metrics: Metrics
    ) {
        self.map = map
        self.keepsFiles = keepsFiles
        self.identity = identity
        self.logger = logger
        self.metrics = metrics
        startThread("indexer") { self.run() }
    }

    // MARK: The sequencer's side

    /// Accepts a batch's packets. If too many accumulate, they are dropped and later read back.
    ///
    /// The thread stays asleep while packets accumulate: waking it for each batch would take
    /// processor time from the packets that follow.
    func add(_ packets: [FreshPacket]) {
        let needsWaking = monitor.withLock { state in
            state.plan.append(packets)
            return state.plan.isWorthWaking
        }
        if needsWaking { monitor.change { _ in } }
    }

    /// Blocks the caller while the index follows but is too far behind. Returns why appends cannot
    /// continue if the index has no disk space.
    func awaitNearness(to size: LedgerSize) -> AppendRefusal? {
        monitor.wait { state -> AppendRefusal?? in
            switch state.plan.phase {
            case .stalled(let reason, isNoSpace: true): return .some(.noSpace(reason))
            case .following where state.plan.isFarBehind(size): return nil
            default: return .some(nil)
            }
        }
    }

    func stop() {
        monitor.change { $0.plan.life.go(to: .stopping) }
        monitor.wait { $0.plan.life == .stopped ? () : nil }
    }

    // MARK: Readers

    package var progress: (phase: Phase, size: LedgerSize) {
        monitor.withLock { ($0.plan.phase, $0.plan.size) }
    }

    /// Bytes of the index's files.
    package var fileBytes: Int { monitor.withLock { $0.index }?.fileBytes ?? 0 }

    /// The index as it is now, at whatever size; nil while it is being opened.
    package var snapshot: TermSnapshot? { monitor.withLock { $0.index }?.snapshot() }

    /// The index once it reflects a size; nil if it does not in time. Blocks.
    package func snapshot(
        reflecting size: LedgerSize, until deadline: ContinuousClock.Instant
    ) -> TermSnapshot? {
        if let ready = monitor.withLock({ $0.plan.size >= size ? $0.index : nil }) {
            return ready.snapshot()
        }
        monitor.change { $0.plan.waiting += 1 }
        defer { monitor.withLock { $0.plan.waiting -= 1 } }
        let answer = monitor.wait(until: deadline) { state -> TermIndex?? in
            if state.plan.size >= size, let index = state.index { return .some(index) }
            return state.plan.isWaitingHopeless(for: size) ? .some(nil) : nil
        }
        return (answer ?? nil)?.snapshot()
    }

    /// Calls `body` on the index's thread whenever the index has advanced, until `forget`. `body`
    /// must not block. While there are observers, packets are indexed as they arrive.
    package func observe(_ body: @escaping @Sendable () -> Void) -> Int {
        monitor.change { state in
            state.lastObserver += 1
            state.observers[state.lastObserver] = body
            state.plan.isObserved = true
            return state.lastObserver
        }
    }

    package func forget(_ observer: Int) {
        monitor.withLock { state in
            state.observers[observer] = nil
            state.plan.isObserved = !state.observers.isEmpty
        }
    }

    /// Releases everybody who waits for the index to advance.
    package func stopWaiting() { monitor.change { $0.plan.life.go(to: .refusesWaiters) } }

    /// A query showed that an index file is damaged: the index is rebuilt.
    package func distrust() { monitor.change { $0.plan.distrust() } }

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
            state.plan.life.go(to: .stopped)
        }
    }

    private var isStopping: Bool { monitor.withLock { $0.plan.life >= .stopping } }

    private func open() throws(IndexFailure) -> TermIndex {
        let index = try TermIndex(
            map.volume, identity: identity.digest, keepsFiles: keepsFiles
        ) {
            (size) throws(IndexFailure) in try self.hash(before: size)
        }
        monitor.change { state in
            state.index = index
            state.plan.opened(at: index.size)
        }
        return index
    }

    /// Hash of the last entry below a size; nil beyond the ledger.
    private func hash(before size: LedgerSize) throws(IndexFailure) -> Digest? {
        guard size > .empty else { return identity.digest }
        do throws(FileFailure) {
            return try map.entryHash(Position(size.entries - 1))
        } catch {
            // The entry cannot be read, so the index cannot be compared with it.
            if error.isInputOutput { return nil }
            throw .failed(error.description)
        }
    }

    private func recover(from failure: IndexFailure) {
        logger.log(.indexFailed, "index: \(failure)")
        var isNoSpace = false
        switch failure {
        case .unusable:
            monitor.change { state in
                state.index = nil
                state.plan.opened(at: .empty)
            }
            // If a file cannot be removed, pause below: retrying at once would find it again.
            do throws(IndexFailure) {
                if keepsFiles { return try TermIndex.removeFiles(map.volume) }
            } catch {
                logger.log(.indexFailed, "index: \(error)")
            }
        case .noSpace: isNoSpace = true
        case .failed, .wouldBlock: break
        }
        monitor.change { $0.plan.stalled(failure.description, isNoSpace: isNoSpace) }
        _ = monitor.wait(until: .now + PlatformLimits.retryDelay) {
            $0.plan.life >= .stopping ? () : nil
        }
    }

    private func follow(_ index: TermIndex) throws(IndexFailure) {
        let compaction = keepsFiles ? IndexCompaction(index) : nil
        defer { compaction?.stop() }
        var scanner = TermScanner(key: index.key)
        work: while true {
            let work = nextWork()
            if case .end = work { break work }
            try compaction?.check()
            switch work {
            case .end: break work
            case .reopen: throw .unusable("a query failed")
            case .fresh(let packets):
                for packet in packets { packet.index(in: index, with: &scanner) }
            case .missed: try catchUp(index, &scanner, compaction)
            case .announce:
                monitor.change { $0.plan.follows() }
                continue work
            }
            try advance(index, compaction)
        }
        compaction?.stop()
        if keepsFiles { try keepBuffer(of: index) }
    }

    private func nextWork() -> IndexPlan.Work {
        while true {
            let step = monitor.wait { state -> IndexPlan.Step? in
                let step = state.plan.next(head: map.head.size, now: .now)
                if case .sleep = step { return nil }
                return step
            }
            switch step {
            case .work(let work): return work
            case .collect(let until):
                _ = monitor.wait(until: until) { $0.plan.hasCollected ? () : nil }
            case .sleep: break
            }
        }
    }

    /// Announces the index's new size, and hands over a full buffer to be written.
    private func advance(
        _ index: TermIndex, _ compaction: IndexCompaction?
    ) throws(IndexFailure) {
        let size = index.size
        let observers = monitor.change { state in
            state.plan.advanced(to: size)
            return Array(state.observers.values)
        }
        metrics.indexedSize.set(Int(size.entries))
        for observer in observers { observer() }
        if index.waitingBuffers > 0 { try compaction?.wake() }
    }

    private func catchUp(
        _ index: TermIndex, _ scanner: inout TermScanner, _ compaction: IndexCompaction?
    ) throws(IndexFailure) {
        let (size, goal) = (index.size, map.head.size)
        guard size <= goal else { throw .unusable("it covers more than the ledger has") }
        if let compaction, goal.entries - size.entries > 2 * UInt64(IndexLimits.bufferPackets) {
            compaction.stop()
            try keepBuffer(of: index)
            let rebuild = IndexRebuild(map, index, goal: goal)
            try rebuild.run { done in
                self.monitor.change { $0.plan.rebuilt(upTo: done) }
                self.metrics.indexedSize.set(Int(done.entries))
                self.logger.log(.indexRebuilding, "index: \(done) of \(goal) packets")
                return !self.isStopping
            }
            compaction.start()
            return
        }
        let (first, waiting) = (size.nextPosition, index.waitingBuffers)
        do throws(ReadFailure) {
            try map.walk(from: first) { record, payload in
                index.add(record, payload, &scanner)
                // Large packets fill a buffer early; stop so that it is written before the next.
                return record.entry.position.value - first.value < LedgerLimits.indexStep
                    && index.waitingBuffers <= waiting && !isStopping
            }
        } catch {
            guard case .damaged(let finding) = error else { throw .failed(error.description) }
            map.note(finding)
            let isReadable = scanner.scan(Span(), digest: .zero)
            index.add(
                TermBuffer.Packet(unreadableAt: index.size.nextPosition), scanner,
                isReadable: isReadable)
        }
    }

    /// Writes out everything held only in memory. A crash before this loses that part of the
    /// index, which is then read back from the segments.
    private func keepBuffer(of index: TermIndex) throws(IndexFailure) {
        index.beginBuffer()
        while try index.writeWaitingBuffer() {}
    }
}
