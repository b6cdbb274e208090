package import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
package import Publishing

extension PlainServer {
    /// Serves what the archive process has for the daemon, on a Unix socket that `group` may use.
    /// `answer` gets a GET's target on a thread that may wait.
    package init(
        archive answer: @escaping @Sendable (_ target: String) -> PlainAnswer, socket: String,
        group: UInt32?, logger: Logger
    ) {
        self.init(
            ArchiveThreads(answer), address: .named(socket, group: group), "serving the archive",
            logger: logger)
    }
}

/// Four threads, as many as the daemon asks at once.
private final class ArchiveThreads: PlainAnswering {
    private let threads = NIOThreadPool(numberOfThreads: ConnectionLimits.archiveThreads)
    private let answer: @Sendable (String) -> PlainAnswer

    init(_ answer: @escaping @Sendable (String) -> PlainAnswer) { self.answer = answer }

    let bodyBytesMax = 0

    func isNotable(_ method: HTTPMethod, _ target: String) -> Bool { false }
    func start() { threads.start() }
    func stop() async throws { try await threads.shutdownGracefully() }

    func answer(
        _ method: HTTPMethod, _ target: String, _ body: [UInt8], on loop: any EventLoop
    ) -> EventLoopFuture<PlainAnswer> {
        threads.runIfActive(eventLoop: loop) { [answer] in
            guard method == .GET else { return .text(405, "the archive process only answers GET") }
            return answer(target)
        }
    }
}
