package import LedgerFormat
internal import LedgerStorage
internal import Platform
package import ReadModel
internal import Synchronization

/// The read model of a running ledger, with many readers and one writer.
package final class RunningModel: Sendable {
    package let readers: ModelReaders
    /// Which part of this process writes the model.
    private let writing = Mutex(Writing.nobody)
    private let serviceState = Mutex<Service?>(nil)

    private enum Writing {
        case nobody
        /// Replication from PostgreSQL, as a service of this process.
        case service
        case feed
    }

    package init(_ folder: ModelFolder) { readers = ModelReaders(folder) }

    package var folder: ModelFolder { readers.folder }

    /// Ends all reads, because the process is ending.
    package func stopReading() { readers.stop.give() }

    // MARK: Replication as a service

    /// The state of this process's replication from PostgreSQL; nil if it does not replicate.
    package var service: Service? { serviceState.withLock { $0 } }

    package struct Service: Sendable {
        package var isFollowing = false
        /// Why it is not following.
        package var failure: String?
        package var failingSince: Timestamp?
        /// Whose transaction a new copy waits for.
        package var waitingFor: String?
        /// Whether somebody has to change something before it can go on.
        package var needsDecision = false
    }

    /// From now on only replication may write.
    package func reserveForService() {
        writing.withLock { $0 = .service }
        serviceState.withLock { $0 = Service() }
    }

    package func serviceFollows() {
        serviceState.withLock { $0 = Service(isFollowing: true) }
    }

    package func serviceWaits(for reason: String?) {
        serviceState.withLock { $0?.waitingFor = reason }
    }

    package func serviceFailed(_ reason: String, needsDecision: Bool) {
        serviceState.withLock { service in
            service = Service(
                failure: reason, failingSince: service?.failingSince ?? .systemNow(),
                needsDecision: needsDecision)
        }
    }

    // MARK: The change feed

    /// The exclusive right to apply a change feed, for the lifetime of this object.
    package final class FeedSession: @unchecked Sendable {
        // Unchecked: only one connection holds it, and uses it from one thread at a time.
        private var held: (feed: ModelFeed, lock: ModelFolder.Lock)?
        private let model: RunningModel

        fileprivate init(_ feed: ModelFeed, _ model: RunningModel, _ lock: ModelFolder.Lock) {
            held = (feed, lock)
            self.model = model
        }

        deinit { _ = end() }

        /// Applies lines and returns the answers that are now final. Blocks.
        package func apply(_ body: (ModelFeed) -> Void) -> [ModelFeed.Answer] {
            guard let feed = held?.feed else { return [] }
            body(feed)
            return feed.flush()
        }

        /// Rolls back an unfinished transaction and lets others write. Blocks while SQLite closes
        /// its file.
        package func end() -> [ModelFeed.Answer] {
            guard let feed = held?.feed else { return [] }
            let answers = feed.end()
            held = nil
            model.writing.withLock { $0 = .nobody }
            return answers
        }
    }

    package enum FeedRefusal: Error {
        /// Another feed is being applied.
        case busy
        /// The rows come from PostgreSQL.
        case followsPostgres
        case failed(ModelFailure)
    }

    /// Begins a feed. Creates an empty read model if there is none. Blocks.
    package func beginFeed() throws(FeedRefusal) -> FeedSession {
        let refusal: FeedRefusal? = writing.withLock { writing in
            switch writing {
            case .service: return .followsPostgres
            case .feed: return .busy
            case .nobody:
                writing = .feed
                return nil
            }
        }
        if let refusal { throw refusal }
        var hasBegun = false
        defer { if !hasBegun { writing.withLock { $0 = .nobody } } }
        do throws(ModelFailure) {
            let lock = try folder.lock()
            let existing = try ModelWriter(folder)
            // If only the files are gone, the slot still keeps the source's log.
            let isOwner = try folder.ownedSlot() != nil
            let isSource = existing.map { $0.state.source == .postgres } ?? isOwner
            if !isSource {
                let writer = if let existing { existing } else { try ModelWriter.makeEmpty(folder) }
                let session = FeedSession(try ModelFeed(writer), self, lock)
                hasBegun = true
                return session
            }
        } catch { throw .failed(error) }
        throw .followsPostgres
    }

    /// Whether rows come from PostgreSQL, and nobody follows it now.
    package func isSilent(_ state: ModelState) -> Bool {
        guard state.source == .postgres else { return false }
        return service.map { !$0.isFollowing } ?? !folder.isBeingWritten
    }

    /// The lag behind the source; nil if there is no read model.
    package func lag() -> (bytes: Int, milliseconds: Int, retainedBytes: Int)? {
        // If the model cannot be read, no lag is reported.
        let deadline = ContinuousClock.now + .seconds(1)
        guard let snapshot = try? readers.snapshot(until: deadline) else { return nil }
        let state = snapshot.state
        // While replication is down, nothing reports how far ahead the source is.
        let isSilent = isSilent(state)
        let known = (isSilent ? state.updatedAt : state.behindSince).flatMap {
            Timestamp(rfc3339: $0)
        }
        // What was written since was only why it fails.
        let since = isSilent ? service?.failingSince ?? known : known
        let behind = since.map { max(0, Timestamp.systemNow().microseconds - $0.microseconds) } ?? 0
        return (Int(max(0, state.lagBytes)), Int(behind / 1000), Int(state.retainedBytes ?? 0))
    }
}
