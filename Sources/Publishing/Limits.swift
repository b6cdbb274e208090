/// Bounds of publishing, each with its reason.
package enum PublishingLimits {
    /// Between two checkpoints while the ledger grows, and while somebody waits for one: signing and
    /// making durable cost about a batch each.
    package static let checkpointInterval: Duration = .seconds(1)
    package static let checkpointIntervalInDemand: Duration = .milliseconds(100)
    /// Entry hashes that are worth extending the tree for before a checkpoint is due.
    package static let treePending = 1 << 13
    /// Entry hashes that wait for the tree; above this they are read back from the segments.
    package static let treePendingMax = 1 << 20
    /// How long a worker may wait for a checkpoint that covers its packet.
    package static let checkpointWait: Duration = .seconds(30)
    /// How long a witness may take.
    package static let witnessTime: Duration = .seconds(3)
    /// A witness that failed is left alone for the first time, doubled each time up to the second.
    package static let witnessPause: Duration = .seconds(1)
    package static let witnessPauseMax: Duration = .seconds(60)
    /// Times that a witness is asked again in one round, with the size that it returned.
    package static let witnessRetries = 3

    package static func checkRelations() {
        precondition(checkpointIntervalInDemand <= checkpointInterval)
        precondition(treePending <= treePendingMax)
        precondition(witnessPause <= witnessPauseMax)
    }
}
