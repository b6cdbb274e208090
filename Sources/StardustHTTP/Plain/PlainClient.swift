internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Platform
internal import Publishing
internal import StardustCore

/// Sends one request over a connection of its own and collects the answer. Blocks the calling thread,
/// so never call it on an event loop.
struct PlainClient {
    let address: WitnessAddress
    var answerBytesMax: Int
    /// Who may serve a Unix socket; nil for anybody.
    var users: Set<UInt32>?

    struct Request {
        var method: HTTPMethod
        var path: String
        var host: String
        var body: (type: String, bytes: [UInt8])?
    }

    func send(
        _ request: Request, within time: Duration
    ) -> Result<PlainAnswer, WitnessCouncil.Unreachable> {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: PlainAnswer.self)
        let timeout = loop.scheduleTask(in: TimeAmount(time)) {
            promise.fail(WitnessCouncil.Unreachable("no answer within \(time)"))
        }
        defer { timeout.cancel() }
        let bytesMax = answerBytesMax
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(TimeAmount(time))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(AnswerCollector(promise, bytesMax: bytesMax))
                }
            }
        do {
            let (connecting, prefix) = try connect(bootstrap)
            connecting.whenComplete { result in
                switch result {
                case .failure(let error): promise.fail(error)
                case .success(let channel):
                    Self.write(request, prefix, to: channel)
                    promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
                }
            }
        } catch { promise.fail(error) }
        do { return .success(try promise.futureResult.wait()) } catch let error
            as WitnessCouncil.Unreachable
        { return .failure(error) } catch { return .failure(.init(Self.sentence(error))) }
    }

    /// The connection, and what comes before every path.
    private func connect(
        _ bootstrap: ClientBootstrap
    ) throws -> (EventLoopFuture<any Channel>, String) {
        switch address {
        case .unix(let path):
            let descriptor = try UnixSocket.connected(to: path)
            if let users {
                let peer = PeerIdentity(descriptor: descriptor)?.uid
                guard let peer, users.contains(peer) else {
                    close(descriptor)
                    throw WitnessCouncil.Unreachable(
                        "user \(peer.map(String.init) ?? "?") serves \(path), whom the configuration "
                            + "does not name")
                }
            }
            return (bootstrap.withConnectedSocket(descriptor), "")
        case .tcp(let host, let port, let prefix):
            return (bootstrap.connect(host: host, port: port), prefix)
        }
    }

    private static func sentence(_ error: any Error) -> String {
        switch error {
        case let error as IOError: "it cannot be reached: \(errorName(error.errnoCode))"
        case let error as UnixSocket.Failure: "it cannot be reached: \(error)"
        case is NIOConnectionError, is ChannelError: "it cannot be reached"
        case is HTTPParserError: "its answer is not HTTP/1.1"
        default: "\(error)"
        }
    }

    private static func write(_ request: Request, _ prefix: String, to channel: any Channel) {
        var head = HTTPRequestHead(
            version: .http1_1, method: request.method, uri: prefix + request.path)
        head.headers.add(name: "host", value: request.host)
        if let body = request.body {
            head.headers.add(name: "content-type", value: body.type)
            head.headers.add(name: "content-length", value: String(body.bytes.count))
        }
        head.headers.add(name: "connection", value: "close")
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        if let body = request.body {
            channel.write(
                HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body.bytes))), promise: nil
            )
        }
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }
}

/// Collects the parts of one answer.
private final class AnswerCollector: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<PlainAnswer>
    private let bytesMax: Int
    private var answer = PlainAnswer(status: 0, contentType: nil, body: [])

    init(_ promise: EventLoopPromise<PlainAnswer>, bytesMax: Int) {
        (self.promise, self.bytesMax) = (promise, bytesMax)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            answer.status = Int(head.status.code)
            answer.contentType = head.headers.first(name: "content-type")
        case .body(let bytes):
            answer.body += bytes.readableBytesView
            if answer.body.count > bytesMax {
                promise.fail(WitnessCouncil.Unreachable("its answer is too long"))
                context.close(promise: nil)
            }
        case .end: promise.succeed(answer)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(WitnessCouncil.Unreachable("it closed the connection"))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
        context.close(promise: nil)
    }
}
