package import LedgerFormat
package import ObjectStore
internal import Packets

/// The ledger that is archived, as its daemon shows it: durable bytes, and nothing else.
package protocol LedgerSource: Sendable {
    func state() throws(StoreFailure) -> SourceState
    func identity() throws(StoreFailure) -> [UInt8]
    /// The signed note that says which writer the daemon is.
    func epoch() throws(StoreFailure) -> [UInt8]
    /// Ends the writer, because the note of a later epoch says that another machine goes on.
    func supersede(_ note: [UInt8]) throws(StoreFailure)
    /// Bytes of a file from an offset on; at least one, at most as many as asked for. Fails where
    /// there is none yet.
    func read(_ file: SourceFile, _ offset: Int, atMost count: Int) throws(StoreFailure) -> [UInt8]
}

package enum SourceFile: Hashable, Sendable {
    case segment(Position)
    case checkpoints
}

/// How far the ledger's files are durable.
package struct SourceState: Hashable, Sendable {
    package var ledgerID: UUID128
    package var segments: [Segment]
    /// Bytes of the file of checkpoints.
    package var checkpointBytes: Int

    package struct Segment: Hashable, Sendable {
        package var first: Position
        package var end: Position
        package var bytes: Int
        package var isSealed: Bool
        /// It has left the ledger's disk, so only a store has its bytes.
        package var isArchived: Bool

        package init(
            first: Position, end: Position, bytes: Int, isSealed: Bool, isArchived: Bool = false
        ) {
            (self.first, self.end) = (first, end)
            (self.bytes, self.isSealed, self.isArchived) = (bytes, isSealed, isArchived)
        }
    }

    package init(ledgerID: UUID128, segments: [Segment], checkpointBytes: Int) {
        (self.ledgerID, self.segments) = (ledgerID, segments)
        self.checkpointBytes = checkpointBytes
    }
}

/// A daemon's source requests, over its socket.
package final class SocketSource: LedgerSource {
    private let transport: HTTPTransport
    private let socket: String

    /// `silence` is how long the daemon may send nothing.
    package init(socket: String, silence: Duration = StoreLimits.silence) {
        self.socket = socket
        var place = HTTPTransport.Place()
        place.silence = silence
        place.socket = socket
        transport = HTTPTransport(place)
    }

    package func state() throws(StoreFailure) -> SourceState {
        let body = try get("/v1/source", nil)
        guard let state = SourceState(json: body) else {
            throw failed("/v1/source", "the answer is not what this program knows")
        }
        return state
    }

    package func identity() throws(StoreFailure) -> [UInt8] {
        try get("/v1/source/identity", nil)
    }

    package func epoch() throws(StoreFailure) -> [UInt8] { try get("/v1/source/epoch", nil) }

    package func supersede(_ note: [UInt8]) throws(StoreFailure) {
        let body = ObjectBody(note)
        let path = "/v1/source/superseded"
        let answer: HTTPTransport.Answer
        do throws(StoreFailure) {
            answer = try transport.send(
                HTTPTransport.Request("POST", "http://stardust\(path)", headers: [], body: body))
        } catch { throw failed(path, "the daemon does not answer: \(error.detail)") }
        guard answer.status == 200 else { throw refused(path, answer) }
    }

    package func read(
        _ file: SourceFile, _ offset: Int, atMost count: Int
    ) throws(StoreFailure) -> [UInt8] {
        let path =
            switch file {
            case .segment(let first): "/v1/source/segments/\(first)"
            case .checkpoints: "/v1/source/checkpoints"
            }
        let bytes = try get(path, offset..<offset + count)
        guard !bytes.isEmpty, bytes.count <= count else {
            throw failed(path, "the answer has \(bytes.count) bytes instead of up to \(count)")
        }
        return bytes
    }

    private func failed(_ path: String, _ detail: String) -> StoreFailure {
        StoreFailure(.source, "\(socket): \(path)", detail)
    }

    private func get(_ path: String, _ range: Range<Int>?) throws(StoreFailure) -> [UInt8] {
        var headers: [(name: String, value: String)] = []
        if let range {
            headers.append(("range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"))
        }
        let answer: HTTPTransport.Answer
        do throws(StoreFailure) {
            answer = try transport.send(
                HTTPTransport.Request("GET", "http://stardust\(path)", headers: headers))
        } catch { throw failed(path, "the daemon does not answer: \(error.detail)") }
        guard answer.status == (range == nil ? 200 : 206) else { throw refused(path, answer) }
        return answer.body
    }

    private func refused(_ path: String, _ answer: HTTPTransport.Answer) -> StoreFailure {
        let text = String(decoding: answer.body.prefix(1000), as: UTF8.self)
        return failed(path, "the daemon answered \(answer.status): \(text)")
    }
}

extension SourceState {
    init?(json bytes: [UInt8]) {
        guard let document = try? JSONDocument(bytes, limits: .answer),
            let members = document.members(of: 0), let id = members["ledger_id"],
            let ledgerID = UUID128(document.string(id)[...]),
            let list = members["segments"], document.tokens[list].kind == .array,
            let checkpoints = members["checkpoints_bytes"].flatMap(document.integer)
        else { return nil }
        var segments: [Segment] = []
        for index in JSONChildren(document.tokens, of: list) {
            guard let fields = document.members(of: index),
                let first = fields["first"].flatMap(document.integer),
                let end = fields["end"].flatMap(document.integer),
                let bytes = fields["bytes"].flatMap(document.integer),
                let sealed = fields["sealed"], let archived = fields["archived"], first <= end,
                segments.last.map({ $0.end.value == UInt64(first) }) ?? (first == 0)
            else { return nil }
            segments.append(
                Segment(
                    first: Position(UInt64(first)), end: Position(UInt64(end)), bytes: bytes,
                    isSealed: document.tokens[sealed].kind == .true,
                    isArchived: document.tokens[archived].kind == .true))
        }
        self.init(ledgerID: ledgerID, segments: segments, checkpointBytes: checkpoints)
    }
}

extension JSONDocument {
    /// The values of an object by their keys; nil if it is none.
    fileprivate func members(of index: Int) -> [String: Int]? {
        guard tokens[index].kind == .object else { return nil }
        var members: [String: Int] = [:]
        for key in JSONChildren(tokens, of: index) { members[string(key)] = key + 1 }
        return members
    }

    fileprivate func string(_ index: Int) -> String {
        String(decoding: bytes.span.text(tokens[index]), as: UTF8.self)
    }

    /// A number from 0 up.
    fileprivate func integer(_ index: Int) -> Int? {
        guard tokens[index].kind == .number else { return nil }
        return Int(String(decoding: bytes[tokens[index].bytes], as: UTF8.self)).flatMap {
            (0..<1 << 48).contains($0) ? $0 : nil
        }
    }
}
