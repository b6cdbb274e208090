/// What a connection does next: told of events, it answers with an action, which whoever owns the
/// connection performs. It knows neither socket nor clock.
///
/// A connection takes one request after the other and answers each once. What follows an answer that
/// was the last one is dropped.
package struct ConnectionState: Hashable, Sendable {
    package private(set) var phase = Phase.idle
    /// No further request is answered: the client has said that it sends no more, or the daemon is
    /// stopping.
    package private(set) var isDraining = false

    package enum Phase: Hashable, Sendable, CaseIterable {
        case idle
        /// A request without a body of interest; answered at its end.
        case query
        /// A request that is refused at its end, which is near: it has no body.
        case refused
        /// A body that is answered when it is whole.
        case body
        /// The same, and its answer is made like a query's: when earlier answers are taken.
        case queryBody
        /// A body that is answered while it arrives.
        case stream
        /// Its end has come; the rest of its answer has not.
        case streamEnded
        /// The request is whole, and is answered when the client has taken earlier answers.
        case held
        /// The request is whole, its answer on the way.
        case answering
        /// Packets go out as they become durable.
        case following
        /// Answered before the body ended: the rest is read and dropped.
        case discarding
        case closed
    }

    package enum Event: Hashable, Sendable {
        /// A request begins; `Begun` says what kind it is.
        case head(Begun)
        case bytes
        /// The request has ended. `isWritable`: the client has taken most of earlier answers.
        case end(isWritable: Bool)
        /// The client has taken most of the answers.
        case writable
        /// Answers go out as packets become durable, from now on.
        case follow
        /// The answer is complete. `keepsAlive`: the client may send another request.
        case answered(keepsAlive: Bool)
        /// The request was answered before its body ended.
        case refusedEarly
        case malformed
        case expired(ConnectionDeadlines.Expiry)
        /// The client sends no more. What is whole is still answered.
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
        /// Take up the request that has begun.
        case begin
        /// Hand the bytes to the body.
        case take
        /// Tell the body that it is whole.
        case finish
        /// Answer the request in hand.
        case answer
        /// Answer it with its problem.
        case refuse
        /// Tell the exchange that there is room for more of its answer.
        case resume
        /// Report bytes that are not HTTP, and read the rest away.
        case reportMalformed
        /// Report that the header did not come in time, and close.
        case reportSlowHeader
        /// Report that the body came too slowly, and read the rest away.
        case reportSlowBody
        /// End the stream of packets.
        case endFollowing
        /// Close when the last answer has gone out.
        case close
        case closeNow
        /// Give up the exchange in hand.
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
            phase == .idle ? go(to: .discarding, .reportMalformed) : unlessClosed(.closeNow)
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
        // Whoever asks and does not read must not fill the memory.
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

    /// The next request may come before the end of the answer is written.
    private mutating func answered(_ keepsAlive: Bool) -> Action {
        isDraining || !keepsAlive ? go(to: .discarding, .close) : go(to: .idle, .nothing)
    }

    private mutating func expired(_ expiry: ConnectionDeadlines.Expiry) -> Action {
        switch (expiry, phase) {
        case (_, .closed): .nothing
        case (.header, _): .reportSlowHeader
        case (.body, .body): go(to: .discarding, .reportSlowBody)
        default: .closeNow
        }
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
