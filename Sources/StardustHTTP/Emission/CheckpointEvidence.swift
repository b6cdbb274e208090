internal import LedgerFormat
internal import Publishing
internal import StardustCore

/// Evidence that a published checkpoint covers a receipt's packet.
final class CheckpointEvidence: Sendable {
    /// The signed note.
    let checkpoint: [UInt8]
    let inclusion: [Digest]

    init(checkpoint: [UInt8], inclusion: [Digest]) {
        (self.checkpoint, self.inclusion) = (checkpoint, inclusion)
    }

    /// Creates the evidence for a receipt that `published` covers. Blocks on the disk.
    static func of(
        _ receipt: Receipt, _ published: SignedCheckpoint, _ ledger: RunningLedger
    ) -> Result<CheckpointEvidence, Problem> {
        guard let publisher = ledger.publisher else { return .failure(Problem(.stopping)) }
        let source = ProofSource(publisher, published)
        do throws(ProofSource.Failure) {
            let inclusion = try source.inclusion(of: receipt.position, receipt.entryHash)
            return .success(
                CheckpointEvidence(checkpoint: published.note.bytes, inclusion: inclusion))
        } catch { return .failure(Problem(error)) }
    }
}
