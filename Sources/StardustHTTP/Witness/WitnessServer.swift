internal import LedgerFormat
package import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
package import Publishing

extension PlainServer {
    /// Serves a witness. `address` is a path or `host:port`.
    package init(_ witness: consuming Witness, address: String, logger: Logger) {
        self.init(
            WitnessThread(witness), address: .named(address, group: nil), "witnessing",
            logger: logger)
    }
}

/// The only thread that uses the witness.
private final class WitnessThread: PlainAnswering, @unchecked Sendable {
    // Unchecked: `witness` is used only on the pool's single thread.
    private var witness: Witness
    private let thread = NIOThreadPool(numberOfThreads: 1)

    init(_ witness: consuming Witness) { self.witness = witness }

    let bodyBytesMax = Witness.bodyBytesMax

    /// Reading is nobody's business, and others choose the path.
    func isNotable(_ method: HTTPMethod, _ target: String) -> Bool {
        method == .POST && target == "/add-checkpoint"
    }

    func start() { thread.start() }
    func stop() async throws { try await thread.shutdownGracefully() }

    func answer(
        _ method: HTTPMethod, _ path: String, _ body: [UInt8], on loop: any EventLoop
    ) -> EventLoopFuture<PlainAnswer> {
        thread.runIfActive(eventLoop: loop) { self.answer(method, path, body) }
    }

    private func answer(_ method: HTTPMethod, _ path: String, _ body: [UInt8]) -> PlainAnswer {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        switch (method, parts.count, parts.last) {
        case (.POST, 1, "add-checkpoint"): return witness.add(body)
        case (.GET, 2, "checkpoint"):
            if let note = witness.checkpoint(ofOriginHash: String(parts.first!)) {
                return PlainAnswer(
                    status: 200, contentType: "text/plain; charset=utf-8", body: note)
            }
            return .text(404, "this witness has cosigned no checkpoint of that log")
        default: return .text(404, "use POST /add-checkpoint or GET /<sha256>/checkpoint")
        }
    }
}
