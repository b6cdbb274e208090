/// Bounds of replication, each with its reason.
package enum ReplicationLimits {
    /// Rows and time after which applied changes are made durable: one sync serves many
    /// transactions, and readers are behind by no more than this.
    package static let rowsTogether = 20_000
    package static let timeTogether: Duration = .milliseconds(200)
    /// How long to wait for more once nothing arrives.
    package static let quietTime: Duration = .milliseconds(5)
    /// How often progress without rows is made durable and reported, so that the slot releases log
    /// that other databases wrote.
    package static let idleInterval: Duration = .seconds(10)
    package static let idleBytes: UInt64 = 16 << 20
    /// How often the slot is checked, and the longest the server goes without hearing from us.
    package static let heartbeatInterval: Duration = .seconds(5)
    /// How long a server may stay silent after it was asked to reply.
    package static let silenceMax: Duration = .seconds(60)
    /// How long a query of the catalogue may take.
    package static let catalogueTime: Duration = .seconds(30)
    /// How long to wait for the outcome of a statement that was cancelled, and then for the removal of
    /// what it left. Both together leave a stop within 5 seconds.
    package static let cancelTime: Duration = .milliseconds(1500)
    /// How often to look up what a statement waits for.
    package static let reportInterval: Duration = .seconds(1)
    /// How often to check for a request to stop.
    package static let wakeInterval: Duration = .milliseconds(100)
    /// Pause between two attempts after a failure.
    package static let pauseMin: Duration = .milliseconds(100)
    package static let pauseMax: Duration = .seconds(10)
    /// The same for a service whose failure needs an operator: each attempt may cost a full copy.
    package static let servicePauseMin: Duration = .seconds(5)
    package static let servicePauseMax: Duration = .seconds(300)
    /// Bytes of write-ahead log that a slot may hold back before a warning.
    package static let retainedBytes: Int64 = 1 << 30
    /// How often a copy reports its progress.
    package static let progressInterval: Duration = .seconds(5)
}
