/// Bounds of publishing, each with its reason.
package enum PublishingLimits {
    /// The time between two checkpoints while the ledger grows, and while somebody waits for one.
    /// Signing a checkpoint and making it durable each cost about as much as a batch.
    package static let checkpointInterval: Duration = .seconds(1)
    package static let checkpointIntervalInDemand: Duration = .milliseconds(100)
    /// How many pending entry hashes make the tree grow before a checkpoint is due.
    package static let treePending = 1 << 13
    /// Entry hashes that may wait for the tree. Beyond this they are dropped and later read back
    /// from the segments.
    package static let treePendingMax = 1 << 20
    /// How long a worker may wait for a checkpoint that covers its packet.
    package static let checkpointWait: Duration = .seconds(30)
    /// How long a witness may take to answer.
    package static let witnessTime: Duration = .seconds(3)
    /// The pause after a witness's first failure. It doubles each time, up to the maximum.
    package static let witnessPause: Duration = .seconds(1)
    package static let witnessPauseMax: Duration = .seconds(60)
    /// How often a witness is asked again in one round with the size that it returned.
    package static let witnessRetries = 3

    package static func checkRelations() {
        precondition(checkpointIntervalInDemand <= checkpointInterval)
        precondition(treePending <= treePendingMax)
        precondition(witnessPause <= witnessPauseMax)
    }
}
