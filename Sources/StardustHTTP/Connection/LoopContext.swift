internal import NIOCore
internal import Packets

/// What the connections of one event loop share. Used only on that loop.
final class LoopContext {
    /// Parses for all connections, so that its memory stays warm and bounded.
    private var reader = PacketReader()
    private var handlers: [ObjectIdentifier: ConnectionHandler] = [:]
    /// For work that comes in pieces.
    let turns: LoopTurns

    init(_ loop: any EventLoop) { turns = LoopTurns(loop) }

    func read(_ bytes: Span<UInt8>) throws(PacketError) -> PacketFacts { try reader.read(bytes) }

    func add(_ handler: ConnectionHandler) { handlers[ObjectIdentifier(handler)] = handler }
    func remove(_ handler: ConnectionHandler) { handlers[ObjectIdentifier(handler)] = nil }

    var isEmpty: Bool { handlers.isEmpty }

    func enforceDeadlines() {
        let now = ContinuousClock.now
        for handler in handlers.values { handler.enforceDeadline(now) }
    }

    func drain() { for handler in handlers.values { handler.drain() } }
    func closeAll() { for handler in handlers.values { handler.close() } }
}
