internal import Glibc
internal import LedgerStorage
internal import StardustCore

/// What a load measured.
struct LoadResult: Sendable {
    var packets = 0
    var refused = 0
    var wall = Duration.zero
    /// Latencies in microseconds, sorted.
    var latencies: [Int] = []

    var perSecond: Double { Double(packets) / (wall / .seconds(1)) }

    func percentile(_ share: Double) -> Int {
        latencies.isEmpty
            ? 0 : latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))]
    }
}

/// The loads of the benchmark, on one thread each.
enum Load {
    /// One packet a request on each of several connections, the next as soon as the receipt is
    /// there.
    static func requests(
        socket: String, connections count: Int, packets: Int, _ source: inout PacketSource
    ) throws(Failure) -> LoadResult {
        var connections: [LoadConnection] = []
        for _ in 0..<count { connections.append(try LoadConnection(socket: socket)) }
        var sentAt = [ContinuousClock.Instant](repeating: .now, count: count)
        var polls = connections.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        var (sent, result, request) = (0, LoadResult(), [UInt8]())
        let start = ContinuousClock.now
        func sendNext(_ index: Int, _ source: inout PacketSource) throws(Failure) {
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
                guard try connections[index].fill() else {
                    throw Failure(.unreachable, "the daemon closed a connection")
                }
                guard let status = connections[index].takeResponse() else { continue }
                result.latencies.append(
                    Int((ContinuousClock.now - sentAt[index]) / .microseconds(1)))
                if status == 201 { result.packets += 1 } else { result.refused += 1 }
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

    /// Many packets in one request, at a pace where one is given; a thread of its own takes the
    /// answers.
    static func stream(
        socket: String, packets: Int, perSecond: Int? = nil, _ source: inout PacketSource
    ) throws(Failure) -> LoadResult {
        let connection = try LoadConnection(socket: socket)
        let answered = Monitor<(lines: Int, isDone: Bool)>((0, false))
        let receiver = Receiver(connection)
        let start = ContinuousClock.now
        startThread("receiver") { receiver.run(answered) }
        try connection.send(
            Array(
                """
                POST /v1/packets HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-ndjson\r\n\
                transfer-encoding: chunked\r\nconnection: close\r\n\r\n
                """.utf8
            ).span)
        var (sent, chunk) = (0, [UInt8]())
        while sent < packets {
            chunk.removeAll(keepingCapacity: true)
            let together = perSecond.map { max(1, $0 / 100) } ?? packets
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
        let lines = answered.wait { $0.isDone ? $0.lines : nil }
        return LoadResult(packets: lines, refused: packets - lines, wall: .now - start)
    }

    // Unchecked: one thread sends on the connection and this one receives; they share nothing else.
    private final class Receiver: @unchecked Sendable {
        private let connection: LoadConnection
        init(_ connection: LoadConnection) { self.connection = connection }

        /// Counts receipts: the lines of the answer that are no framing of HTTP.
        func run(_ answered: Monitor<(lines: Int, isDone: Bool)>) {
            var counter = ReceiptCounter()
            // A connection that fails gives no more receipts, and the count says so.
            while (try? connection.fill()) == true { counter.take(connection.takeReceived()) }
            answered.change { $0 = (counter.receipts, true) }
        }
    }

    /// Finds `"status":201` wherever the pieces of an answer were cut.
    private struct ReceiptCounter {
        private(set) var receipts = 0
        private var matched = 0
        private let wanted = Array("\"status\":201".utf8)

        mutating func take(_ bytes: ArraySlice<UInt8>) {
            for byte in bytes {
                if byte == wanted[matched] {
                    matched += 1
                    if matched == wanted.count { (matched, receipts) = (0, receipts + 1) }
                } else {
                    matched = byte == wanted[0] ? 1 : 0
                }
            }
        }
    }
}
