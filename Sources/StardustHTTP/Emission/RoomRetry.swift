internal import NIOCore

/// Stops reading from a connection for want of room for request bodies, and tries again soon.
/// On the connection's event loop.
final class RoomRetry {
    private var isScheduled = false

    /// Holds reading and calls `pump` after a short delay; once, however often this is called before.
    func soon(_ connection: ConnectionHandler, _ pump: @escaping () -> Void) {
        connection.setReadingHeld(.room)
        guard !isScheduled else { return }
        isScheduled = true
        connection.eventLoop.assumeIsolated().scheduleTask(
            in: TimeAmount(EmissionLimits.retryDelay)
        ) {
            self.isScheduled = false
            pump()
        }
    }
}
