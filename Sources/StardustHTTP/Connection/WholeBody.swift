internal import NIOCore
internal import StardustCore

/// A body that is kept until it is complete, and answered on a pool.
final class WholeBody: RequestBody {
    typealias Answering = @Sendable ([UInt8], QueryContext) throws(Problem) -> Answer

    let kind = ConnectionState.Begun.queryBody
    private let connection: ConnectionHandler
    /// What the body is, for people.
    private let name: String
    private let bytesMax: Int
    private let pool: Pool
    private let answer: Answering
    private var body = ByteBuffer()
    private var reservation: Budgets.Lease

    init(
        _ connection: ConnectionHandler, _ name: String, bytesMax: Int, on pool: Pool,
        _ answer: @escaping Answering
    ) {
        (self.connection, self.name, self.bytesMax) = (connection, name, bytesMax)
        (self.pool, self.answer) = (pool, answer)
        reservation = connection.lease(.bodyBytes)
    }

    func take(_ bytes: ByteBuffer) {
        guard body.readableBytes + bytes.readableBytes <= bytesMax else {
            var problem = Problem(.tooLarge, "\(name) may have at most \(bytesMax) bytes")
            problem.limit = bytesMax
            return connection.refuse(problem)
        }
        guard reservation.take(bytes.readableBytes) else {
            return connection.refuse(Problem(.tooMuchInFlight))
        }
        body.writeImmutableBuffer(bytes)
    }

    func finish() {
        let bytes = Array(body.readableBytesView)
        body = ByteBuffer()
        connection.noteRead(query: bytes)
        connection.answerOffLoop(pool) { [answer] (context) throws(Problem) in
            try answer(bytes, context)
        }
    }

    /// The connection is gone. The reservation is released with this request.
    func abandon() {}
}
