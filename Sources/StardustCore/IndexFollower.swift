package import LedgerFormat
package import LedgerIndex
internal import LedgerStorage
internal import Logging
internal import Packets

/// Keeps the entity index behind the ledger, on a thread of its own. What the sequencer has just
/// appended comes as rows; what it missed is read from the segments.
package final class IndexFollower: Sendable {
    private let map: LedgerMap
    private let path: String
    private let identity: LedgerIdentity
    private let logger: Logger
    private let metrics: Metrics
    private let monitor = Monitor(State())

    private struct State {
        var phase = Phase.catchingUp
        /// The opened index; nil until then.
        var index: EntityIndex?
        var size = LedgerSize.empty
        /// Rows behind `size` that need not be read back, without gaps.
        var fresh: [EntityIndex.Row] = []
        /// How many wait for the index to come nearer.
        var waiting = 0
        /// The thread has nothing to do, and sleeps until there is.
        var isIdle = false
        /// Nobody may wait any more.
        var refusesWaiting = false
        /// A reader found the file damaged.
        var isDistrusted = false
        var isStopping = false
        var isStopped = false
    }

    /// How the index stands.
    package enum Phase: Hashable, Sendable {
        /// Reading what it missed while it was away, or all of a ledger.
        case catchingUp
        case following
        /// It cannot be written for now; tried again.
        case stalled(String, isNoSpace: Bool)
    }

    init(
        _ map: LedgerMap, path: String, identity: LedgerIdentity, logger: Logger, metrics: Metrics
    ) {
        self.map = map
        self.path = path
        self.identity = identity
        self.logger = logger
        self.metrics = metrics
        startThread { self.run() }
    }

    // MARK: The sequencer's side

    /// Takes the rows of a batch. Where they pile up they are dropped, and read back later.
    ///
    /// While rows collect the thread is left asleep: waking it for each batch would take the
    /// processor from the very packets that come next.
    func add(_ rows: [EntityIndex.Row]) {
        let needsWaking = monitor.withLock { state in
            if state.fresh.count + rows.count > LedgerLimits.indexLag * 2 { state.fresh = [] }
            state.fresh += rows
            let isFull = state.fresh.count >= LedgerLimits.indexRowsCollected
            return state.isIdle || state.waiting > 0 || isFull
        }
        if needsWaking { monitor.change { _ in } }
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

    /// The index once it reflects a size; nil if it does not in time. Blocks.
    package func index(
        reflecting size: LedgerSize, until deadline: ContinuousClock.Instant
    ) -> EntityIndex? {
        monitor.change { $0.waiting += 1 }
        defer { monitor.withLock { $0.waiting -= 1 } }
        let answer = monitor.wait(until: deadline) { state -> EntityIndex?? in
            if state.size >= size, let index = state.index { return .some(index) }
            if state.refusesWaiting { return .some(nil) }
            if case .stalled = state.phase { return .some(nil) }
            return nil
        }
        return answer ?? nil
    }

    /// Ends the waiting of all who wait for the index to come nearer.
    package func stopWaiting() { monitor.change { $0.refusesWaiting = true } }

    /// What the index answers shows that its file is damaged: it is made again.
    package func distrust() { monitor.change { $0.isDistrusted = true } }

    // MARK: The thread

    private func run() {
        while !isStopping {
            do throws(EntityIndex.Failure) {
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

    /// The index with what it reflects; made again where it is not one of this ledger.
    private func open() throws(EntityIndex.Failure) -> EntityIndex {
        let index = try EntityIndex(path: path, identity: identity.digest)
        let progress = try index.progress()
        guard try hash(before: progress.size) == progress.lastHash else {
            throw .unusable("it does not belong to this ledger as it stands")
        }
        monitor.change { state in
            state.index = index
            state.size = progress.size
            state.phase = .catchingUp
        }
        return index
    }

    private func hash(before size: LedgerSize) throws(EntityIndex.Failure) -> Digest? {
        if size == .empty { return identity.digest }
        do throws(ReadFailure) {
            return try map.read(Position(size.entries - 1))?.entryHash
        } catch { throw .failed(error.description) }
    }

    private func recover(from failure: EntityIndex.Failure) {
        logger.warning("index: \(failure)")
        var isNoSpace = false
        switch failure {
        case .unusable:
            monitor.change { state in
                (state.index, state.size, state.phase) = (nil, .empty, .catchingUp)
            }
            // A file that cannot be removed would be found again at once, and again.
            if removeFiles() { return }
        case .noSpace: isNoSpace = true
        case .failed: break
        }
        monitor.change { $0.phase = .stalled(failure.description, isNoSpace: isNoSpace) }
        _ = monitor.wait(until: .now + LedgerLimits.retryDelay) { $0.isStopping ? true : nil }
    }

    /// Whether nothing of the index is left.
    private func removeFiles() -> Bool {
        var isGone = true
        for suffix in ["", "-wal", "-shm"] {
            let name = path.lastName + suffix
            do throws(FileFailure) { try map.volume.remove(name) } catch {
                guard !error.isMissing else { continue }
                logger.error("index: \(error)")
                isGone = false
            }
        }
        return isGone
    }

    private func follow(_ index: EntityIndex) throws(EntityIndex.Failure) {
        while let work = nextWork() {
            if monitor.withLock({ $0.isDistrusted }) {
                monitor.withLock { $0.isDistrusted = false }
                throw .unusable("a question to it failed")
            }
            switch work {
            case .fresh(let rows): try add(rows, to: index)
            case .missed: try catchUp(index)
            case .upToDate: monitor.change { $0.phase = .following }
            }
        }
    }

    private enum Work {
        case fresh([EntityIndex.Row])
        case missed
        case upToDate
    }

    /// Nil when it is time to end.
    private func nextWork() -> Work? {
        let work = monitor.wait { state -> Work?? in
            if state.isStopping { return .some(nil) }
            if state.isDistrusted { return .upToDate }
            let next = state.size.nextPosition
            state.fresh.removeAll { $0.position < next }
            if let first = state.fresh.first, first.position == next {
                state.isIdle = false
                return .fresh([])
            }
            state.isIdle = false
            if state.size < map.head.size { return .missed }
            if state.phase != .following { return .upToDate }
            state.isIdle = true
            return nil
        }
        guard case .fresh = work else { return work }
        // A few rows wait a moment for more, unless somebody waits for them.
        let deadline = ContinuousClock.now + LedgerLimits.indexDelay
        _ = monitor.wait(until: deadline) { state in
            let isFull = state.fresh.count >= LedgerLimits.indexRowsCollected
            return state.waiting > 0 || state.isStopping || isFull ? true : nil
        }
        return monitor.withLock { state in
            // They may have been dropped meanwhile, and others have come.
            guard state.fresh.first?.position == state.size.nextPosition else { return .missed }
            let rows = Array(state.fresh.prefix(LedgerLimits.indexTransactionRows))
            state.fresh.removeFirst(rows.count)
            return .fresh(rows)
        }
    }

    private func catchUp(_ index: EntityIndex) throws(EntityIndex.Failure) {
        var rows: [EntityIndex.Row] = []
        var reader = PacketReader()
        var problem: EntityIndex.Failure?
        let start = monitor.withLock { $0.size.nextPosition }
        do throws(ReadFailure) {
            try map.walk(from: start) { record, payload in
                do throws(PacketError) {
                    let facts = try reader.read(payload)
                    rows.append(
                        EntityIndex.Row(
                            position: record.entry.position, entityType: facts.entityType,
                            entityID: facts.entityID))
                } catch {
                    problem = .failed("position \(record.entry.position) is not a packet")
                }
                return problem == nil && rows.count < LedgerLimits.indexTransactionRows
            }
        } catch { throw .failed(error.description) }
        if let problem { throw problem }
        try add(rows, to: index)
    }

    private func add(
        _ rows: [EntityIndex.Row], to index: EntityIndex
    ) throws(EntityIndex.Failure) {
        guard let last = rows.last else { return }
        let size = LedgerSize(last.position.value + 1)
        guard let hash = try hash(before: size) else { return }
        try index.add(rows, upTo: EntityIndex.Progress(size: size, lastHash: hash))
        monitor.change { state in
            state.size = size
            if state.phase != .catchingUp { state.phase = .following }
        }
        metrics.indexedSize.set(Int(size.entries))
    }
}
