/// What a connection's client must do by when. It receives events and reports whether a deadline
/// has passed; the connection's owner acts on that. It has no clock of its own.
package struct ConnectionDeadlines: Sendable {
    package typealias Instant = ContinuousClock.Instant

    private var phase: Phase
    /// Since when the client has taken none of the bytes waiting for it; nil if it has taken
    /// everything. Restarts when a body ends.
    private var unsentSince: Instant?
    private var hold: (reason: Hold, since: Instant)?

    /// Why reading from a connection is paused.
    package enum Hold: Sendable {
        /// More has arrived than may wait for the disk.
        case room
        /// The client is not reading its answers.
        case answers
    }

    private enum Phase: Sendable {
        case idle(since: Instant)
        case header(since: Instant)
        case body(since: Instant, bytes: Int)
        case stream(lastByte: Instant)
        /// The client only has to take the answer.
        case answering
        case discarding(since: Instant, bytes: Int)
    }

    /// Which deadline has passed.
    package enum Expiry: Hashable, Sendable {
        case idle, header, body, write, discard
    }

    package init(now: Instant) { phase = .idle(since: now) }

    // MARK: Events

    package mutating func receivedBytes(_ count: Int, now: Instant) {
        switch phase {
        case .idle: phase = .header(since: now)
        case .body(let since, let bytes): phase = .body(since: since, bytes: bytes + count)
        case .stream: phase = .stream(lastByte: now)
        case .discarding(let since, let bytes):
            phase = .discarding(since: since, bytes: bytes + count)
        case .header, .answering: break
        }
    }

    package mutating func headEnded(isStream: Bool, now: Instant) {
        phase = isStream ? .stream(lastByte: now) : .body(since: now, bytes: 0)
    }

    package mutating func bodyEnded(now: Instant) {
        phase = .answering
        if unsentSince != nil { unsentSince = now }
    }

    /// Reading is paused for a reason, or resumes.
    package mutating func held(_ reason: Hold?, now: Instant) {
        hold = reason.map { ($0, now) }
        if reason == nil, case .stream = phase { phase = .stream(lastByte: now) }
    }

    package mutating func answered(now: Instant) { phase = .idle(since: now) }

    package mutating func beganDiscarding(now: Instant) {
        phase = .discarding(since: now, bytes: 0)
    }

    package mutating func wrote(now: Instant) { unsentSince = unsentSince ?? now }

    /// The client took everything, or part of it.
    package mutating func sent(isAll: Bool, now: Instant) {
        unsentSince = isAll ? nil : now
        // Idle time starts once the client has everything.
        if isAll, case .idle = phase { phase = .idle(since: now) }
    }

    // MARK: The answer

    package mutating func expiry(now: Instant) -> Expiry? {
        switch phase {
        case .idle(let since):
            // A client that is still taking its answer is not idle.
            if let unsentSince {
                return now - unsentSince > ConnectionLimits.writeTime ? .write : nil
            }
            return now - since > ConnectionLimits.idleTime ? .idle : nil
        case .header(let since): return now - since > ConnectionLimits.headerTime ? .header : nil
        case .body(let since, let bytes):
            // Each period is judged by itself: an early flood buys no later rest.
            guard now - since > ConnectionLimits.bodyPeriod else { return nil }
            if bytes < ConnectionLimits.bodyBytesPerPeriod { return .body }
            phase = .body(since: now, bytes: 0)
            return nil
        case .stream(let lastByte):
            switch hold?.reason {
            case .answers: return now - hold!.since > ConnectionLimits.writeTime ? .write : nil
            case .room: return now - hold!.since > ConnectionLimits.idleTime ? .body : nil
            case nil: return now - lastByte > ConnectionLimits.idleTime ? .body : nil
            }
        case .answering:
            if let unsentSince, now - unsentSince > ConnectionLimits.writeTime { return .write }
            return nil
        case .discarding(let since, let bytes):
            let isOver =
                now - since > ConnectionLimits.discardTime || bytes > ConnectionLimits.discardBytes
            return isOver ? .discard : nil
        }
    }
}
