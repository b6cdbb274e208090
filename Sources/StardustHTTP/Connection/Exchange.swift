internal import NIOCore

/// A request that takes a while to handle. Used on its connection's event loop.
protocol Exchange: AnyObject {
    /// The connection is gone. Work already handed over continues.
    func abandon()
    /// There is room for more of the answer.
    func clientTookAnswers()
}

/// A request whose body matters. It receives the body's pieces and its end.
protocol RequestBody: Exchange {
    /// What kind of request it is.
    var kind: ConnectionState.Begun { get }
    func take(_ bytes: ByteBuffer)
    /// The body is complete.
    func finish()
}

extension RequestBody {
    /// An answer that is made as a whole never waits for room.
    func clientTookAnswers() {}
}
