package import Logging
internal import NIOCore
internal import NIOHTTP1
internal import Publishing
package import StardustCore

extension PlainServer {
    /// Serves a collector of metrics on a listening socket that somebody passed, by TCP: `/metrics`, `/livez` and
    /// `/readyz`, and nothing else, since anybody on the machine can connect.
    package init(metricsOf ledger: RunningLedger, on listener: Int32, logger: Logger) {
        self.init(
            MetricsAnswers(ledger), address: .passed(listener), "serving metrics", logger: logger)
    }
}

private struct MetricsAnswers: PlainAnswering {
    private let ledger: RunningLedger

    init(_ ledger: RunningLedger) { self.ledger = ledger }

    let bodyBytesMax = 0

    func isNotable(_ method: HTTPMethod, _ target: String) -> Bool { false }
    func start() {}
    func stop() async throws {}

    func answer(
        _ method: HTTPMethod, _ target: String, _ body: [UInt8], on loop: any EventLoop
    ) -> EventLoopFuture<PlainAnswer> {
        loop.makeSucceededFuture(answer(method, target.prefix { $0 != "?" } + ""))
    }

    private func answer(_ method: HTTPMethod, _ path: String) -> PlainAnswer {
        guard method == .GET else { return .text(405, "only GET is answered here") }
        switch path {
        case "/metrics":
            return PlainAnswer(
                status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
                body: Array(MetricsPage.text(ledger).utf8))
        case "/livez": return .text(200, "live")
        case "/readyz":
            let reasons = ledger.unreadiness
            return reasons.isEmpty
                ? .text(200, "ready") : .text(503, reasons.joined(separator: "\n"))
        default: return .text(404, "here are /metrics, /livez and /readyz")
        }
    }
}
