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
            buffer.writeBytes(json.bytes)
            buffer.writeInteger(UInt8(ascii: "\n"))
        }
        return buffer
    }
}

/// A problem behind a reference: problems are large, and most lines have none.
final class BoxedProblem: Sendable {
    let problem: Problem
    init(_ problem: Problem) { self.problem = problem }
}

/// Answers the client has not taken yet. Only a receipt's position is kept; the receipt is read
/// back from the ledger when there is room. 24 bytes a line.
struct KeptAnswers {
    private var answers = CircularBuffer<Answer>()

    enum Answer: Sendable {
        case position(Position, isReplay: Bool)
        case problem(BoxedProblem)

        var weight: Int {
            if case .problem = self { EmissionLimits.problemWeight } else { 1 }
        }
    }

    /// How much memory the answers take, measured in receipts.
    private(set) var weight = 0

    var isEmpty: Bool { answers.isEmpty }

    mutating func append(_ lines: [StreamEmission.Line]) {
        for line in lines {
            switch line {
            case .receipt(let receipt, let isReplay, _):
                answers.append(.position(receipt.position, isReplay: isReplay))
            case .problem(let boxed): answers.append(.problem(boxed))
            case .packet: preconditionFailure("a packet is answered before its line is kept")
            }
            weight += answers.last!.weight
        }
    }

    /// Removes and returns up to `limit` answers from the front.
    mutating func take(_ limit: Int) -> [Answer] {
        let taken = Array(answers.prefix(limit))
        answers.removeFirst(taken.count)
        weight -= taken.reduce(0) { $0 + $1.weight }
        return taken
    }
}

extension KeptAnswers.Answer {
    /// The line itself. Blocks on the disk.
    func line(from ledger: RunningLedger, withEvidence: Bool) -> StreamEmission.Line {
        switch self {
        case .problem(let boxed): return .problem(boxed)
        case .position(let position, let isReplay):
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
                case .success(let evidence):
                    return .receipt(receipt, isReplay: isReplay, evidence)
                case .failure(let problem): return .problem(BoxedProblem(problem))
                }
            } catch { return .problem(BoxedProblem(Problem(error))) }
        }
    }
}
