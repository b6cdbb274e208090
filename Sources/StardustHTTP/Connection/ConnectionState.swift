/// What a connection does next. It receives events and returns actions, which the connection's
/// owner performs. It knows neither the socket nor the clock.
///
/// A connection takes one request after another and answers each once. Anything that arrives after
/// the last answer is dropped.
package struct ConnectionState: Hashable, Sendable {
    package private(set) var phase = Phase.idle
    /// No further request is answered, because the client has closed its side or the daemon is
    /// stopping.
    package private(set) var isDraining = false

    package enum Phase: Hashable, Sendable, CaseIterable {
        case idle
        /// A request whose body, if any, is ignored; answered at its end.
        case query
        /// A request that is refused at its end, which comes at once because it has no body.
        case refused
        /// A body that is answered once it is complete.
        case body
        /// The same, but answered like a query: once the client has taken earlier answers.
        case queryBody
        /// A body that is answered while it arrives.
        case stream
        /// The body has ended, but the answer is not complete.
        case streamEnded
        /// The request is complete and is answered once the client has taken earlier answers.
        case held
        /// The request is complete and its answer is being made.
        case answering
        /// Packets are sent as they become durable.
        case following
        /// Answered before the body ended: the rest is read and dropped.
        case discarding
        case closed
    }

    package enum Event: Hashable, Sendable {
        /// A request begins; `Begun` is its kind.
        case head(Begun)
        case bytes
        /// The request has ended. `isWritable`: the client has taken most of earlier answers.
        case end(isWritable: Bool)
        /// The client has taken most of the answers.
        case writable
        /// From now on, packets are sent as they become durable.
        case follow
        /// The answer is complete. `keepsAlive`: the client may send another request.
        case answered(keepsAlive: Bool)
        /// The request was answered before its body ended.
        case refusedEarly
        case malformed
        case expired(ConnectionDeadlines.Expiry)
        /// The client sends nothing more. Complete requests are still answered.
        case inputClosed
        /// The daemon is stopping.
        case drain
        case inactive
    }

    package enum Begun: Hashable, Sendable, CaseIterable {
        case query, refusedQuery, body, queryBody, stream
    }

    package enum Action: Hashable, Sendable {
        case nothing
        /// Accept the request that has begun.
        case begin
        /// Hand the bytes to the body.
        case take
        /// Tell the body that it is complete.
        case finish
        /// Answer the current request.
        case answer
        /// Answer it with its problem.
        case refuse
        /// Tell the exchange that there is room for more of its answer.
        case resume
        /// Report bytes that are not HTTP, and discard the rest.
        case reportMalformed
        /// Report that the header did not arrive in time, and close.
        case reportSlowHeader
        /// Report that the body arrived too slowly, and discard the rest.
        case reportSlowBody
        /// End the stream of packets.
        case endFollowing
        /// Close once the last answer has been sent.
        case close
        case closeNow
        /// Abandon the current exchange.
        case abandon
    }

    package init() {}

    package mutating func handle(_ event: Event) -> Action {
        switch event {
        case .head(let begun): begin(begun)
        case .bytes: takesBytes ? .take : .nothing
        case .end(let isWritable): end(isWritable)
        case .writable: writable()
        case .follow: go(to: .following, .nothing)
        case .answered(let keepsAlive): answered(keepsAlive)
        case .refusedEarly: go(to: .discarding, .nothing)
        case .malformed:
            switch phase {
            case .idle, .query, .refused, .body, .queryBody:
                go(to: .discarding, .reportMalformed)
            // The answer that was sent is not cut off, nor one that is being made.
            case .discarding: .nothing
            case .held, .answering, .streamEnded: lastRequest()
            default: unlessClosed(.closeNow)
            }
        case .expired(let expiry): expired(expiry)
        case .inputClosed: inputClosed()
        case .drain: drain()
        case .inactive: phase == .closed ? .nothing : go(to: .closed, .abandon)
        }
    }

    private mutating func go(to phase: Phase, _ action: Action) -> Action {
        if self.phase == .closed { return .nothing }
        self.phase = phase
        return action
    }

    private func unlessClosed(_ action: Action) -> Action { phase == .closed ? .nothing : action }

    private var takesBytes: Bool { [.body, .queryBody, .stream].contains(phase) }

    private mutating func begin(_ begun: Begun) -> Action {
        guard phase == .idle else { return .nothing }
        switch begun {
        case .query: phase = .query
        case .refusedQuery: phase = .refused
        case .body: phase = .body
        case .queryBody: phase = .queryBody
        case .stream: phase = .stream
        }
        return .begin
    }

    private mutating func end(_ isWritable: Bool) -> Action {
        switch phase {
        // A client that sends requests without reading answers must not fill the memory.
        case .query, .queryBody:
            isWritable ? go(to: .answering, .answer) : go(to: .held, .nothing)
        case .refused: go(to: .answering, .refuse)
        case .body: go(to: .answering, .finish)
        case .stream: go(to: .streamEnded, .finish)
        case .discarding: .close
        case .idle, .streamEnded, .held, .answering, .following, .closed: .nothing
        }
    }

    private mutating func writable() -> Action {
        switch phase {
        case .held: go(to: .answering, .answer)
        case .stream, .streamEnded, .following: .resume
        default: .nothing
        }
    }

    /// The next request may arrive before the end of the answer is written.
    private mutating func answered(_ keepsAlive: Bool) -> Action {
        isDraining || !keepsAlive ? go(to: .discarding, .close) : go(to: .idle, .nothing)
    }

    private mutating func expired(_ expiry: ConnectionDeadlines.Expiry) -> Action {
        switch (expiry, phase) {
        case (_, .closed): .nothing
        case (.header, .idle): go(to: .discarding, .reportSlowHeader)
        case (.body, .body): go(to: .discarding, .reportSlowBody)
        default: .closeNow
        }
    }

    /// What follows the current request is not one.
    private mutating func lastRequest() -> Action {
        isDraining = true
        return .nothing
    }

    private mutating func inputClosed() -> Action {
        isDraining = true
        return switch phase {
        case .held, .answering, .following, .streamEnded, .closed: .nothing
        default: .close
        }
    }

    private mutating func drain() -> Action {
        isDraining = true
        return switch phase {
        case .idle: .close
        case .following: .endFollowing
        default: .nothing
        }
    }
}
