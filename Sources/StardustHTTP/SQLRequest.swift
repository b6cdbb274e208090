internal import NIOCore
internal import Packets
internal import StardustCore

/// The body of a question in SQL.
final class SQLRequest {
    private let connection: ConnectionHandler
    private var body = ByteBuffer()

    init(_ connection: ConnectionHandler) { self.connection = connection }

    func take(_ bytes: ByteBuffer) {
        guard body.readableBytes + bytes.readableBytes <= SocketLimits.sqlBytes else {
            var problem = Problem(
                413, "too_large", "a question may have at most \(SocketLimits.sqlBytes) bytes")
            problem.limit = SocketLimits.sqlBytes
            return connection.refuse(problem)
        }
        body.writeImmutableBuffer(bytes)
    }

    func finish() {
        let (librarian, bytes) = (connection.server.librarian, Array(body.readableBytesView))
        let now = ContinuousClock.now
        connection.onReaders(connection.server.pools.sql) {
            librarian.answer(sql: bytes, since: now)
        } then: {
            $0.respond($1)
        }
    }
}
