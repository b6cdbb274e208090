internal import NIOCore
internal import StardustCore

/// Bytes of answers that a connection's client has not taken. Used on the connection's loop.
final class UntakenAnswers {
    private var bytes: Budgets.Lease
    /// There was no room for more: then no more lines are sent.
    private(set) var isFull = false

    init(_ bytes: consuming Budgets.Lease) { self.bytes = bytes }

    func take(_ count: Int) -> Bool { bytes.take(count) }
    func give(back count: Int) { bytes.give(back: count) }

    /// Counts lines that are sent now. If there is no room for them, tells the connection once
    /// there is; others may give it back.
    func add(_ count: Int, for connection: ConnectionHandler) {
        guard !bytes.add(count), !isFull else { return }
        isFull = true
        awaitRoom(connection)
    }

    private func awaitRoom(_ connection: ConnectionHandler) {
        let pause = TimeAmount(ConnectionLimits.roomPause)
        connection.eventLoop.assumeIsolated().scheduleTask(in: pause) {
            guard connection.state.phase != .closed else { return }
            guard self.bytes.hasRoom else { return self.awaitRoom(connection) }
            self.isFull = false
            connection.hasRoomAgain()
        }
    }
}
