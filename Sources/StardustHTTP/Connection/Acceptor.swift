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
    private let server: ServerContext
    private let take: Take
    private let isStopping = Atomic(false)
    private let (ended, end) = AsyncStream<Never>.makeStream()

    /// `listener` is a listening socket that does not block; the acceptor closes it.
    init(_ listener: Int32, _ server: ServerContext, take: @escaping Take) {
        (self.listener, self.server, self.take) = (listener, server, take)
    }

    func start() { startThread("accept") { [self] in run() } }

    /// Refuses further connections, and returns once those that already wait are accepted.
    func stop() async {
        isStopping.store(true, ordering: .relaxed)
        shutdown(listener, Int32(SHUT_RDWR))
        for await _ in ended {}
    }

    private func run() {
        var log = RefusalLog()
        var strangers = ConnectionLimits.strangersPace
        while let client = next(&log) {
            if let client { admit(client, &strangers, &log) }
            if let line = log.line(now: .now) { server.logger.warning("\(line)") }
        }
        close(listener)
        end.finish()
    }

    /// The next client; nil inside if none came for a while, nil if there will be no more.
    private func next(_ log: inout RefusalLog) -> Int32?? {
        let client = stardust_accept(listener, ConnectionLimits.acceptMilliseconds)
        switch -client {
        case ...0:
            if log.accepted() { server.logger.notice("connections are accepted again") }
            return .some(client)
        case EAGAIN: return .some(nil)
        case EINVAL: return nil
        case let number:
            if isStopping.load(ordering: .relaxed) { return nil }
            if log.failed() {
                server.logger.error("connections wait to be accepted: \(errorName(number))")
            }
            // Descriptors or memory are given back only as connections end.
            usleep(ConnectionLimits.acceptPauseMicroseconds)
            return .some(nil)
        }
    }

    private func admit(_ client: Int32, _ strangers: inout Pace, _ log: inout RefusalLog) {
        guard let peer = PeerIdentity(descriptor: client) else {
            close(client)
            return
        }
        guard let admission = Admission(peer, server),
            !admission.party.isStrangers || strangers.take(now: .now)
        else {
            server.metrics.connectionsCut.add()
            log.refused(peer.uid)
            refuse(client)
            return
        }
        take(client, admission, server.metrics.connectionsOpened.value)
        server.metrics.connectionsOpened.add()
    }

    /// Says why, to a client that may listen, and closes.
    private func refuse(_ client: Int32) {
        // A new socket has room for it; if its client has left, nobody misses it.
        _ = unsafe Self.refusal.withUnsafeBytes { bytes in
            unsafe send(client, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
        }
        close(client)
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

/// When to log what about connections that are refused: the first at once, then at most a line in
/// each period. No clock of its own.
package struct RefusalLog {
    package static let period: Duration = .seconds(60)

    private var count = 0
    private var user: UInt32 = 0
    private var last: ContinuousClock.Instant?
    private var isFailing = false

    package init() {}

    package mutating func refused(_ uid: UInt32) { (count, user) = (count + 1, uid) }

    /// What to log now; nil for nothing.
    package mutating func line(now: ContinuousClock.Instant) -> String? {
        guard count > 0, last.map({ now - $0 >= Self.period }) ?? true else { return nil }
        defer { (count, last) = (0, now) }
        return
            "too many connections: \(count) refused since the last such line, the newest of user "
            + "\(user)"
    }

    /// Notes that accepting failed. Whether that is new.
    package mutating func failed() -> Bool {
        defer { isFailing = true }
        return !isFailing
    }

    /// Notes that accepting worked. Whether it had failed before.
    package mutating func accepted() -> Bool {
        defer { isFailing = false }
        return isFailing
    }
}
