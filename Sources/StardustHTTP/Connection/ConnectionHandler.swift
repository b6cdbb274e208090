internal import LedgerFormat
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Packets
internal import Platform
internal import StardustCore

/// One connection: performs the actions its state machine decides, on its event loop.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = Never
    typealias OutboundOut = HTTPServerResponsePart

    let server: ServerContext
    let loop: LoopContext
    private let admission: Admission
    private let untaken: UntakenAnswers

    private(set) var state = ConnectionState()
    private var deadlines = ConnectionDeadlines(now: .now)
    /// Nil once the connection has closed; otherwise it and this handler would keep each other.
    private var context: ChannelHandlerContext?
    let eventLoop: any EventLoop
    /// What the current request is handled by.
    private var terms: RequestTerms
    private var head: HTTPRequestHead?
    /// What the current request's header says.
    private(set) var fields = RequestFields([:])
    /// Which kind of request it is, since when; nil if there is none, or it is answered.
    private var timed: (ordinal: Int, since: ContinuousClock.Instant)?
    /// The current request, once its head is known.
    private var request = CurrentRequest.none
    private(set) var writer: ResponseWriter!
    /// For answers that bypass the pipeline.
    private weak var plain: PlainRequestHandler?
    /// A query that could not be answered at once; it arrives through the pipeline next.
    private var prepared: (target: String, query: PreparedQuery)?
    var checkpoints = CheckpointPace()
    /// Why reading is paused; nil if it is not.
    private var hold: ConnectionDeadlines.Hold?
    private var isReadWanted = false
    /// What still arrives is dropped.
    private var isDiscarding = false

    init(
        _ admission: Admission, server: ServerContext, loop: LoopContext,
        on eventLoop: any EventLoop
    ) {
        self.admission = admission
        self.eventLoop = eventLoop
        self.server = server
        self.loop = loop
        terms = RequestTerms(server.ledger, admission.peer)
        untaken = UntakenAnswers(server.budgets.lease(.answerBytes, admission.party))
    }

    var currentTarget: String? { head?.uri }
    var currentEndpoint: Endpoint? { timed.map { Endpoint.all[$0.ordinal] } }
    var peer: PeerIdentity { admission.peer }
    var grant: AccessPolicy.Grant { terms.grant }
    var settings: RunningLedger.Settings { terms.settings }
    /// What a request that lasts is still allowed.
    var currentGrant: AccessPolicy.Grant { terms.current(server.ledger, peer) }
    /// Whose share of the budgets this connection takes.
    var party: Budgets.Party { admission.party }

    /// An empty lease for a request of this connection.
    func lease(_ resource: Budgets.Resource) -> Budgets.Lease {
        server.budgets.lease(resource, party)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        writer = ResponseWriter(context)
        loop.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        writer.detach()
    }

    func attach(_ plain: PlainRequestHandler) { self.plain = plain }

    func channelInactive(context: ChannelHandlerContext) {
        perform(state.handle(.inactive))
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent {
            perform(state.handle(.inputClosed))
        }
        context.fireUserInboundEventTriggered(event)
    }

    /// Closes after the current request, or at once if there is none.
    func drain() { perform(state.handle(.drain)) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else { return context.close(promise: nil) }
        let action = state.handle(.malformed)
        if action == .reportMalformed {
            exchange?.abandon()
            writer.send(Answer(Problem(error)), isHead: false, isLast: true)
            discard()
        } else if action == .closeNow {
            context.close(promise: nil)
        }
    }

    private func perform(_ action: ConnectionState.Action) {
        switch action {
        // Actions that need data from their event are performed where the event arrives.
        case .nothing, .begin, .take, .reportMalformed: break
        case .finish: if case .body(let body) = request { body.finish() }
        case .answer: answerRequest()
        case .refuse: if case .refused(let problem) = request { respond(Answer(problem)) }
        case .resume: exchange?.clientTookAnswers()
        case .reportSlowHeader:
            plain?.sendLast(Answer(.slowHeader))
            deadlines.beganDiscarding(now: .now)
        case .reportSlowBody:
            exchange?.abandon()
            refuse(.slowBody)
        case .endFollowing:
            exchange?.abandon()
            endStreaming()
        case .close: close()
        case .closeNow: context?.close(promise: nil)
        case .abandon:
            exchange?.abandon()
            request = .none
            loop.remove(self)
        }
    }

    private var exchange: (any Exchange)? {
        switch request {
        case .body(let body): body
        case .following(let follow): follow
        default: nil
        }
    }

    // MARK: Requests

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): begin(head)
        case .body(let bytes):
            if state.handle(.bytes) == .take, case .body(let body) = request { body.take(bytes) }
        case .end:
            deadlines.bodyEnded(now: .now)
            perform(state.handle(.end(isWritable: isWritable)))
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        guard state.phase == .idle else { return }
        self.head = head
        fields = RequestFields(head.headers)
        terms.renew(server.ledger, peer)
        server.metrics.requests.add()
        deadlines.headEnded(isStream: false, now: .now)
        let isPost = head.method == .POST
        if let problem = RequestFraming.problem(head, fields, hasBody: isPost) {
            return refuse(problem)
        }
        do throws(Problem) { try begin(head.method, head.uri) } catch {
            guard fields.announcesBody else {
                request = .refused(error)
                _ = state.handle(.head(.refusedQuery))
                return
            }
            refuse(error)
        }
    }

    private func begin(_ method: HTTPMethod, _ target: String) throws(Problem) {
        if let (known, query) = prepared {
            prepared = nil
            if known == target {
                request = .query(query)
                timed = (query.endpoint.ordinal, .now)
                noteRead(query.endpoint, target)
                _ = state.handle(.head(.query))
                return
            }
        }
        let (path, text) = target.pathAndQuery
        let (endpoint, variables) = try Endpoint.router.find(method, path)
        if let role = endpoint.role, !grant.allows(role) {
            throw server.denied(role, peer, .forbidden(role))
        }
        timed = (endpoint.ordinal, .now)
        noteRead(endpoint, target)
        switch endpoint.handler {
        case .body(let make):
            let body = try make(self, try endpoint.read(text))
            request = .body(body)
            _ = state.handle(.head(body.kind))
            if body.kind == .stream { deadlines.headEnded(isStream: true, now: .now) }
            if fields.waitsToContinue, head?.version == .http1_1 { writer.proceed() }
        case .query, .follow:
            // The body of a GET is ignored, also if its parameters are wrong.
            do throws(Problem) {
                request = try CurrentRequest(endpoint, variables, text, server.ledger, fields)
                _ = state.handle(.head(.query))
            } catch {
                request = .refused(error)
                _ = state.handle(.head(.refusedQuery))
            }
        }
    }

    /// The answer to a request that did not come through the pipeline, if it can be made at once.
    func answerAtOnce(_ plain: PlainRequest) -> Answer? {
        guard state.phase == .idle, !state.isDraining, isWritable else { return nil }
        let began = ContinuousClock.now
        terms.renew(server.ledger, peer)
        let (path, text) = plain.target.pathAndQuery
        guard let (endpoint, variables) = try? Endpoint.router.find(.GET, path),
            endpoint.mayAnswerAtOnce, endpoint.role.map(grant.allows) ?? true
        else { return nil }
        let answer: Answer
        do throws(Problem) {
            guard
                case .query(var prepared) = try CurrentRequest(
                    endpoint, variables, text, server.ledger, fields)
            else { return nil }
            guard prepared.query.awaits == nil,
                let immediate = try prepared.immediateAnswer(server.ledger)
            else {
                self.prepared = (plain.target, prepared)
                return nil
            }
            answer = immediate
        } catch { answer = Answer(error) }
        noteRead(endpoint, plain.target)
        server.metrics.requests.add()
        server.metrics.requestSeconds.add(.now - began, endpoint.ordinal)
        deadlines.answered(now: .now)
        return answer
    }

    // MARK: Answers

    private func answerRequest() {
        switch request {
        case .query(let query): answer(query)
        case .follow(let parameters): beginFollowing(parameters)
        case .body(let body): body.finish()
        case .none, .refused, .following: preconditionFailure("no request needs an answer")
        }
    }

    private func beginFollowing(_ parameters: Parameters) {
        do throws(Problem) {
            let follow = try FollowStream(self, parameters)
            guard head?.method != .HEAD else {
                return respond(Answer(200, "application/x-ndjson", []))
            }
            // Before anything is written: the client may be gone, and then it ends in there.
            request = .following(follow)
            _ = state.handle(.follow)
            beginStreaming()
            context?.flush()
            follow.start()
        } catch { respond(Answer(error)) }
    }

    /// Answers before the body has ended, then closes the connection.
    func refuse(_ problem: Problem) {
        if state.phase == .closed { return }
        let isHead = head?.method == .HEAD
        _ = state.handle(.refusedEarly)
        writer.send(Answer(problem), isHead: isHead, isLast: true)
        discard()
    }

    /// Keeps reading for a while and drops the bytes. Closing with unread bytes would reset the
    /// connection, and the client would never see its answer.
    private func discard() {
        (request, isDiscarding) = (.none, true)
        deadlines.beganDiscarding(now: .now)
        setReadingHeld(nil)
        context?.close(mode: .output, promise: nil)
    }

    func respond(_ answer: Answer) {
        if state.phase == .closed { return }
        let isHead = head?.method == .HEAD
        let count = isHead ? 0 : answer.body.count
        let isLarge = count > ConnectionLimits.largeAnswerBytes
        guard count < ConnectionLimits.smallAnswerBytes || untaken.take(count) else {
            if isLarge { giveBackMemory() }
            return respond(Answer(.noRoomForAnswer))
        }
        if let timed { server.metrics.requestSeconds.add(.now - timed.since, timed.ordinal) }
        let action = finishRequest()
        writer.send(answer, isHead: isHead, isLast: action == .close)
        if count >= ConnectionLimits.smallAnswerBytes {
            writer.lastWrite?.assumeIsolated().whenComplete { _ in
                self.untaken.give(back: count)
                if isLarge { self.giveBackMemory() }
            }
        }
        perform(action)
    }

    /// Begins an answer whose lines are sent as they become ready.
    func beginStreaming() {
        writer.beginStreaming(
            head?.version ?? .http1_1, isLast: state.isDraining || !keepsAlive)
    }

    func stream(_ lines: ByteBuffer) {
        let count = lines.readableBytes
        guard count > 0 else { return }
        untaken.add(count, for: self)
        writer.stream(lines) { self.untaken.give(back: count) }
    }

    func hasRoomAgain() { if isWritable { perform(state.handle(.writable)) } }

    func endStreaming() {
        if state.phase == .closed { return }
        let action = finishRequest()
        writer.end()
        perform(action)
    }

    /// Closes once the last answer has been sent.
    func close() { writer.close() }

    /// Ends the current request, before the end of its answer is written.
    private func finishRequest() -> ConnectionState.Action {
        let action = state.handle(.answered(keepsAlive: keepsAlive))
        (head, request, timed) = (nil, .none, nil)
        deadlines.answered(now: .now)
        setReadingHeld(nil)
        return action
    }

    /// Whether another request may follow this one. HTTP/1.0 has an answer's end where the
    /// connection ends.
    private var keepsAlive: Bool {
        head.map { $0.version == .http1_1 && $0.isKeepAlive && !fields.wantsOtherProtocol } ?? true
    }

    // MARK: Reading and deadlines

    var isWritable: Bool { !untaken.isFull && context?.channel.isWritable ?? false }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        hasRoomAgain()
        context.fireChannelWritabilityChanged()
    }

    /// Pauses reading for a reason, or resumes it.
    func setReadingHeld(_ reason: ConnectionDeadlines.Hold?) {
        guard reason != hold else { return }
        hold = reason
        deadlines.held(reason, now: .now)
        if reason == nil, isReadWanted {
            isReadWanted = false
            context?.read()
        }
    }

    func read(context: ChannelHandlerContext) {
        if hold != nil {
            isReadWanted = true
        } else if isDiscarding {
            // Together, a user's connections are dropped at one rate, however many they are.
            let pause = ConnectionLimits.discardPause * admission.count
            eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(pause)) {
                self.context?.read()
            }
        } else {
            context.read()
        }
    }

    func received(_ count: Int) { deadlines.receivedBytes(count, now: .now) }
    func wrote() { deadlines.wrote(now: .now) }
    func sent(isAll: Bool) { deadlines.sent(isAll: isAll, now: .now) }

    func enforceDeadline(_ now: ContinuousClock.Instant) {
        guard let expiry = deadlines.expiry(now: now) else { return }
        server.metrics.connectionsCut.add()
        perform(state.handle(.expired(expiry)))
    }
}
