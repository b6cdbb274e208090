import Testing
import stardust_bench

@Suite struct ResponseReaderTests {
    /// Two answers of known length, one in chunks, one up to the end of the connection.
    private static let bytes = Array(
        """
        HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: 5\r\n\r\n12345\
        HTTP/1.1 204 No Content\r\n\r\n\
        HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        9\r\n{"status"\r\n14;x=y\r\n:201}\n{"status":201}\r\n0\r\ntrailer: z\r\n\r\n\
        HTTP/1.1 200 OK\r\n\r\nto the end
        """.utf8)

    private static func read(_ pieces: [ArraySlice<UInt8>]) throws -> [String] {
        var (reader, answers, body) = (ResponseReader(), [String](), [UInt8]())
        func take(_ event: ResponseReader.Event) {
            switch event {
            case .head(let status): (body, _) = (Array("\(status) ".utf8), 0)
            case .body(let bytes): body += bytes
            case .end: answers.append(String(decoding: body, as: UTF8.self))
            }
        }
        for piece in pieces { try reader.take(piece, take) }
        try reader.finish(take)
        return answers
    }

    @Test func `answers are the same wherever the bytes are cut`() throws {
        let expected = [
            "201 12345", "204 ", "200 {\"status\":201}\n{\"status\":201}", "200 to the end",
        ]
        for cut in 0...Self.bytes.count {
            #expect(try Self.read([Self.bytes[..<cut], Self.bytes[cut...]]) == expected)
        }
        #expect(try Self.read(Self.bytes.indices.map { Self.bytes[$0...$0] }) == expected)
    }

    @Test func `receipts are counted wherever the bytes are cut, and a refusal is kept`() {
        let lines = Array(
            """
            {"status":201,"receipt":{}}
            {"status":422,"problem":{"detail":"no"}}
            {"status":201,"receipt":{}}

            """.utf8)
        for first in 0...lines.count {
            for second in stride(from: first, through: lines.count, by: 7) {
                var counter = AnswerLineCounter()
                counter.take(lines[..<first])
                counter.take(lines[first..<second])
                counter.take(lines[second...])
                #expect(counter.result.packets == 2 && counter.result.refused == 1)
                #expect(counter.result.reason == #"{"status":422,"problem":{"detail":"no"}}"#)
            }
        }
    }

    @Test(arguments: [
        "HTP/1.1 200\r\n", "HTTP/1.1 x\r\n", "HTTP/1.1 200 OK\r\nnothing\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ])
    func `what is not HTTP is refused`(text: String) {
        var reader = ResponseReader()
        #expect(throws: ResponseReader.Malformed.self) {
            try reader.take(Array(text.utf8)[...]) { _ in }
        }
    }

    @Test func `an answer that is cut short is not an answer`() {
        #expect(throws: ResponseReader.Malformed.self) { try Self.read([Self.bytes[..<70]]) }
    }
}
