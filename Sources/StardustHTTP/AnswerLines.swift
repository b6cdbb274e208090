internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import Packets
internal import StardustCore

/// Lines of an NDJSON answer as bytes.
enum AnswerLines {
    static func rendered(_ lines: [StreamEmission.Line]) -> ByteBuffer {
        var json = JSONWriter()
        var buffer = ByteBuffer()
        buffer.reserveCapacity(lines.count * 330)
        for line in lines {
            json.clear()
            json.beginObject()
            switch line {
            case .receipt(let receipt, let isReplay):
                json.member("status", isReplay ? 200 : 201)
                json.key("receipt")
                json.receipt(receipt, isReplay: isReplay)
            case .problem(let problem):
                json.member("status", problem.status)
                json.key("problem")
                problem.write(to: &json)
            case .packet: preconditionFailure("a packet is answered before its line is written")
            }
            json.endObject()
            buffer.writeBytes(json.bytes)
            buffer.writeInteger(UInt8(ascii: "\n"))
        }
        return buffer
    }
}

/// Answers that the client does not take yet: a position stands for a receipt, which is read back
/// from the ledger when there is room. 24 bytes a line.
struct KeptAnswers {
    private var answers = CircularBuffer<Answer>()

    enum Answer: Sendable {
        case position(Position, isReplay: Bool)
        case problem(Boxed)
    }

    /// Problems are few and large.
    final class Boxed: Sendable {
        let problem: Problem
        init(_ problem: Problem) { self.problem = problem }
    }

    var isEmpty: Bool { answers.isEmpty }
    var count: Int { answers.count }

    mutating func append(_ lines: [StreamEmission.Line]) {
        for line in lines {
            switch line {
            case .receipt(let receipt, let isReplay):
                answers.append(.position(receipt.position, isReplay: isReplay))
            case .problem(let problem): answers.append(.problem(Boxed(problem)))
            case .packet: preconditionFailure("a packet is answered before its line is kept")
            }
        }
    }

    /// Takes up to `limit` from the front.
    mutating func take(_ limit: Int) -> [Answer] {
        let taken = Array(answers.prefix(limit))
        answers.removeFirst(taken.count)
        return taken
    }
}

extension KeptAnswers.Answer {
    /// The line itself. Blocks on the disk.
    func line(from ledger: RunningLedger) -> StreamEmission.Line {
        switch self {
        case .problem(let boxed): return .problem(boxed.problem)
        case .position(let position, let isReplay):
            do throws(ReadFailure) {
                guard let record = try ledger.map?.read(position) else {
                    return .problem(Problem(.stopping))
                }
                return .receipt(Receipt(record.entry, hash: record.entryHash), isReplay: isReplay)
            } catch { return .problem(Problem(error)) }
        }
    }
}
