/// Bounds of what touches the machine, each with its reason.
package enum PlatformLimits {
    /// How often work that a full disk or a failed call stopped is tried again: soon enough that
    /// nobody waits for it, too seldom to load the machine.
    package static let retryDelay: Duration = .seconds(1)
}
