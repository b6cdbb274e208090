/// Bounds of replication, each with its reason.
package enum ReplicationLimits {
    /// Rows and time after which what was applied is made durable: one sync for many transactions,
    /// and nobody behind by more than this.
    package static let rowsTogether = 20_000
    package static let timeTogether: Duration = .milliseconds(200)
    /// How long more is waited for when nothing has come.
    package static let quietTime: Duration = .milliseconds(5)
    /// How often progress without rows is made durable and reported, so that the slot lets go of
    /// what other databases wrote.
    package static let idleInterval: Duration = .seconds(10)
    package static let idleBytes: UInt64 = 16 << 20
    /// How often the slot is looked at, and the server hears of us at the latest.
    package static let heartbeatInterval: Duration = .seconds(5)
    /// How long a server may be silent that was asked to answer.
    package static let silenceMax: Duration = .seconds(60)
    /// How long the catalogue may take for an answer.
    package static let catalogueTime: Duration = .seconds(30)
    /// How often somebody who wants to stop is noticed.
    package static let wakeInterval: Duration = .milliseconds(100)
    /// Between two attempts after a failure.
    package static let pauseMin: Duration = .milliseconds(100)
    package static let pauseMax: Duration = .seconds(10)
    /// Write-ahead log that a slot may hold back before somebody is warned.
    package static let retainedBytes: Int64 = 1 << 30
    /// How often a copying tells how far it is.
    package static let progressInterval: Duration = .seconds(5)
}
