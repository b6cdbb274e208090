internal import LedgerFormat
internal import NIOCore
internal import NIOHTTP1
internal import Packets

/// Queries the daemon over its socket.
struct DaemonClient {
    let socket: String
    var patience = SilenceGuard.Patience.always

    /// No answer of the daemon is larger.
    static let answerBytesMax = 192 << 20
    /// No line of a streamed answer is longer.
    static let lineBytesMax = 64 << 20

    struct Response {
        var status = 0
        var body: [UInt8] = []
    }

    /// The whole answer to a query. Any status but 200 becomes a failure with the daemon's detail.
    func get(_ path: String, _ query: [(String, String?)] = []) async throws(Failure) -> [UInt8] {
        try await whole(Self.target(path, query))
    }

    /// The whole answer to a posted JSON document.
    func post(_ path: String, _ body: [UInt8]) async throws(Failure) -> [UInt8] {
        try await whole(path, body)
    }

    /// Makes a packet durable and returns its receipt; nil if its id stands with other content.
    func emit(_ packet: [UInt8]) async throws(Failure) -> [UInt8]? {
        let response = try await response("/v1/packets", packet)
        switch response.status {
        case 200, 201: return response.body
        case 409: return nil
        default: throw Self.failure(response)
        }
    }

    private func whole(_ target: String, _ body: [UInt8]? = nil) async throws(Failure) -> [UInt8] {
        let response = try await response(target, body)
        guard response.status == 200 else { throw Self.failure(response) }
        return response.body
    }

    private func response(
        _ target: String, _ body: [UInt8]?
    ) async throws(Failure) -> Response {
        var response = Response()
        try await exchange(target, body) { (part) throws(Failure) in
            switch part {
            case .head(let head): response.status = Int(head.status.code)
            case .body(let bytes): response.body += bytes.readableBytesView
            case .end: break
            }
            guard response.body.count <= Self.answerBytesMax else { throw Self.endless }
            return true
        }
        return response
    }

    /// Passes each line of an answer to `take` as it arrives, until `take` returns false or the
    /// answer ends.
    func lines(
        _ path: String, _ query: [(String, String?)], _ take: ([UInt8]) throws(Failure) -> Bool
    ) async throws(Failure) {
        var (status, lines) = (0, ArrivingLines())
        try await exchange(Self.target(path, query)) { part throws(Failure) in
            switch part {
            case .head(let head): status = Int(head.status.code)
            case .body(let bytes):
                try lines.take(bytes)
                guard status == 200 else { return true }
                while let line = lines.next() {
                    guard try take(line) else { return false }
                }
            case .end: break
            }
            return true
        }
        guard status == 200 else { throw Self.failure(Response(status: status, body: lines.rest)) }
    }

    private static func target(_ path: String, _ query: [(String, String?)]) -> String {
        let given = query.compactMap { name, value in
            value.map { "\(name)=\($0.percentEncoded)" }
        }
        return given.isEmpty ? path : path + "?" + given.joined(separator: "&")
    }

    /// Sends one request and passes the answer's parts to `take` until it returns false.
    private func exchange(
        _ target: String, _ body: [UInt8]? = nil,
        _ take: (HTTPClientResponsePart) throws(Failure) -> Bool
    ) async throws(Failure) {
        do {
            let channel = try await LineExchange.connect(socket, patience)
            try await channel.executeThenClose { inbound, outbound in
                try await outbound.write(contentsOf: Self.request(target, body))
                for try await part in inbound {
                    guard try take(part) else { return }
                    if case .end = part { return }
                }
                throw Failure(.unreachable, "\(socket): the daemon closed the connection")
            }
        } catch let failure as Failure { throw failure } catch {
            throw LineExchange.failure(error, socket)
        }
    }

    private static func request(_ target: String, _ body: [UInt8]?) -> [HTTPClientRequestPart] {
        var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: target)
        head.headers.add(name: "host", value: "stardust")
        guard let body else { return [.head(head), .end(nil)] }
        head.method = .POST
        head.headers.add(name: "content-type", value: "application/json")
        head.headers.add(name: "content-length", value: "\(body.count)")
        return [.head(head), .body(.byteBuffer(ByteBuffer(bytes: body))), .end(nil)]
    }

    fileprivate static let endless = Failure(
        .inputOutput, "the answer does not end; is this socket a Stardust daemon's?")

    private static func failure(_ response: Response) -> Failure {
        let detail =
            (try? JSONDocument(response.body)).flatMap { document in
                document.member("detail", of: 0).flatMap(document.string)
            } ?? String(decoding: response.body.prefix(500), as: UTF8.self)
        return switch response.status {
        case 404: Failure(.no, detail)
        case 403: Failure(.notPermitted, detail)
        case 409: Failure(.locked, detail)
        case 400..<500: Failure(.badInput, detail)
        case 503: Failure(.unreachable, "the daemon cannot answer now: \(detail)")
        default: Failure(.inputOutput, "the daemon answered \(response.status): \(detail)")
        }
    }
}

extension ArrivingLines {
    /// Adds bytes, as long as no line is longer than any of the daemon's.
    mutating func take(_ piece: ByteBuffer) throws(Failure) {
        guard bytesWaiting + piece.readableBytes <= DaemonClient.lineBytesMax else {
            throw DaemonClient.endless
        }
        add(piece)
    }
}
