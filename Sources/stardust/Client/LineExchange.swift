internal import Glibc
internal import LedgerStorage
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Platform

/// One NDJSON request to the daemon: lines go out while answers come in.
struct LineExchange {
    let socket: String
    let path: String

    /// Sends all of `input` and hands each line of the answer to `take`, with the bytes sent so far.
    func run(_ input: any BodyInput, take: ([UInt8], Int) -> Void) async throws {
        let channel = try await Self.connect(socket)
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

    /// A connection to the daemon, on which HTTP is spoken.
    static func connect(
        _ socket: String
    ) async throws -> NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart> {
        try await ClientBootstrap(group: .singletonMultiThreadedEventLoopGroup)
            .connect(unixDomainSocketPath: socket) { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>(
                        wrappingChannelSynchronously: channel)
                }
            }
    }

    /// Bytes that were sent, for whoever shows them.
    private actor Progress {
        private(set) var bytesSent = 0
        func add(_ count: Int) { bytesSent += count }
    }

    /// Sends everything. Input that cannot be read is told, and ends the exchange; a connection
    /// that fails is told by whoever receives.
    private func sending(
        _ input: any BodyInput, _ outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>,
        _ progress: Progress, _ channel: any Channel
    ) async -> Failure? {
        do { try await send(input, outbound, progress) } catch let failure as Failure {
            channel.close(promise: nil)
            return failure
        } catch {}
        return nil
    }

    private func send(
        _ input: any BodyInput,
        _ outbound: NIOAsyncChannelOutboundWriter<HTTPClientRequestPart>, _ progress: Progress
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
    }

    private static func receive(
        _ inbound: NIOAsyncChannelInboundStream<HTTPClientResponsePart>, _ progress: Progress,
        _ take: ([UInt8], Int) -> Void
    ) async throws {
        var rest = ByteBuffer()
        var status = HTTPResponseStatus.ok
        for try await part in inbound {
            switch part {
            case .head(let head): status = head.status
            case .body(var bytes):
                rest.writeBuffer(&bytes)
                guard status == .ok else { continue }
                let sent = await progress.bytesSent
                while let end = rest.readableBytesView.firstIndex(of: 0x0A) {
                    let line = rest.readBytes(length: end - rest.readerIndex)!
                    rest.moveReaderIndex(forwardBy: 1)
                    take(line, sent)
                }
                rest.discardReadBytes()
            case .end:
                guard status == .ok else { throw refusal(status, String(buffer: rest)) }
                return
            }
        }
        throw Ended()
    }

    /// The daemon went away in the middle of its answer.
    private struct Ended: Error, CustomStringConvertible {
        var description: String { "the daemon closed the connection before it had answered" }
    }

    private static func refusal(_ status: HTTPResponseStatus, _ body: String) -> Failure {
        Failure(
            status == .forbidden ? .notPermitted : .unreachable,
            "the daemon answers \(status.code): \(body)")
    }

    /// What to say of a connection that failed.
    static func sentence(_ error: any Error) -> String {
        switch error {
        case let error as IOError where error.errnoCode == ENOENT:
            "there is no socket here; is the daemon running? `stardust serve` starts it"
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            "nobody answers on this socket; `stardust serve` starts the daemon"
        case let error as IOError: errorName(error.errnoCode)
        default: "\(error)"
        }
    }
}
