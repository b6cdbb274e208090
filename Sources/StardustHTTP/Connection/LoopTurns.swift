internal import NIOCore
internal import StardustCore

/// Work on an event loop that comes in pieces. Users take turns, and the loop's other events come
/// in between: nobody's many lines hold up another's request. Used only on that loop.
final class LoopTurns {
    typealias Piece = () -> Void

    /// How long pieces may run before the loop's other events get their turn.
    private static let time: Duration = .milliseconds(1)
    /// Long enough for the loop to look at its sockets.
    private static let pause: TimeAmount = .microseconds(50)

    private let loop: any EventLoop
    private var queues: [ObjectIdentifier: CircularBuffer<Piece>] = [:]
    /// Users with pieces, the next one first.
    private var turns = CircularBuffer<Budgets.Party>()
    private var spent: Duration = .zero
    private var isRunning = false
    private var isPaused = false

    init(_ loop: any EventLoop) { self.loop = loop }

    /// Does a piece of a party's work: at once, or when it is its turn.
    func take(_ party: Budgets.Party, _ piece: @escaping Piece) {
        let key = ObjectIdentifier(party)
        if queues[key] == nil { turns.append(party) }
        queues[key, default: []].append(piece)
        if !isRunning { run() }
    }

    private func run() {
        isRunning = true
        while spent < Self.time, let piece = next() {
            let start = ContinuousClock.now
            piece()
            spent += .now - start
        }
        isRunning = false
        guard !isPaused, spent > .zero else { return }
        isPaused = true
        loop.assumeIsolated().scheduleTask(in: Self.pause) { [self] in
            (isPaused, spent) = (false, .zero)
            run()
        }
    }

    private func next() -> Piece? {
        guard let party = turns.popFirst() else { return nil }
        let key = ObjectIdentifier(party)
        let piece = queues[key]!.removeFirst()
        if queues[key]!.isEmpty { queues[key] = nil } else { turns.append(party) }
        return piece
    }
}
