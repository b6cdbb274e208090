/// Bounds of requests to the read model, each with its reason.
package enum ModelRequestLimits {
    /// Rows of one answer to SQL.
    package static let sqlRows = 10_000
    /// Bytes of an SQL query, its parameters included.
    package static let sqlBytes = 1 << 20
    /// How long all rows and all packets may be compared.
    package static let driftTime: Duration = .seconds(300)
    /// Bytes of one row change.
    package static let changeBytes = 16 << 20
}
