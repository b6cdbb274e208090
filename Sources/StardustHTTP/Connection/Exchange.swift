internal import NIOCore

/// A request in hand that goes on over time. Used on its connection's event loop.
protocol Exchange: AnyObject {
    /// The connection is gone. What was handed over already goes on.
    func abandon()
    /// There is room for more of the answer.
    func clientTookAnswers()
}

/// A request whose body is of interest: told of its pieces, and of its end.
protocol RequestBody: Exchange {
    /// How its request goes on.
    var kind: ConnectionState.Begun { get }
    func take(_ bytes: ByteBuffer)
    /// The body is whole.
    func finish()
}

extension RequestBody {
    /// An answer that is given at once never waits for room.
    func clientTookAnswers() {}
}
