internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Platform
package import Publishing
internal import StardustCore

/// Where a witness listens, from a URL in the policy.
package enum WitnessAddress: Hashable, Sendable {
    case tcp(host: String, port: Int, prefix: String)
    case unix(path: String)

    /// `http://host:port/prefix`, or `unix:/path`. Nil for anything else.
    package init?(_ url: String) {
        if url.hasPrefix("unix:/") {
            self = .unix(path: String(url.dropFirst("unix:".count)))
            return
        }
        guard url.hasPrefix("http://") else { return nil }
        let rest = url.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" }
        var prefix = rest.dropFirst(authority.count)
        while prefix.hasSuffix("/") { prefix = prefix.dropLast() }
        if let (host, port) = Self.hostAndPort(String(authority)) {
            self = .tcp(host: host, port: port, prefix: String(prefix))
        } else if !authority.isEmpty, !authority.contains(":") {
            self = .tcp(host: String(authority), port: 80, prefix: String(prefix))
        } else {
            return nil
        }
    }

    /// The two parts of `host:port`; nil for a path.
    package static func hostAndPort(_ text: String) -> (host: String, port: Int)? {
        guard !text.contains("/"), let colon = text.lastIndex(of: ":"), colon > text.startIndex,
            let port = Int(text[text.index(after: colon)...]), (0...65_535).contains(port)
        else { return nil }
        let host = text[..<colon]
        return (host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : String(host), port)
    }
}

/// Sends checkpoints to witnesses. Blocks the calling thread, so never call it on an event loop.
package enum WitnessClient {
    private static let answerBytesMax = 64 << 10

    /// A `WitnessCouncil.Transport`.
    @Sendable package static func post(
        _ url: String, _ body: [UInt8], _ time: Duration
    ) -> Result<WitnessAnswer, WitnessCouncil.Unreachable> {
        guard let address = WitnessAddress(url) else {
            return .failure(.init("\(url) is neither http://host:port nor unix:/path"))
        }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let promise = loop.makePromise(of: WitnessAnswer.self)
        let timeout = loop.scheduleTask(in: TimeAmount(time)) {
            promise.fail(WitnessCouncil.Unreachable("no answer within \(time)"))
        }
        defer { timeout.cancel() }
        let bootstrap = ClientBootstrap(group: loop).connectTimeout(TimeAmount(time))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(AnswerCollector(promise, bytesMax: answerBytesMax))
                }
            }
        do {
            let (connecting, path) = try connect(bootstrap, address)
            connecting.whenComplete { result in
                switch result {
                case .failure(let error): promise.fail(error)
                case .success(let channel):
                    send(body, to: path + "/add-checkpoint", channel)
                    promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
                }
            }
        } catch { promise.fail(error) }
        do { return .success(try promise.futureResult.wait()) } catch let error
            as WitnessCouncil.Unreachable
        { return .failure(error) } catch { return .failure(.init(sentence(error))) }
    }

    /// The connection, and the path under which the witness answers.
    private static func connect(
        _ bootstrap: ClientBootstrap, _ address: WitnessAddress
    ) throws(UnixSocket.Failure) -> (EventLoopFuture<any Channel>, String) {
        switch address {
        case .unix(let path):
            (bootstrap.withConnectedSocket(try UnixSocket.connected(to: path)), "")
        case .tcp(let host, let port, let prefix):
            (bootstrap.connect(host: host, port: port), prefix)
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

    private static func send(_ body: [UInt8], to path: String, _ channel: any Channel) {
        var head = HTTPRequestHead(version: .http1_1, method: .POST, uri: path)
        head.headers.add(name: "host", value: "witness")
        head.headers.add(name: "content-type", value: "text/plain; charset=utf-8")
        head.headers.add(name: "content-length", value: String(body.count))
        head.headers.add(name: "connection", value: "close")
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.write(
            HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }
}

/// Collects the parts of one answer.
private final class AnswerCollector: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    private let promise: EventLoopPromise<WitnessAnswer>
    private let bytesMax: Int
    private var answer = WitnessAnswer(status: 0, contentType: nil, body: [])

    init(_ promise: EventLoopPromise<WitnessAnswer>, bytesMax: Int) {
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
