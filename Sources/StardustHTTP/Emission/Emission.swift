internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import Packets
internal import Platform
internal import StardustCore

/// `POST /v1/packets`: one packet, or many as NDJSON.
enum Emission {
    static func begin(
        _ connection: ConnectionHandler, _ parameters: Parameters
    ) throws(Problem) -> any RequestBody {
        let waits = try parameters.waitsForCheckpoint()
        switch MediaType(connection.fields.contentType) {
        case .json:
            let limit = connection.settings.packetBytes
            if let length = connection.fields.contentLength.flatMap({ Int($0) }),
                length > limit
            {
                throw .tooLarge(limit: limit)
            }
            return SingleEmission(connection, waitsForCheckpoint: waits)
        case .ndjson:
            return StreamEmission(
                connection, waitsForCheckpoint: waits,
                answersAtEnd: try parameters.answersAtEnd())
        case .other(let type):
            throw Problem(
                .unsupportedMediaType,
                "\(type) is not accepted; send application/json or application/x-ndjson")
        }
    }

    /// Answers a packet whose id is already stored: with the first receipt if the content is the
    /// same, with a conflict if it differs. Blocks on the disk.
    static func replay(
        _ payload: [UInt8], _ digest: Digest, at position: Position, _ ledger: RunningLedger
    ) -> Result<Receipt, Problem> {
        do throws(ReadFailure) {
            switch try ledger.resolve(payload, digest: digest, at: position) {
            case .same(let receipt):
                ledger.metrics.packetsReplayed.add()
                return .success(receipt)
            case .conflict(let receipt):
                ledger.metrics.packetsConflicting.add()
                return .failure(.conflict(receipt))
            }
        } catch { return .failure(Problem(error)) }
    }
}

extension Parameters {
    /// Whether no receipt is sent before the body's end, for proxies that stop forwarding a body
    /// once its answer begins.
    fileprivate func answersAtEnd() throws(Problem) -> Bool {
        guard let text = self["receipts"] else { return false }
        guard text == "end" else {
            throw .badParameter("receipts", "\(text) is unknown; `end` sends them after the body")
        }
        return true
    }

    /// Whether the client wants the receipt only once a checkpoint covers it.
    fileprivate func waitsForCheckpoint() throws(Problem) -> Bool {
        guard let text = self["wait"] else { return false }
        guard text == "checkpoint" else {
            throw .badParameter("wait", "cannot wait for \(text); only for `checkpoint`")
        }
        return true
    }
}
