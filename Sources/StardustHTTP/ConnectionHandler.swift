internal import LedgerFormat
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Packets
internal import Platform
internal import StardustCore

/// One connection: takes requests one after the other and sees to it that each is answered once.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = Never
    typealias OutboundOut = HTTPServerResponsePart

    let server: ServerContext
    let loop: LoopContext
    let peer: PeerIdentity
    let grant: AccessPolicy.Grant

    private var state = State.idle
    private var deadlines = ConnectionDeadlines(now: .now)
    private(set) var context: ChannelHandlerContext!
    private var head: HTTPRequestHead?
    var lastWrite: EventLoopFuture<Void>?
    /// For an answer to what is no request yet.
    weak var watch: ByteWatch?
    private var isDraining = false
    /// Whether the request that comes through the pipeline next could not be answered at once.
    private var isSlow = false
    /// When the last checkpoint was given.
    private var lastCheckpoint: ContinuousClock.Instant?
    /// Why reading is held back, where it is.
    private var hold: ConnectionDeadlines.Hold?
    private var isReadWanted = false

    private enum State {
        case idle
        /// A request without a body of interest; answered at its end.
        case lookUp(Route, query: Substring?)
        /// A request that is refused at its end, which is near: it has no body.
        case refused(Problem)
        case single(SingleEmission)
        case stream(StreamEmission)
        case feed(FeedStream)
        case sql(SQLRequest)
        /// Packets go out as they come.
        case following(FollowStream)
        /// The request is complete, and is answered when the client has taken earlier answers.
        case held(() -> Void)
        /// The request is complete, its answer on the way.
        case answering
        /// Answered before the body ended: the rest is read and dropped.
        case discarding
        case closed
    }

    init(peer: PeerIdentity, server: ServerContext, loop: LoopContext) {
        self.peer = peer
        self.server = server
        self.loop = loop
        grant = server.policy.grant(peer)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        loop.add(self)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        if case .closed = state { return }
        switch state {
        case .single(let emission): emission.abandon()
        case .stream(let emission): emission.abandon()
        case .feed(let feed): feed.abandon()
        case .following(let follow): follow.abandon()
        default: break
        }
        state = .closed
        loop.remove(self)
    }

    /// The client has said that it sends no more. What is complete is still answered.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent {
            isDraining = true
            switch state {
            case .held, .answering, .following: break
            case .stream(let emission) where emission.isBodyWhole: break
            default: close()
            }
        }
        context.fireUserInboundEventTriggered(event)
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): begin(head)
        case .body(let bytes): take(bytes)
        case .end: finish()
        }
    }

    /// The answer to a request that did not come through the pipeline, where it is there at once.
    func answerAtOnce(_ request: PlainRequest) -> Answer? {
        guard case .idle = state, !isDraining, isWritable else { return nil }
        let (path, query) = request.target.pathAndQuery
        let librarian = server.librarian
        guard case .success(let route) = Route.parse(.GET, path: path),
            route.isQuick, route.role.map(grant.allows) ?? true,
            librarian.sizeToAwait(route, query) == nil
        else { return nil }
        guard let answer = librarian.quickAnswer(route, query: query) else {
            isSlow = true
            return nil
        }
        server.metrics.requests.add()
        deadlines.answered(now: .now)
        return answer
    }

    private func begin(_ head: HTTPRequestHead) {
        // What follows an answer that was the last one is dropped.
        guard case .idle = state else { return }
        self.head = head
        server.metrics.requests.add()
        deadlines.headEnded(isStream: false, now: .now)
        // Nearly every request is this one.
        if head.method == .POST, head.uri == "/v1/packets", grant.allows(.append) {
            return beginEmission(head, query: nil)
        }
        let (path, query) = head.uri.pathAndQuery
        switch Route.parse(head.method, path: path) {
        case .failure(let problem): refuse(problem, head)
        case .success(let route):
            if let role = route.role, !grant.allows(role) {
                return refuse(.forbidden(role), head)
            }
            switch route {
            case .emit: beginEmission(head, query: query)
            case .modelChanges:
                deadlines.headEnded(isStream: true, now: .now)
                state = .feed(FeedStream(self))
            case .modelSQL: state = .sql(SQLRequest(self))
            default: state = .lookUp(route, query: query)
            }
        }
    }

    private func beginEmission(_ head: HTTPRequestHead, query: Substring?) {
        let waits: Bool
        do throws(Problem) {
            waits = try Parameters(query: query, known: ["wait"]).waitsForCheckpoint()
        } catch { return refuse(error, head) }
        switch MediaType(head.headers.first(name: "content-type")) {
        case .json:
            let limit = server.ledger.settings.packetBytes
            if let text = head.headers.first(name: "content-length"), let length = Int(text),
                length > limit
            {
                return refuse(.tooLarge(limit: limit))
            }
            state = .single(SingleEmission(self, waitsForCheckpoint: waits))
        case .ndjson:
            deadlines.headEnded(isStream: true, now: .now)
            state = .stream(StreamEmission(self, waitsForCheckpoint: waits))
        case .other(let type):
            return refuse(
                Problem(
                    415, "unsupported_media_type",
                    "\(type) is not taken; send application/json or application/x-ndjson"))
        }
        if head.headers.first(name: "expect")?.lowercased() == "100-continue" {
            write(.head(HTTPResponseHead(version: .http1_1, status: .continue)))
            context.flush()
        }
    }

    private func take(_ bytes: ByteBuffer) {
        switch state {
        case .single(let emission): emission.take(bytes)
        case .stream(let emission): emission.take(bytes)
        case .feed(let feed): feed.take(bytes)
        case .sql(let request): request.take(bytes)
        case .idle, .lookUp, .refused, .following, .held, .answering, .discarding, .closed: break
        }
    }

    private func finish() {
        deadlines.bodyEnded(now: .now)
        switch state {
        case .lookUp(.follow, let query): answerWhenTaken { self.beginFollowing(query) }
        case .lookUp(let route, let query): answerWhenTaken { self.lookUp(route, query) }
        case .refused(let problem): respond(Answer(problem))
        case .single(let emission):
            state = .answering
            emission.finish()
        case .stream(let emission): emission.finish()
        case .feed(let feed): feed.finish()
        case .sql(let request): answerWhenTaken { request.finish() }
        case .discarding: close()
        case .idle, .following, .held, .answering, .closed: break
        }
    }

    /// Answers once the client has taken most of what it was given: whoever asks and does not read
    /// must not fill the memory.
    private func answerWhenTaken(_ answer: @escaping () -> Void) {
        guard isWritable else {
            state = .held(answer)
            return
        }
        state = .answering
        answer()
    }

    private func beginFollowing(_ query: Substring?) {
        do throws(Problem) {
            let follow = try FollowStream(self, query)
            guard head?.method != .HEAD else {
                return respond(Answer(200, "application/x-ndjson", []))
            }
            beginStreaming()
            context.flush()
            state = .following(follow)
            follow.start()
        } catch { respond(Answer(error)) }
    }

    private func lookUp(_ route: Route, _ query: Substring?) {
        let librarian = server.librarian
        if route == .checkpoint, let delay = paceOfCheckpoints() {
            context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) {
                self.respond(librarian.answer(route, query: query))
            }
            return
        }
        if route.isImmediate { return respond(librarian.answer(route, query: query)) }
        guard let size = librarian.sizeToAwait(route, query) else { return answer(route, query) }
        let (ledger, loop) = (server.ledger, context.eventLoop)
        CheckpointWait.begin(ledger, size, atMost: ledger.settings.queryTime, on: loop) { outcome in
            switch outcome {
            case .success: self.answer(route, query)
            case .failure(let problem): self.respond(Answer(problem))
            }
        }
    }

    private func answer(_ route: Route, _ query: Substring?) {
        if case .closed = state { return }
        let librarian = server.librarian
        let isTried = isSlow
        isSlow = false
        if !isTried, let answer = librarian.quickAnswer(route, query: query) {
            return respond(answer)
        }
        // What may wait must not keep others from the disk.
        let now = ContinuousClock.now
        onReaders(route.pool(server.pools)) {
            librarian.answer(route, query: query, since: now)
        } then: {
            $0.respond($1)
        }
    }

    /// How long the next checkpoint has to wait: a reader in a loop must not take the processor from
    /// writers, and there is no newer one anyway. Nil where it comes at once.
    private func paceOfCheckpoints() -> Duration? {
        let now = ContinuousClock.now
        let due = max(now, lastCheckpoint.map { $0 + SocketLimits.checkpointPace } ?? now)
        lastCheckpoint = due
        return due > now ? due - now : nil
    }

    /// Runs what blocks on a pool of readers, and goes on here with what it gave.
    func onReaders<Value: Sendable>(
        _ pool: NIOThreadPool? = nil, _ body: @escaping @Sendable () -> Value,
        then finish: @escaping (ConnectionHandler, Value) -> Void
    ) {
        let bound = NIOLoopBound((handler: self, finish: finish), eventLoop: context.eventLoop)
        (pool ?? server.pools.quick).runIfActive(eventLoop: context.eventLoop, body).whenSuccess {
            value in
            bound.value.finish(bound.value.handler, value)
        }
    }

    // MARK: Answers

    /// Refuses a request as soon as its head is known.
    private func refuse(_ problem: Problem, _ head: HTTPRequestHead) {
        let hasBody =
            head.headers.contains(name: "transfer-encoding")
            || head.headers.first(name: "content-length") ?? "0" != "0"
        if hasBody { refuse(problem) } else { state = .refused(problem) }
    }

    /// Answers before the body has ended, and closes behind it.
    func refuse(_ problem: Problem) {
        let isHead = head?.method == .HEAD
        state = .discarding
        send(Answer(problem), isHead: isHead, isLast: true)
        discard()
    }

    /// Reads on for a while and drops what comes: closing on unread bytes would reset the
    /// connection, and the client would never see its answer.
    private func discard() {
        state = .discarding
        deadlines.beganDiscarding(now: .now)
        setReadingHeld(nil)
        context.close(mode: .output, promise: nil)
    }

    func respond(_ answer: Answer) {
        if case .closed = state { return }
        let isHead = head?.method == .HEAD
        let isLast = becomeIdle()
        send(answer, isHead: isHead, isLast: isLast)
        if answer.body.count > SocketLimits.largeAnswerBytes {
            let pool = server.pools.quick
            lastWrite?.whenComplete { _ in pool.submit { _ in ProcessMemory.giveBack() } }
        }
        if isLast { close() }
    }

    /// Done with the request in hand, before the end of its answer is written: with that the next
    /// one may come at once. Whether this was the last.
    private func becomeIdle() -> Bool {
        let isLast = isDraining || head?.isKeepAlive == false
        head = nil
        state = isLast ? .discarding : .idle
        deadlines.answered(now: .now)
        setReadingHeld(nil)
        return isLast
    }

    private func send(_ answer: Answer, isHead: Bool, isLast: Bool) {
        let headers = HTTPHeaders(answer.headers(isLast: isLast))
        let status = HTTPResponseStatus(statusCode: answer.status)
        write(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers)))
        writePieces(of: ByteBuffer(bytes: isHead ? [] : answer.body))
        lastWrite = context.writeAndFlush(wrapOutboundOut(.end(nil)))
    }

    /// Begins an answer of lines that come as packets become durable.
    func beginStreaming() {
        var headers = HTTPHeaders()
        headers.add(name: "content-type", value: "application/x-ndjson")
        // To HTTP/1.0 the end of the connection is the end of the answer.
        if head?.version != .http1_0 {
            headers.add(name: "transfer-encoding", value: "chunked")
        }
        if isDraining || head?.isKeepAlive == false {
            headers.add(name: "connection", value: "close")
        }
        let version = head?.version ?? .http1_1
        write(.head(HTTPResponseHead(version: version, status: .ok, headers: headers)))
    }

    func stream(_ lines: ByteBuffer) {
        writePieces(of: lines)
        context.flush()
    }

    /// In pieces, so that a client that reads slowly is seen to read.
    private func writePieces(of bytes: ByteBuffer) {
        var bytes = bytes
        while let piece = bytes.readSlice(
            length: min(bytes.readableBytes, SocketLimits.writeBytes)), piece.readableBytes > 0
        {
            write(.body(.byteBuffer(piece)))
        }
    }

    func endStreaming() {
        if case .closed = state { return }
        let isLast = becomeIdle()
        lastWrite = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if isLast { close() }
    }

    private func write(_ part: HTTPServerResponsePart) {
        context.write(wrapOutboundOut(part), promise: nil)
    }

    /// Closes when the last answer has gone out.
    func close() {
        guard let lastWrite else { return context.close(promise: nil) }
        lastWrite.assumeIsolated().whenComplete { [context] _ in context?.close(promise: nil) }
    }

    // MARK: Reading

    var isWritable: Bool { context.channel.isWritable }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            switch state {
            case .stream(let emission): emission.clientTookAnswers()
            case .following(let follow): follow.pump()
            case .held(let answer):
                state = .answering
                answer()
            default: break
            }
        }
        context.fireChannelWritabilityChanged()
    }

    /// Holds reading back for a reason, or lets it go on.
    func setReadingHeld(_ reason: ConnectionDeadlines.Hold?) {
        guard reason != hold else { return }
        hold = reason
        deadlines.held(reason, now: .now)
        if reason == nil, isReadWanted {
            isReadWanted = false
            context.read()
        }
    }

    func read(context: ChannelHandlerContext) {
        if hold != nil { isReadWanted = true } else { context.read() }
    }

    // MARK: Deadlines and errors

    func received(_ count: Int) { deadlines.receivedBytes(count, now: .now) }
    func wrote() { deadlines.wrote(now: .now) }
    func sent(isAll: Bool) { deadlines.sent(isAll: isAll, now: .now) }

    func enforceDeadline(_ now: ContinuousClock.Instant) {
        guard let expiry = deadlines.expiry(now: now) else { return }
        server.metrics.connectionsCut.add()
        switch expiry {
        case .idle, .write, .discard: context.close(promise: nil)
        case .header:
            watch?.sendLast(
                Answer(
                    Problem(
                        408, "request_timeout",
                        "the header did not come within \(SocketLimits.headerTime)")))
        case .body:
            guard case .single(let emission) = state else { return context.close(promise: nil) }
            emission.abandon()
            refuse(
                Problem(
                    408, "request_timeout",
                    "the body came slower than \(SocketLimits.bodyBytesPerSecond) bytes a second"))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else { return context.close(promise: nil) }
        switch state {
        case .idle:
            let isTooLarge = error == .headerOverflow
            head = nil
            state = .discarding
            send(
                Answer(
                    isTooLarge
                        ? Problem(
                            431, "header_too_large",
                            "a request header may have \(SocketLimits.headerLines) lines and "
                                + "\(SocketLimits.headerBytes) bytes")
                        : Problem(400, "malformed_request", "this is not HTTP/1.1: \(error)")),
                isHead: false, isLast: true)
            discard()
        default: context.close(promise: nil)
        }
    }

    /// Ends after the request in hand, or at once without one.
    func drain() {
        isDraining = true
        switch state {
        case .idle: close()
        case .following(let follow):
            follow.abandon()
            endStreaming()
        default: break
        }
    }
}
