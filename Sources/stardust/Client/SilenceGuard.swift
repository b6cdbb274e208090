internal import NIOCore
internal import Synchronization

/// Ends a connection to a daemon that hangs: it is stopped, or its machine is.
// Unchecked: used on the channel's event loop only.
final class SilenceGuard: ChannelInboundHandler, @unchecked Sendable {
    typealias InboundIn = NIOAny
    typealias InboundOut = NIOAny

    /// When silence is a failure.
    enum Patience: Sendable {
        /// From the request on.
        case always
        /// Once all input is sent, or while the daemon takes none of it.
        case whileOwed
    }

    /// An event that says that everything was sent.
    struct InputEnded: Sendable {}

    /// The daemon has not moved for this long.
    struct Silence: Error, CustomStringConvertible {
        var description: String {
            "the daemon has not answered for \(SilenceGuard.seconds) s; it hangs, or is "
                + "stopped (--timeout sets another number of seconds)"
        }
    }

    static let allowed = 1...86_400

    /// How long silence may last: longer than any query may take by default.
    static var seconds: Int64 {
        get { storedSeconds.load(ordering: .relaxed) }
        set { storedSeconds.store(newValue, ordering: .relaxed) }
    }
    private static let storedSeconds = Atomic<Int64>(30)

    private let patience: Patience
    private var hasInputEnded = false

    private init(_ patience: Patience) { self.patience = patience }

    static func handlers(_ patience: Patience) -> [any ChannelHandler] {
        [
            IdleStateHandler(allTimeout: .seconds(seconds)),
            SilenceGuard(patience),
        ]
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is InputEnded: hasInputEnded = true
        case is IdleStateHandler.IdleStateEvent:
            switch patience {
            case .whileOwed where !hasInputEnded && context.channel.isWritable: return
            case .always, .whileOwed:
                context.fireErrorCaught(Silence())
                context.close(promise: nil)
            }
        default: context.fireUserInboundEventTriggered(event)
        }
    }
}
