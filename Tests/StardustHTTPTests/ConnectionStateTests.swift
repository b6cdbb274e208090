import StardustHTTP
import Testing

/// Every event in every phase of a connection.
@Suite struct ConnectionStateTests {
    typealias State = ConnectionState

    /// How each phase comes about.
    private static func reach(_ phase: State.Phase) -> State {
        var state = State()
        let events: [State.Event] =
            switch phase {
            case .idle: []
            case .query: [.head(.query)]
            case .refused: [.head(.refusedQuery)]
            case .body: [.head(.body)]
            case .queryBody: [.head(.queryBody)]
            case .stream: [.head(.stream)]
            case .streamEnded: [.head(.stream), .end(isWritable: true)]
            case .held: [.head(.query), .end(isWritable: false)]
            case .answering: [.head(.body), .end(isWritable: true)]
            case .following: [.head(.query), .end(isWritable: true), .follow]
            case .discarding: [.head(.body), .refusedEarly]
            case .closed: [.inactive]
            }
        for event in events { _ = state.handle(event) }
        return state
    }

    /// What comes of an event: an action, and the phase if it changes.
    private struct Outcome: Hashable {
        var action: State.Action
        var phase: State.Phase?

        init(_ action: State.Action, _ phase: State.Phase? = nil) {
            (self.action, self.phase) = (action, phase)
        }
    }

    private static let nothing = Outcome(.nothing)

    private static let events: [State.Event] =
        State.Begun.allCases.map { .head($0) }
        + [
            .bytes, .end(isWritable: true), .end(isWritable: false), .writable, .follow,
            .answered(keepsAlive: true), .answered(keepsAlive: false), .refusedEarly, .malformed,
            .expired(.idle), .expired(.header), .expired(.body), .expired(.write),
            .expired(.discard), .inputClosed, .drain, .inactive,
        ]

    /// The table: what each event does in each phase. A closed connection does nothing.
    private static func expected(_ event: State.Event, in phase: State.Phase) -> Outcome {
        if phase == .closed { return nothing }
        return switch event {
        case .head(let begun): phase == .idle ? Outcome(.begin, begins[begun]!) : nothing
        case .bytes: [.body, .queryBody, .stream].contains(phase) ? Outcome(.take) : nothing
        case .end(let isWritable): ends[phase]?(isWritable) ?? nothing
        case .writable:
            phase == .held
                ? Outcome(.answer, .answering)
                : [.stream, .streamEnded, .following].contains(phase) ? Outcome(.resume) : nothing
        case .follow: Outcome(.nothing, .following)
        case .answered(keepsAlive: true): Outcome(.nothing, .idle)
        case .answered(keepsAlive: false): Outcome(.close, .discarding)
        case .refusedEarly: Outcome(.nothing, .discarding)
        case .malformed:
            [.idle, .query, .refused, .body, .queryBody].contains(phase)
                ? Outcome(.reportMalformed, .discarding)
                : [.discarding, .held, .answering, .streamEnded].contains(phase)
                    ? nothing : Outcome(.closeNow)
        case .expired(.header) where phase == .idle: Outcome(.reportSlowHeader, .discarding)
        case .expired(.body) where phase == .body: Outcome(.reportSlowBody, .discarding)
        case .expired: Outcome(.closeNow)
        case .inputClosed:
            [.held, .answering, .following, .streamEnded].contains(phase)
                ? nothing : Outcome(.close)
        case .drain:
            phase == .idle
                ? Outcome(.close) : phase == .following ? Outcome(.endFollowing) : nothing
        case .inactive: Outcome(.abandon, .closed)
        }
    }

    private static let begins: [State.Begun: State.Phase] = [
        .query: .query, .refusedQuery: .refused, .body: .body, .queryBody: .queryBody,
        .stream: .stream,
    ]

    private static let ends: [State.Phase: @Sendable (Bool) -> Outcome] = [
        .query: { $0 ? Outcome(.answer, .answering) : Outcome(.nothing, .held) },
        .queryBody: { $0 ? Outcome(.answer, .answering) : Outcome(.nothing, .held) },
        .refused: { _ in Outcome(.refuse, .answering) },
        .body: { _ in Outcome(.finish, .answering) },
        .stream: { _ in Outcome(.finish, .streamEnded) },
        .discarding: { _ in Outcome(.close) },
    ]

    @Test(arguments: State.Phase.allCases)
    func `each event has its action and its phase`(phase: State.Phase) {
        for event in Self.events {
            var state = Self.reach(phase)
            #expect(state.phase == phase)
            let expected = Self.expected(event, in: phase)
            let action = state.handle(event)
            #expect(action == expected.action, "\(event) in \(phase)")
            #expect(state.phase == expected.phase ?? phase, "\(event) in \(phase)")
        }
    }

    @Test(arguments: [State.Event.inputClosed, .drain])
    func `a connection that drains ends after the answer in hand`(event: State.Event) {
        for phase in [State.Phase.held, .answering, .streamEnded] {
            var state = Self.reach(phase)
            #expect(state.handle(event) == .nothing && state.isDraining)
            #expect(state.handle(.answered(keepsAlive: true)) == .close)
            #expect(state.phase == .discarding)
            #expect(state.handle(.head(.query)) == .nothing)
        }
    }

    @Test func `a request in one piece is answered, and the next one is taken`() {
        var state = State()
        for begun in [State.Begun.query, .body, .query] {
            #expect(state.handle(.head(begun)) == .begin)
            let expected = begun == .body ? State.Action.finish : .answer
            #expect(state.handle(.end(isWritable: true)) == expected)
            #expect(state.handle(.answered(keepsAlive: true)) == .nothing)
        }
    }
}
