/// Reads HTTP/1.1 responses from bytes that arrive in any pieces: status, headers, and a body of
/// known length, in chunks, or up to the end of the connection (RFC 9112 sections 6 and 7).
package struct ResponseReader {
    private var state = State.statusLine
    private var line: [UInt8] = []
    private var status = 0
    private var length: Int?
    private var isChunked = false

    package init() {}

    private enum State: Equatable {
        case statusLine
        case header
        case body(left: Int)
        case bodyUntilClose
        case chunkSize
        case chunk(left: Int)
        case chunkEnd
        case trailer
    }

    package enum Event: Equatable {
        case head(status: Int)
        case body(ArraySlice<UInt8>)
        case end
    }

    /// What the daemon sent is not HTTP.
    package struct Malformed: Error {
        package var line: String
    }

    /// Consumes bytes and reports, in order, the events they complete.
    package mutating func take(
        _ bytes: ArraySlice<UInt8>, _ report: (Event) throws(Malformed) -> Void
    ) throws(Malformed) {
        var rest = bytes
        while !rest.isEmpty {
            switch state {
            case .body(let left): try pass(&rest, left, then: .statusLine, report)
            case .chunk(let left): try pass(&rest, left, then: .chunkEnd, report)
            case .bodyUntilClose:
                try report(.body(rest))
                return
            default:
                guard let end = rest.firstIndex(of: 0x0A) else {
                    line += rest
                    return
                }
                line += rest[..<end]
                rest = rest[(end + 1)...]
                if line.last == 0x0D { line.removeLast() }
                let text = String(decoding: line, as: UTF8.self)
                line.removeAll(keepingCapacity: true)
                try takeLine(text, report)
            }
        }
    }

    /// The connection has ended.
    package mutating func finish(_ report: (Event) throws(Malformed) -> Void) throws(Malformed) {
        if state == .bodyUntilClose {
            state = .statusLine
            return try report(.end)
        }
        guard state == .statusLine, line.isEmpty else { throw Malformed(line: "cut short") }
    }

    private mutating func pass(
        _ rest: inout ArraySlice<UInt8>, _ left: Int, then next: State,
        _ report: (Event) throws(Malformed) -> Void
    ) throws(Malformed) {
        let piece = rest.prefix(left)
        rest = rest[piece.endIndex...]
        try report(.body(piece))
        let isChunk = next == .chunkEnd
        if piece.count < left {
            state = isChunk ? .chunk(left: left - piece.count) : .body(left: left - piece.count)
            return
        }
        state = next
        if !isChunk { try report(.end) }
    }

    private mutating func takeLine(
        _ text: String, _ report: (Event) throws(Malformed) -> Void
    ) throws(Malformed) {
        switch state {
        case .statusLine:
            let parts = text.split(separator: " ")
            guard parts.count > 1, parts[0].hasPrefix("HTTP/1."), let status = Int(parts[1]) else {
                throw Malformed(line: text)
            }
            (self.status, length, isChunked, state) = (status, nil, false, .header)
        case .header where text.isEmpty: try beginBody(report)
        case .header: try takeHeader(text)
        case .chunkSize:
            guard let size = Int(text.prefix { $0 != ";" }, radix: 16) else {
                throw Malformed(line: text)
            }
            state = size == 0 ? .trailer : .chunk(left: size)
        case .chunkEnd:
            guard text.isEmpty else { throw Malformed(line: text) }
            state = .chunkSize
        case .trailer:
            if text.isEmpty {
                state = .statusLine
                try report(.end)
            }
        case .body, .bodyUntilClose, .chunk: break
        }
    }

    private mutating func takeHeader(_ text: String) throws(Malformed) {
        guard let colon = text.firstIndex(of: ":") else { throw Malformed(line: text) }
        let value = text[text.index(after: colon)...].drop { $0 == " " }
        switch text[..<colon].lowercased() {
        case "content-length":
            guard let count = Int(value), count >= 0 else { throw Malformed(line: text) }
            length = count
        case "transfer-encoding": isChunked = value.lowercased() == "chunked"
        default: break
        }
    }

    private mutating func beginBody(
        _ report: (Event) throws(Malformed) -> Void
    ) throws(Malformed) {
        // An interim response has no body; the final response follows.
        if (100..<200).contains(status) {
            state = .statusLine
            return
        }
        try report(.head(status: status))
        if isChunked {
            state = .chunkSize
        } else if let length, length > 0 {
            state = .body(left: length)
        } else if length == 0 || status == 204 || status == 304 {
            state = .statusLine
            try report(.end)
        } else {
            state = .bodyUntilClose
        }
    }
}
