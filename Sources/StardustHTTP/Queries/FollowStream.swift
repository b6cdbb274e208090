internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import NIOCore
internal import Packets
internal import StardustCore
internal import Synchronization

/// A standing query: packets are sent in ledger order as they become durable and indexed. Nothing
/// is read ahead of what the client takes. A client that takes nothing is disconnected by the
/// connection's deadline.
///
/// Invariant: every position below `next` was sent, or does not match.
final class FollowStream: Exchange {
    static let parameters: Endpoint.ParameterNames = .some(Parameters.filters.union(["after"]))

    private let connection: ConnectionHandler
    private let filter: PacketFilter
    private var next: UInt64
    private var observer: Int?
    private var heartbeat: Scheduled<Void>?
    /// The client did not say where to begin, so it is told at once where the stream begins.
    private let beginsNow: Bool
    /// A look-up is in progress, or waits for its time.
    private var isLooking = false
    private var lastLook = ContinuousClock.now
    /// The index has advanced since the last look-up began.
    private let hasNews = Flag()
    private var isEnded = false
    /// Damage that the client has been told.
    private var damage: Finding?
    private var place: Budgets.Lease

    /// The stream starts after the position `after`; -1 starts with the first packet. Without
    /// `after`, it starts with the next packet to arrive.
    init(_ connection: ConnectionHandler, _ parameters: Parameters) throws(Problem) {
        guard let map = connection.server.ledger.map else { throw Problem(.recovering) }
        let size = map.head.size
        next = size.entries
        if let text = parameters["after"], text != "-1" {
            guard let position = UInt64(text), position < size.entries else {
                throw .badParameter(
                    "after",
                    "\(text) is not a position of this ledger, which has \(size) entries; -1 "
                        + "starts with the first")
            }
            next = position + 1
        } else if parameters["after"] != nil {
            next = 0
        }
        place = connection.lease(.followers)
        guard place.take(1) else {
            throw Problem(
                .tooManyFollowers, "too many connections follow, in all or of this user",
                retryAfterSeconds: 5)
        }
        beginsNow = parameters["after"] == nil
        filter = try parameters.filter()
        self.connection = connection
    }

    private var ledger: RunningLedger { connection.server.ledger }
    private var loop: any EventLoop { connection.eventLoop }

    func start() {
        if isEnded { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        let loop = loop
        observer = ledger.follower?.observe { [hasNews] in
            if hasNews.raise() { loop.execute { bound.value.pump() } }
        }
        if beginsNow { sendHeartbeat() } else { beat() }
        pump()
    }

    /// Stops sending.
    func abandon() {
        isEnded = true
        heartbeat?.cancel()
        if let observer { ledger.follower?.forget(observer) }
        observer = nil
    }

    func clientTookAnswers() { pump() }

    /// Looks for more packets if the client has taken the earlier ones.
    func pump() {
        guard !isEnded, !isLooking, connection.isWritable else { return }
        isLooking = true
        // Many followers of one user look less often each, so that together they look no more.
        let pause = QueryLimits.followPause * (place.heldByParty - 1)
        let wait = lastLook + min(pause, QueryLimits.followPauseMax) - .now
        guard wait > .zero else { return look() }
        loop.assumeIsolated().scheduleTask(in: TimeAmount(wait)) { self.look() }
    }

    private func look() {
        guard !isEnded, isStillAllowed() else { return }
        hasNews.lower()
        lastLook = .now
        let (ledger, filter, next) = (ledger, filter, next)
        connection.offLoop(.waiting) {
            Self.look(ledger, filter, from: next)
        } then: { [self] _, found in
            isLooking = false
            take(found)
        }
    }

    /// What one look-up found, and where the next one begins.
    private struct Look: Sendable {
        var lines: ByteBuffer
        var next: UInt64
        var hasMore: Bool
        var damage: Finding?
        var problem: Problem?
    }

    private static func look(
        _ ledger: RunningLedger, _ filter: PacketFilter, from next: UInt64
    ) -> Look {
        var look = Look(lines: ByteBuffer(), next: next, hasMore: false)
        guard let map = ledger.map, let index = ledger.follower?.snapshot,
            index.size.entries > next
        else { return look }
        do throws(PacketSearch.Failure) {
            let page = try PacketSearch(map, index, filter).page(
                in: next..<index.size.entries,
                PacketSearch.Limits(
                    packets: QueryLimits.followPackets, payloadBytes: QueryLimits.followBytes,
                    deadline: .now + QueryLimits.followTime))
            var json = JSONWriter()
            for found in page.found {
                json.clear()
                json.packet(found.record, found.entity, onOneLine: true)
                look.lines.writeBytes(json.bytes)
                look.lines.writeInteger(UInt8(ascii: "\n"))
            }
            for position in page.notCompared {
                json.clear()
                json.beginObject()
                json.member("not_compared", position.value)
                json.endObject()
                look.lines.writeBytes(json.bytes)
                look.lines.writeInteger(UInt8(ascii: "\n"))
            }
            look.damage = page.damage
            look.next = page.next?.value ?? index.size.entries
            look.hasMore = page.next != nil
        } catch { look.problem = Problem(error, ledger) }
        return look
    }

    private func take(_ look: Look) {
        guard !isEnded else { return }
        next = look.next
        if look.lines.readableBytes > 0 {
            connection.stream(look.lines)
            beat()
        }
        if let damage = look.damage, damage != self.damage {
            self.damage = damage
            sendLine { json in
                json.beginObject()
                json.damaged(damage)
                json.endObject()
            }
        }
        if let problem = look.problem { return end(problem) }
        if look.hasMore || hasNews.isRaised { pump() }
    }

    private func end(_ problem: Problem) {
        sendLine { json in
            json.beginObject()
            json.key("problem")
            problem.write(to: &json)
            json.endObject()
        }
        abandon()
        connection.endStreaming()
    }

    /// Ends the stream once the settings no longer grant it.
    private func isStillAllowed() -> Bool {
        if connection.currentGrant.allows(.read) { return true }
        end(connection.server.denied(.read, connection.peer, .forbidden(.read)))
        return false
    }

    /// Schedules a heartbeat, which reports the stream's position if nothing is sent for a while.
    private func beat() {
        heartbeat?.cancel()
        if isEnded { return }
        let interval = TimeAmount(QueryLimits.heartbeatInterval)
        let bound = NIOLoopBound(self, eventLoop: loop)
        heartbeat = loop.scheduleTask(in: interval) { bound.value.sendHeartbeat() }
    }

    private func sendHeartbeat() {
        guard !isEnded, isStillAllowed() else { return }
        if connection.isWritable {
            sendLine { json in
                json.beginObject()
                json.member("heartbeat", Int(next) - 1)
                json.endObject()
            }
        }
        beat()
    }

    private func sendLine(_ write: (inout JSONWriter) -> Void) {
        var json = JSONWriter()
        write(&json)
        connection.stream(ByteBuffer(bytes: json.bytes + [UInt8(ascii: "\n")]))
    }

    /// News from another thread; raised once until it is seen.
    private final class Flag: Sendable {
        private let value = Atomic(false)

        var isRaised: Bool { value.load(ordering: .acquiring) }
        /// Whether it was down before.
        func raise() -> Bool { !value.exchange(true, ordering: .acquiringAndReleasing) }
        func lower() { value.store(false, ordering: .releasing) }
    }
}
