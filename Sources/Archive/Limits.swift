/// Limits of the archive, each with its reason.
package enum ArchiveLimits {
    /// Bytes that are fetched at once: a daemon's answer has no more.
    static let pieceBytes = 1 << 20
    /// Segments of which the archive process keeps a copy: the open one, and the one before it.
    static let copiesMax = 2
    /// What is shipped, and how long a byte may wait for more.
    package static let shipBytes = 8 << 20
    package static let shipTime = Duration.seconds(5)
    /// How often the archive process asks the daemon whether there is more.
    package static let pause = Duration.milliseconds(250)
    /// How long it waits after a failure that somebody has to mend.
    package static let refusedPause = Duration.seconds(60)
    package static let failedPause = Duration.seconds(1)
}
