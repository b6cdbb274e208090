/// Limits on a witness's connections.
enum WitnessLimits {
    /// How long a witness waits for a complete request, which is a few kilobytes.
    static let requestTime: Duration = .seconds(15)
    /// Connections at once: each log needs one now and then.
    static let connections = 128
}
