import Foundation
import TestSupport

/// A plain HTTP/1.1 client on a Unix socket, blocking, that shows every byte it gets.
package final class HTTPClient {
    private let descriptor: Int32
    private var received: [UInt8] = []

    package struct Answer: Sendable {
        package var status: Int
        package var headers: [String: String]
        package var body: [UInt8]

        package var text: String { String(decoding: body, as: UTF8.self) }
        package var lines: [String] { text.split(separator: "\n").map(String.init) }

        /// The body as a JSON object.
        package var json: [String: Any] {
            (try? JSONSerialization.jsonObject(with: Data(body))) as? [String: Any] ?? [:]
        }

        package var problemCode: String? {
            (json["type"] as? String).map { String($0.dropFirst("urn:stardust:error:".count)) }
        }
    }

    package init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) }
        }
        guard status == 0 else { throw Failure("connect \(path): \(errorText(errno))") }
        var timeout = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    package func send(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.send(
                    descriptor, $0.baseAddress! + done, $0.count - done, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure("send: \(errorText(errno))") }
            done += count
        }
    }

    package func send(_ text: String) throws { try send(Array(text.utf8)) }

    private func fill() throws -> Bool {
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count >= 0 else { throw Failure("recv: \(errorText(errno))") }
        received += chunk.prefix(count)
        return count > 0
    }

    /// Whether a byte of an answer has arrived.
    package var hasAnswer: Bool {
        var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return !received.isEmpty || poll(&ready, 1, 0) > 0
    }

    /// Says that nothing more will be sent.
    package func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Ends the connection in both directions, now.
    package func hangUp() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Whether the daemon closes the connection within the receive timeout.
    package func isClosed() -> Bool { (try? fill()) == false }

    private func line() throws -> String {
        while true {
            if let end = received.firstIndex(of: 0x0A) {
                let line = String(decoding: received[..<end].dropLast(), as: UTF8.self)
                received.removeSubrange(...end)
                return line
            }
            guard try fill() else { throw Failure("closed within a header") }
        }
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while received.count < count {
            guard try fill() else { throw Failure("closed within a body") }
        }
        defer { received.removeFirst(count) }
        return Array(received.prefix(count))
    }

    /// Status and headers of an answer whose body comes in chunks.
    package func receiveHead() throws -> Answer {
        let status = try line().split(separator: " ")
        guard status.count > 1, let code = Int(status[1]) else {
            throw Failure("no status: \(status)")
        }
        var headers: [String: String] = [:]
        while true {
            let line = try line()
            if line.isEmpty { break }
            let parts = line.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        return Answer(status: code, headers: headers, body: [])
    }

    /// The next chunk of a body; nil at its end.
    package func receiveChunk() throws -> [UInt8]? {
        let size = Int(try line(), radix: 16)!
        let chunk = try take(size)
        _ = try take(2)
        return size == 0 ? nil : chunk
    }

    package func receive(isHead: Bool = false) throws -> Answer {
        let head = try receiveHead()
        let (code, headers) = (head.status, head.headers)
        var body: [UInt8] = []
        if headers["transfer-encoding"] == "chunked" {
            while let chunk = try receiveChunk() { body += chunk }
        } else if !isHead, let length = headers["content-length"].flatMap(Int.init) {
            body = try take(length)
        }
        return Answer(status: code, headers: headers, body: body)
    }

    package func request(
        _ method: String, _ path: String, _ body: [UInt8]? = nil, type: String? = nil,
        headers: [String] = []
    ) throws -> Answer {
        var head = "\(method) \(path) HTTP/1.1\r\nhost: stardust\r\n"
        if let type { head += "content-type: \(type)\r\n" }
        if let body { head += "content-length: \(body.count)\r\n" }
        for header in headers { head += header + "\r\n" }
        try send(Array((head + "\r\n").utf8) + (body ?? []))
        return try receive(isHead: method == "HEAD")
    }

    package func get(_ path: String) throws -> Answer { try request("GET", path) }

    package func emit(_ packet: [UInt8], type: String? = "application/json") throws -> Answer {
        try request("POST", "/v1/packets", packet, type: type)
    }

    package func emitLines(_ body: [UInt8]) throws -> Answer {
        try request("POST", "/v1/packets", body, type: "application/x-ndjson")
    }
}

extension HTTPClient {
    /// The packets of all pages of a list.
    package func allPackets(_ path: String, limit: Int = 1000) throws -> [[String: Any]] {
        var (packets, cursor): ([[String: Any]], String?) = ([], nil)
        repeat {
            let separator = path.contains("?") ? "&" : "?"
            let answer = try get(
                path + "\(separator)limit=\(limit)" + (cursor.map { "&cursor=\($0)" } ?? ""))
            guard answer.status == 200 else { throw Failure("\(path): \(answer.text)") }
            packets += answer.json["packets"] as? [[String: Any]] ?? []
            cursor = answer.json["next"] as? String
        } while cursor != nil
        return packets
    }

    package func allIDs(_ path: String, limit: Int = 1000) throws -> [String] {
        try allPackets(path, limit: limit).map { $0["stardust_id"] as? String ?? "" }
    }
}
