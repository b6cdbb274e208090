internal import CPlatform
internal import Glibc
internal import Logging
internal import NIOCore
internal import Platform
internal import StardustCore
internal import Synchronization

/// Accepts or refuses connections on a thread of its own, before anything is made for them: however
/// busy the event loops are, and however many connections come and go, the next is looked at at once.
final class Acceptor: Sendable {
    /// Takes over the descriptor of a connection, which is the n-th that was admitted.
    typealias Take = @Sendable (Int32, Admission, Int) -> Void

    private let listener: Int32
    /// Whether nobody else has the listener.
    private let isOurs: Bool
    private let server: ServerContext
    private let take: Take
    private let isStopping = Atomic(false)
    private let (ended, end) = AsyncStream<Never>.makeStream()

    /// `listener` is a listening socket that does not block; the acceptor closes it.
    init(_ listener: Int32, isOurs: Bool, _ server: ServerContext, take: @escaping Take) {
        (self.listener, self.isOurs, self.server) = (listener, isOurs, server)
        self.take = take
    }

    func start() { startThread("accept") { [self] in run() } }

    /// Refuses further connections, and returns once those that already wait are accepted. Clients of a passed
    /// socket wait for whoever serves it next.
    func stop() async {
        isStopping.store(true, ordering: .relaxed)
        if isOurs { shutdown(listener, Int32(SHUT_RDWR)) }
        for await _ in ended {}
    }

    private func run() {
        var log = AcceptLog()
        var strangers = ConnectionLimits.strangersPace
        var leaving = LeavingClients()
        while isOurs || !isStopping.load(ordering: .relaxed),
            let client = next(&log, wait: leaving.isEmpty && isOurs ? 10_000 : 250)
        {
            leaving.close(now: .now)
            if let client, !admit(client, &strangers) { leaving.add(client, now: .now) }
        }
        leaving.close(now: nil)
        close(listener)
        end.finish()
    }

    /// The next client; nil inside if none came for a while, nil if there will be no more.
    private func next(_ log: inout AcceptLog, wait milliseconds: Int32) -> Int32?? {
        let client = stardust_accept(listener, milliseconds)
        switch -client {
        case ...0:
            if log.accepted(now: .now) { noteRecovery() }
            return .some(client)
        case EAGAIN:
            if log.accepted(now: .now) { noteRecovery() }
            return .some(nil)
        case EINVAL: return nil
        case let number:
            if isStopping.load(ordering: .relaxed) { return nil }
            if log.failed(now: .now) {
                server.logger.log(
                    .acceptFailed, "connections wait to be accepted: \(errorName(number))")
            }
            // Descriptors or memory are given back only as connections end.
            usleep(ConnectionLimits.acceptPauseMicroseconds)
            return .some(nil)
        }
    }

    private func noteRecovery() {
        server.logger.log(.acceptResumed, "connections are accepted again")
    }

    /// Hands a client over; false if it is refused.
    private func admit(_ client: Int32, _ strangers: inout Pace) -> Bool {
        guard let peer = PeerIdentity(descriptor: client) else { return false }
        guard let admission = Admission(peer, server),
            !admission.party.isStrangers || strangers.take(now: .now)
        else {
            server.metrics.connectionsCut.add()
            server.note(.connectionsRefused, peer, "too many connections")
            // A new socket has room for it; if its client has left, nobody misses it.
            _ = unsafe Self.refusal.withUnsafeBytes { bytes in
                unsafe send(client, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            }
            return false
        }
        take(client, admission, server.metrics.connectionsOpened.value)
        server.metrics.connectionsOpened.add()
        return true
    }

    private static let refusal: [UInt8] = {
        let answer = Answer(
            Problem(
                .tooManyConnections,
                "there are too many connections, in all or of this user; close some and try again",
                retryAfterSeconds: 5))
        return Array(answer.message(isLast: true).readableBytesView)
    }()
}

/// Refused connections, closed a little later: closed at once, a client that is still sending would
/// not see why. Used on one thread.
private struct LeavingClients {
    private static let time: Duration = .seconds(1)
    /// More leave earlier. The descriptors are among those the daemon has beside connections.
    private static let countMax = 16

    private var clients: [(descriptor: Int32, until: ContinuousClock.Instant)] = []

    var isEmpty: Bool { clients.isEmpty }

    mutating func add(_ client: Int32, now: ContinuousClock.Instant) {
        shutdown(client, Int32(SHUT_WR))
        if clients.count == Self.countMax { close(clients.removeFirst().descriptor) }
        clients.append((client, now + Self.time))
    }

    /// Closes those whose time is over; all of them where there is no more time.
    mutating func close(now: ContinuousClock.Instant?) {
        while let first = clients.first, now.map({ first.until <= $0 }) ?? true {
            close(clients.removeFirst().descriptor)
        }
    }

    private func close(_ client: Int32) {
        // With unread bytes, the client's end would be reset.
        var bytes = InlineArray<4096, UInt8>(repeating: 0)
        _ = unsafe recv(client, &bytes, 4096, Int32(MSG_DONTWAIT))
        _ = Glibc.close(client)
    }
}

/// When accepting fails, and when it works again: news only once. No clock of its own.
package struct AcceptLog {
    /// With few descriptors left, accepting works and fails by turns.
    package static let recovery: Duration = .seconds(5)

    private var failed: ContinuousClock.Instant?

    package init() {}

    /// Notes that accepting failed. Whether that is news.
    package mutating func failed(now: ContinuousClock.Instant) -> Bool {
        defer { failed = now }
        return failed == nil
    }

    /// Notes that accepting worked. Whether it is news, because it has not failed for a while again.
    package mutating func accepted(now: ContinuousClock.Instant) -> Bool {
        guard let last = failed, now - last >= Self.recovery else { return false }
        failed = nil
        return true
    }
}
