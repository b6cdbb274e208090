internal import ArgumentParser
internal import Glibc
internal import LedgerStorage
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Packets
internal import Platform

/// One NDJSON request to the daemon: lines are sent while answers arrive.
struct LineExchange {
    let socket: String
    let path: String

    /// Sends all of `input` and passes each line of the answer to `take`, with the number of bytes
    /// sent so far.
    func run(
        _ input: any BodyInput, take: ([UInt8], Int) throws(Failure) -> Void
    ) async throws {
        let channel = try await Self.connect(socket, .whileOwed)
        let progress = Progress()
        try await channel.executeThenClose { inbound, outbound in
            async let sent: Failure? = sending(input, outbound, progress, channel.channel)
            do { try await Self.receive(inbound, progress, take) } catch {
                input.cancel()
                if let failure = await sent { throw failure }
                throw error
            }
            if let failure = await sent { throw failure }
        }
    }

    /// An HTTP connection to the daemon, which `guard` ends if the daemon no longer moves.
    static func connect(
        _ socket: String, _ patience: SilenceGuard.Patience
    ) async throws -> NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart> {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .withConnectedSocket(try await connected(to: socket)) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    try channel.pipeline.syncOperations.addHandlers(SilenceGuard.handlers(patience))
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel)
                }
            }
    }

    /// A connected socket. Waits while too many others wait, but no longer than for an answer.
    private static func connected(to path: String) async throws -> Int32 {
        let end = ContinuousClock.now + .seconds(SilenceGuard.seconds)
        var backoff = Backoff(from: .milliseconds(1), to: .milliseconds(50))
        while true {
            do throws(UnixSocket.Failure) { return try UnixSocket.connected(to: path) } catch {
                guard error.errorNumber == EAGAIN, .now < end else { throw error }
            }
            try await Task.sleep(for: backoff.pause())
        }
    }

    /// Counts the bytes sent, so that the receiving side can show progress.
    private actor Progress {
        private(set) var bytesSent = 0
        func add(_ count: Int) { bytesSent += count }
    }

    /// Sends everything. Returns a failure if the input cannot be read, which ends the exchange.
    /// The receiving side reports a failed connection.
    private func sending(
        _ input: any BodyInput, _ outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>,
        _ progress: Progress, _ channel: any Channel
    ) async -> Failure? {
        do { try await send(input, outbound, progress, channel) } catch let failure as Failure {
            channel.close(promise: nil)
            return failure
        } catch {}
        return nil
    }

    private func send(
        _ input: any BodyInput,
        _ outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>, _ progress: Progress,
        _ channel: any Channel
    ) async throws {
        var headers = HTTPHeaders()
        headers.add(name: "host", value: "stardust")
        headers.add(name: "content-type", value: "application/x-ndjson")
        headers.add(name: "transfer-encoding", value: "chunked")
        headers.add(name: "connection", value: "close")
        let head = HTTPRequestHead(
            version: .http1_1, method: .POST, uri: path, headers: headers)
        try await outbound.write(.head(head))
        while let bytes = try await NIOThreadPool.singleton.runIfActive({ try input.next() }) {
            try await outbound.write(.body(.byteBuffer(ByteBuffer(bytes: bytes))))
            await progress.add(bytes.count)
        }
        try await outbound.write(.end(nil))
        channel.pipeline.fireUserInboundEventTriggered(SilenceGuard.InputEnded())
    }

    private static func receive(
        _ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>, _ progress: Progress,
        _ take: ([UInt8], Int) throws(Failure) -> Void
    ) async throws {
        var lines = ArrivingLines()
        var status = HTTPResponseStatus.ok
        for try await part in inbound {
            switch part {
            case .head(let head): status = head.status
            case .body(let bytes):
                try lines.take(bytes)
                guard status == .ok else { continue }
                let sent = await progress.bytesSent
                while let line = lines.next() { try take(line, sent) }
            case .end:
                guard status == .ok else {
                    throw refusal(status, String(decoding: lines.rest, as: UTF8.self))
                }
                return
            }
        }
        throw Ended()
    }

    /// The daemon closed the connection in the middle of its answer.
    private struct Ended: Error, CustomStringConvertible {
        var description: String { "the daemon closed the connection before it finished answering" }
    }

    private static func refusal(_ status: HTTPResponseStatus, _ body: String) -> Failure {
        let detail = (try? JSONDocument(Array(body.utf8))).flatMap { document in
            document.member("detail", of: 0).flatMap(document.string)
        }
        let exit: ExitCode =
            switch status {
            case .forbidden: .notPermitted
            case .conflict: .locked
            default: .unreachable
            }
        return Failure(
            exit,
            "the daemon answered \(status.code): \(detail ?? body)")
    }

    /// A failed connection; `more` is what else there is to say.
    static func failure(_ error: any Error, _ socket: String, _ more: String = "") -> Failure {
        let exit: ExitCode =
            switch error {
            case UnixSocket.Failure.system(_, EACCES): .notPermitted
            case UnixSocket.Failure.pathTooLong: .usage
            default: .unreachable
            }
        return Failure(exit, "\(socket): \(sentence(error))\(more)")
    }

    /// The message for a failed connection.
    static func sentence(_ error: any Error) -> String {
        switch error {
        case UnixSocket.Failure.system(_, ENOENT):
            "there is no socket here; is the daemon running? `stardust serve` starts it, --socket or "
                + "$STARDUST_SOCKET names another"
        case UnixSocket.Failure.system(_, ECONNREFUSED):
            "nothing listens on this socket; `stardust serve` starts the daemon"
        case UnixSocket.Failure.system(_, EACCES):
            "you may not connect: only the daemon's user and the socket's group may, or a folder on "
                + "the way is closed to you"
        case UnixSocket.Failure.system(_, EAGAIN): "too many clients wait to be connected"
        case UnixSocket.Failure.system(_, let number): errorName(number)
        case UnixSocket.Failure.pathTooLong:
            "the path is too long; the system takes at most \(UnixSocket.pathBytesMax) bytes"
        case is NIOHTTPDecoderError:
            "the daemon refused the connection; it or this user may have too many"
        case let error as IOError: errorName(error.errnoCode)
        default: "\(error)"
        }
    }
}
