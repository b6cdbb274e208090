/// Bounds of what touches the machine, each with its reason.
package enum PlatformLimits {
    /// The pause before retrying work that a full disk or a failed call stopped: short enough that
    /// nobody notices, long enough not to load the machine.
    package static let retryDelay: Duration = .seconds(1)
    /// Larger than any file that is read whole by default: none of ours has a tenth of it.
    package static let smallFileBytes = 1 << 20
}
