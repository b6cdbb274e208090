internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import Packets
internal import Publishing
internal import StardustCore

/// Renders the lines of an NDJSON answer as bytes.
enum AnswerLines {
    static func rendered(_ lines: [StreamEmission.Line]) -> ByteBuffer {
        var json = JSONWriter()
        var buffer = ByteBuffer()
        buffer.reserveCapacity(lines.count * 330)
        for line in lines {
            json.clear()
            write(line, to: &json)
            buffer.writeBytes(json.bytes)
            buffer.writeInteger(UInt8(ascii: "\n"))
        }
        return buffer
    }

    /// One line with its end.
    static func rendered(_ line: StreamEmission.Line) -> [UInt8] {
        var json = JSONWriter()
        write(line, to: &json)
        return json.bytes + [UInt8(ascii: "\n")]
    }

    /// Answers that were kept, as they are sent. Blocks on the disk.
    static func rendered(
        _ answers: [KeptAnswers.Answer], from ledger: RunningLedger, withEvidence: Bool
    ) -> ByteBuffer {
        var buffer = ByteBuffer()
        for answer in answers {
            switch answer {
            case .problem(let line): buffer.writeBytes(line)
            case .position(let position, let isReplay):
                let line = line(position, isReplay, from: ledger, withEvidence: withEvidence)
                buffer.writeBytes(rendered(line))
            }
        }
        return buffer
    }

    private static func write(_ line: StreamEmission.Line, to json: inout JSONWriter) {
        json.beginObject()
        switch line {
        case .receipt(let receipt, let isReplay, let evidence):
            json.member("status", isReplay ? 200 : 201)
            json.key("receipt")
            json.receipt(receipt, isReplay: isReplay, evidence)
        case .problem(let boxed):
            json.member("status", boxed.problem.status)
            json.key("problem")
            boxed.problem.write(to: &json)
        case .packet: preconditionFailure("a packet is answered before its line is written")
        }
        json.endObject()
    }
}

/// A problem behind a reference: problems are large, and most lines have none.
final class BoxedProblem: Sendable {
    let problem: Problem
    init(_ problem: Problem) { self.problem = problem }
}

/// Answers the client has not taken yet. Only a receipt's position is kept; the receipt is read
/// back from the ledger when there is room. 24 bytes a line.
struct KeptAnswers: ~Copyable {
    private var answers = CircularBuffer<Answer>()
    /// What the answers take of the budget, in bytes.
    private var room: Budgets.Lease
    /// More was kept than there is room for: the client should take some first.
    private(set) var isFull = false

    init(_ room: consuming Budgets.Lease) { self.room = room }

    enum Answer: Sendable {
        case position(Position, isReplay: Bool)
        /// A refusal, as it will be sent.
        case problem([UInt8])

        /// Bytes of memory.
        var weight: Int {
            switch self {
            case .position: EmissionLimits.receiptBytesKept
            case .problem(let line): EmissionLimits.problemBytesKept + line.count
            }
        }
    }

    var isEmpty: Bool { answers.isEmpty }

    mutating func append(_ lines: [StreamEmission.Line]) {
        var weight = 0
        for line in lines {
            switch line {
            case .receipt(let receipt, let isReplay, _):
                answers.append(.position(receipt.position, isReplay: isReplay))
            case .problem: answers.append(.problem(AnswerLines.rendered(line)))
            case .packet: preconditionFailure("a packet is answered before its line is kept")
            }
            weight += answers.last!.weight
        }
        isFull = !room.add(weight)
    }

    /// Removes and returns up to `limit` answers from the front.
    mutating func take(_ limit: Int) -> [Answer] {
        let taken = Array(answers.prefix(limit))
        answers.removeFirst(taken.count)
        room.give(back: taken.reduce(0) { $0 + $1.weight })
        isFull = isFull && !room.hasRoom
        return taken
    }
}

extension AnswerLines {
    /// The answer to a packet at a position, read back from the ledger.
    private static func line(
        _ position: Position, _ isReplay: Bool, from ledger: RunningLedger, withEvidence: Bool
    ) -> StreamEmission.Line {
        do throws(ReadFailure) {
            guard let record = try ledger.map?.read(position) else {
                return .problem(BoxedProblem(Problem(.stopping)))
            }
            let receipt = Receipt(record.entry, hash: record.entryHash)
            guard withEvidence else { return .receipt(receipt, isReplay: isReplay) }
            // Its batch was answered, so a published checkpoint must cover it.
            guard let published = ledger.publisher?.published else {
                return .problem(BoxedProblem(Problem(.stopping)))
            }
            switch CheckpointEvidence.of(receipt, published, ledger) {
            case .success(let evidence): return .receipt(receipt, isReplay: isReplay, evidence)
            case .failure(let problem): return .problem(BoxedProblem(problem))
            }
        } catch { return .problem(BoxedProblem(Problem(error))) }
    }
}
