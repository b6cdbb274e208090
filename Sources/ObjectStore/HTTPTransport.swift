internal import CLibCurl
internal import Synchronization

/// Sends requests over libcurl, which keeps connections open between them. Any thread may use it.
package final class HTTPTransport: Sendable {
    private let idle = Mutex<[Connection]>([])
    private let place: Place

    /// Where all requests go, and whom they trust.
    package struct Place: Sendable {
        /// A Unix socket instead of the URL's host.
        package var socket: String?
        /// A file of certificates instead of the system's.
        package var certificates: String?
        package var silence = StoreLimits.silence

        package init() {}
    }

    package struct Request: Sendable {
        var method: String
        var url: String
        var headers: [(name: String, value: String)] = []
        var body: ObjectBody?

        package init(
            _ method: String, _ url: String, headers: [(name: String, value: String)] = [],
            body: ObjectBody? = nil
        ) {
            (self.method, self.url, self.headers, self.body) = (method, url, headers, body)
        }
    }

    package struct Answer: Sendable {
        package var status: Int
        /// Names in lower case.
        package var headers: [String: String]
        /// Empty if it was passed on.
        package var body: [UInt8]
    }

    package init(_ place: Place) { self.place = place }

    /// libcurl's handle of a connection.
    @safe private final class Connection: @unchecked Sendable {
        // Unchecked: whoever takes it from the idle ones is its only user.
        let handle: OpaquePointer

        init?() {
            guard let handle = unsafe stardust_http_new() else { return nil }
            unsafe self.handle = handle
        }

        deinit { unsafe stardust_http_free(handle) }
    }

    /// Sends a request and waits for the answer. The body of a 200 or 206 goes to `take`, if there is
    /// one, in pieces; others are kept. Fails if there is no whole answer.
    package func send(
        _ request: Request, goesOn: () -> Bool = { true },
        _ take: ((Span<UInt8>, Answer) throws(StoreFailure) -> Void)? = nil
    ) throws(StoreFailure) -> Answer {
        guard let connection = idle.withLock({ $0.popLast() }) ?? Connection() else {
            throw StoreFailure(.unreachable, "", "no memory for another connection")
        }
        // One that failed may be in any state, but libcurl says that it can be used again.
        defer { idle.withLock { $0.append(connection) } }
        return try withoutActuallyEscaping(goesOn) { (goesOn) throws(StoreFailure) in
            let exchange = Exchange(request.body, goesOn)
            if let take {
                return try withoutActuallyEscaping(take) { (take) throws(StoreFailure) in
                    exchange.sink = take
                    defer { exchange.sink = nil }
                    return try run(request, exchange, connection)
                }
            }
            return try run(request, exchange, connection)
        }
    }

    private func run(
        _ request: Request, _ exchange: Exchange, _ connection: Connection
    ) throws(StoreFailure) -> Answer {
        var lines = request.headers.map { "\($0.name): \($0.value)" }
        // A store's refusal comes soon enough without the round trip that this would ask for.
        lines.append("Expect:")
        var (status, code): (Int32, Int32) = (0, 0)
        var message = [CChar](repeating: 0, count: 256)
        // Safety: the strings and the exchange live until the call returns, and libcurl keeps none.
        unsafe withCStrings([request.method, request.url] + lines) { texts in
            unsafe withOptional(place.socket) { socket in
                unsafe withOptional(place.certificates) { certificates in
                    unsafe texts.withUnsafeBufferPointer { pointers in
                        var call = unsafe stardust_http_request()
                        unsafe call.method = pointers[0]
                        unsafe call.url = pointers[1]
                        unsafe call.socket = socket
                        unsafe call.certificates = certificates
                        unsafe call.lines = pointers.baseAddress! + 2
                        unsafe call.line_count = lines.count
                        unsafe call.body_bytes = Int64(request.body?.count ?? -1)
                        unsafe call.connect_ms = Int(StoreLimits.connectTime / .milliseconds(1))
                        unsafe call.silent_s = Int(place.silence / .seconds(1))
                        unsafe call.context = Unmanaged.passUnretained(exchange).toOpaque()
                        unsafe Exchange.connect(&call)
                        unsafe code = stardust_http_run(
                            connection.handle, &call, &status, &message)
                    }
                }
            }
        }
        if let failure = exchange.failure { throw failure }
        guard code == 0 else {
            let text = String(
                decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if !exchange.goesOn() { throw StoreFailure(.stopped, "", "this process is ending") }
            throw StoreFailure(
                stardust_http_is_distrust(code) != 0 ? .refused : .unreachable, "", text)
        }
        exchange.answer.status = Int(status)
        return exchange.answer
    }
}

/// One exchange while libcurl runs it.
private final class Exchange {
    var answer = HTTPTransport.Answer(status: 0, headers: [:], body: [])
    /// Why the exchange must end.
    var failure: StoreFailure?
    let goesOn: () -> Bool
    var sink: ((Span<UInt8>, HTTPTransport.Answer) throws(StoreFailure) -> Void)?
    private let body: ObjectBody?
    /// How much of the request's body was given.
    private var given = 0

    init(_ body: ObjectBody?, _ goesOn: @escaping () -> Bool) {
        (self.body, self.goesOn) = (body, goesOn)
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> Exchange {
        // Safety: the context is an exchange, which lives as long as libcurl runs it.
        unsafe Unmanaged<Exchange>.fromOpaque(context!).takeUnretainedValue()
    }

    static func connect(_ call: inout stardust_http_request) {
        unsafe call.give = { context, bytes, count in
            unsafe Exchange.from(context).give(
                UnsafeMutableBufferPointer(start: bytes, count: count))
        }
        unsafe call.take = { context, bytes, count in
            let buffer = unsafe UnsafeBufferPointer(start: bytes, count: count)
            return unsafe Exchange.from(context).take(buffer.span) ? 1 : 0
        }
        unsafe call.header = { context, bytes, count in
            let buffer = unsafe UnsafeBufferPointer(start: bytes, count: count)
            unsafe Exchange.from(context).header(String(decoding: buffer, as: UTF8.self))
        }
        unsafe call.goes_on = { context in unsafe Exchange.from(context).goesOn() ? 1 : 0 }
    }

    /// The next bytes of the request's body.
    private func give(_ room: UnsafeMutableBufferPointer<UInt8>) -> Int {
        guard let body else { return 0 }
        var piece = [UInt8](repeating: 0, count: min(room.count, body.count - given))
        if piece.isEmpty { return 0 }
        do throws(StoreFailure) {
            let count = try body.read(&piece, given)
            guard count > 0 else {
                throw StoreFailure(.source, "", "what was to be stored became shorter")
            }
            // Safety: the room has at least as many bytes as the piece.
            unsafe piece.withUnsafeBufferPointer {
                _ = unsafe UnsafeMutableBufferPointer(rebasing: room[..<count])
                    .update(fromContentsOf: UnsafeBufferPointer(rebasing: $0[..<count]))
            }
            given += count
            return count
        } catch {
            failure = error
            return -1
        }
    }

    private func take(_ bytes: Span<UInt8>) -> Bool {
        do throws(StoreFailure) {
            if let sink, answer.status == 200 || answer.status == 206 {
                try sink(bytes, answer)
            } else {
                guard answer.body.count + bytes.count <= StoreLimits.answerBytes else {
                    throw StoreFailure(.damaged, "", "the answer is longer than any should be")
                }
                answer.body.append(bytes)
            }
            return true
        } catch {
            failure = error
            return false
        }
    }

    private func header(_ line: String) {
        if line.hasPrefix("HTTP/") {
            // Another answer may come before the last one: 100 (RFC 9110 section 15.2).
            let parts = line.split(separator: " ")
            answer = HTTPTransport.Answer(
                status: parts.count > 1 ? Int(parts[1].prefix { $0.isNumber }) ?? 0 : 0,
                headers: [:], body: [])
            return
        }
        guard let colon = line.firstIndex(of: ":") else { return }
        let value = line[line.index(after: colon)...]
        answer.headers[line[..<colon].lowercased()] = value.trimmed
    }
}

extension StringProtocol {
    /// Without white space around it.
    var trimmed: String {
        var text = self[...]
        while text.first?.isWhitespace == true { text = text.dropFirst() }
        while text.last?.isWhitespace == true { text = text.dropLast() }
        return String(text)
    }
}

/// Passes texts as C strings that live until `body` returns.
private func withCStrings(_ texts: [String], _ body: ([UnsafePointer<CChar>?]) -> Void) {
    func next(_ rest: ArraySlice<String>, _ found: [UnsafePointer<CChar>?]) {
        guard let text = rest.first else { return unsafe body(found) }
        unsafe text.withCString { unsafe next(rest.dropFirst(), found + [$0]) }
    }
    unsafe next(texts[...], [])
}

private func withOptional(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Void) {
    guard let text else { return body(nil) }
    unsafe text.withCString(body)
}
