/// Limits on requests to the read model, each with its reason.
package enum ModelRequestLimits {
    /// Rows in the answer to one SQL query.
    package static let sqlRows = 10_000
    /// Bytes of an SQL query, including its parameters.
    package static let sqlBytes = 1 << 20
    /// How long comparing all rows with all packets may take.
    package static let driftTime: Duration = .seconds(300)
    /// Bytes of one row change.
    package static let changeBytes = 16 << 20
    /// Bytes of the read model's write-ahead log above which its status has a warning: SQLite resets
    /// the log at 32 MiB, unless a reader holds it.
    package static let logBytesWarning = 256 << 20
}
