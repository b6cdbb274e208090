import ArgumentParser
internal import Cleanup
internal import LedgerFormat
internal import Packets

/// A clean-up's packets, through the daemon.
struct CleanupLedger {
    let client: DaemonClient

    static let program = "\(Version.number)"

    /// Packets of the plan's trace that clean-ups leave, in ledger order.
    func records(_ trace: UUID128) async throws(Failure) -> [CleanupRecord] {
        var (found, cursor): ([CleanupRecord], String?) = ([], nil)
        repeat {
            let page = try await page(
                "/v1/traces/\(trace)/packets", [("limit", "1000"), ("cursor", cursor)])
            found += page.records
            cursor = page.next
        } while cursor != nil
        return found
    }

    struct Page {
        var records: [CleanupRecord]
        /// Those included that are no records.
        var packets: Int
        var next: String?
        var ledgerSize: UInt64
    }

    func page(_ path: String, _ query: [(String, String?)]) async throws(Failure) -> Page {
        let answer = try JSONDocument(answer: try await client.get(path, query))
        if let damage = answer.member("damage", of: 0).flatMap(answer.string) {
            throw Failure.damaged(damage)
        }
        guard let list = answer.member("packets", of: 0),
            let size = answer.member("ledger_size", of: 0).flatMap({ answer.integer($0) })
        else { throw Failure(.inputOutput, "the daemon's answer is no list of packets") }
        let packets = Array(JSONChildren(answer.tokens, of: list))
        return Page(
            records: packets.compactMap { CleanupRecord(answer, $0) }, packets: packets.count,
            next: answer.member("next", of: 0).flatMap(answer.string), ledgerSize: UInt64(size))
    }

    /// Makes a packet durable. Nil if its id stands with other content.
    func emit(_ packet: [UInt8]) async throws(Failure) -> CleanupReceipt? {
        guard let bytes = try await client.emit(packet) else { return nil }
        let answer = try JSONDocument(answer: bytes)
        guard let position = answer.member("position", of: 0).flatMap({ answer.integer($0) }),
            let received = answer.member("received_at", of: 0).flatMap(answer.string)
                .flatMap({ Timestamp(rfc3339: $0) })
        else { throw Failure(.inputOutput, "the daemon's answer is no receipt") }
        return CleanupReceipt(position: UInt64(position), received: received)
    }
}

/// A plan's file, as a person names it.
struct PlanFile {
    let path: String
    let plan: CleanupPlan
    let packet: CleanupPacket

    init(_ path: String) throws(Failure) {
        let content = try InputFile.content(path)
        self.path = path
        do throws(CleanupPlan.Malformed) { plan = try CleanupPlan(fileContent: content) } catch {
            throw Failure(.badInput, "\(path): \(error)")
        }
        packet = CleanupPacket(plan: .sha256(content), version: CleanupLedger.program)
    }
}

extension Failure {
    init(_ stop: CleanupStop) {
        let exit: ExitCode =
            switch stop.kind {
            case .refused: .badInput
            case .notPermitted: .notPermitted
            case .unreachable: .unreachable
            case .inputOutput: .inputOutput
            }
        self.init(exit, stop.detail)
    }
}

extension CleanupStop {
    init(_ failure: Failure) {
        let kind: Kind =
            switch failure.exit {
            case .unreachable: .unreachable
            case .notPermitted: .notPermitted
            case .inputOutput: .inputOutput
            default: .refused
            }
        self.init(kind, failure.message)
    }
}
