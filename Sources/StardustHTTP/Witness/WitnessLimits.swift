/// Bounds of a witness's connections.
enum WitnessLimits {
    /// How long a witness waits for a whole request: a few kilobytes.
    static let requestTime: Duration = .seconds(15)
}
