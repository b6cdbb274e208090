internal import Glibc
internal import Platform

/// The benchmark's loads, each on one thread.
enum Load {
    /// One packet per request on each of several connections. Each connection sends its next packet
    /// as soon as the receipt arrives.
    static func requests(
        socket: String, connections count: Int, packets: Int, _ source: inout PacketSource
    ) throws(BenchFailure) -> LoadResult {
        var connections: [LoadConnection] = []
        for _ in 0..<count { connections.append(try LoadConnection(socket: socket)) }
        var sentAt = [ContinuousClock.Instant](repeating: .now, count: count)
        var polls = connections.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        var (sent, result, request) = (0, LoadResult(), [UInt8]())
        let start = ContinuousClock.now
        func sendNext(_ index: Int, _ source: inout PacketSource) throws(BenchFailure) {
            guard sent < packets else { return }
            sent += 1
            write(&request, &source)
            sentAt[index] = .now
            try connections[index].send(request.span)
        }
        for index in connections.indices { try sendNext(index, &source) }
        while result.packets + result.refused < packets {
            if count > 1 {
                _ = unsafe poll(&polls, nfds_t(count), 10_000)
            } else {
                polls[0].revents = Int16(POLLIN)
            }
            for index in polls.indices where polls[index].revents != 0 {
                guard let answer = try connections[index].receive() else { continue }
                result.latencies.append(
                    Int((ContinuousClock.now - sentAt[index]) / .microseconds(1)))
                result.note(answer.status, answer.text)
                try sendNext(index, &source)
            }
        }
        result.wall = .now - start
        result.latencies.sort()
        return result
    }

    private static func write(_ request: inout [UInt8], _ source: inout PacketSource) {
        var body: [UInt8] = []
        source.append(to: &body)
        request.removeAll(keepingCapacity: true)
        request += Array(
            "POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.count)\r\n\r\n".utf8)
        request += body
    }

    /// Many packets in one request, at a fixed rate if one is given. A separate thread reads the
    /// answers.
    static func stream(
        socket: String, packets: Int, perSecond: Int? = nil, _ source: inout PacketSource
    ) throws(BenchFailure) -> LoadResult {
        let connection = try LoadConnection(socket: socket)
        let received = Monitor<Result<LoadResult, BenchFailure>?>(nil)
        let receiver = Receiver(connection)
        let start = ContinuousClock.now
        startThread("receiver") {
            let result = receiver.run()
            received.change { $0 = result }
        }
        try connection.send(
            Array(
                """
                POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n\
                transfer-encoding: chunked\r\nconnection: close\r\n\r\n
                """.utf8
            ).span)
        try send(packets, perSecond, since: start, connection, &source)
        var result = try received.wait { $0 }.get()
        result.wall = .now - start
        guard result.packets + result.refused == packets else {
            throw BenchFailure(
                "\(packets) packets were sent, but \(result.packets + result.refused) answered")
        }
        return result
    }

    private static func send(
        _ packets: Int, _ perSecond: Int?, since start: ContinuousClock.Instant,
        _ connection: LoadConnection, _ source: inout PacketSource
    ) throws(BenchFailure) {
        var (sent, chunk) = (0, [UInt8]())
        let together = perSecond.map { max(1, $0 / 100) } ?? packets
        while sent < packets {
            chunk.removeAll(keepingCapacity: true)
            let first = sent
            while sent < packets, chunk.count < 1 << 18, sent - first < together {
                source.append(to: &chunk)
                chunk.append(0x0A)
                sent += 1
            }
            if let perSecond {
                let early = (start + .seconds(1) * first / perSecond - .now) / .microseconds(1)
                if early > 0 { usleep(UInt32(early)) }
            }
            try connection.send(Array("\(String(chunk.count, radix: 16))\r\n".utf8).span)
            try connection.send(chunk.span)
            try connection.send([0x0D, 0x0A].span)
        }
        try connection.send(Array("0\r\n\r\n".utf8).span)
    }

    // Unchecked: one thread sends on the connection and this one receives. They share nothing else.
    private final class Receiver: @unchecked Sendable {
        private let connection: LoadConnection
        private var lines = AnswerLineCounter()
        private var failure: BenchFailure?

        init(_ connection: LoadConnection) { self.connection = connection }

        func run() -> Result<LoadResult, BenchFailure> {
            do throws(BenchFailure) {
                var isOpen = true
                while isOpen, failure == nil {
                    isOpen = try connection.read {
                        (reader, bytes) throws(ResponseReader.Malformed) in
                        if bytes.isEmpty { return try reader.finish(self.take) }
                        try reader.take(bytes, self.take)
                    }
                }
            } catch { return .failure(error) }
            return failure.map { .failure($0) } ?? .success(lines.result)
        }

        private func take(_ event: ResponseReader.Event) {
            switch event {
            case .head(let status) where status != 200:
                failure = BenchFailure("the daemon answered the stream with \(status)")
            case .body(let bytes): lines.take(bytes)
            case .head, .end: break
            }
        }
    }
}
