package import ReadModel

/// Why replication stopped.
package enum ReplicationFailure: Error, Sendable, CustomStringConvertible {
    /// The environment failed: replication is retried, and nothing is lost.
    case connection(String)
    /// The same, for a caller that does not want to wait for the server.
    case unreachable(String)
    /// The server refuses; `state` is the SQLSTATE.
    case server(state: String, String)
    /// Somebody must decide or change a setting first.
    case setup(String)
    /// The role lacks a right.
    case denied(String)
    /// The source's tables have changed in a way that cannot be followed.
    case schema(String)
    /// The same, found earlier: it was said with its advice.
    case outdated(String)
    /// The server sent something it should not.
    case protocolViolated(String)
    case model(ModelFailure)

    package var description: String {
        switch self {
        case .connection(let detail), .unreachable(let detail), .setup(let detail),
            .denied(let detail), .outdated(let detail):
            detail
        case .server(let state, let message): "PostgreSQL (\(state)): \(message)"
        case .schema(let detail):
            "\(detail). The ledger is not affected; rebuild the read model with "
                + "`stardust model sync --resync`"
        case .protocolViolated(let detail): "PostgreSQL sent something unexpected: \(detail)"
        case .model(let failure): failure.description
        }
    }

    /// Whether only a new copy helps.
    package var needsResync: Bool {
        switch self {
        case .schema, .model(.drifted): true
        case .connection, .unreachable, .server, .setup, .denied, .outdated, .protocolViolated,
            .model:
            false
        }
    }

    /// Whether a retry may help.
    package var isTransient: Bool {
        switch self {
        case .connection: true
        // Connection exceptions, a slot in use (55006), shutdown and startup (57P), lack of
        // connections, memory or disk (53), and cancellations by the server (40, 58).
        case .server(let state, _):
            ["08", "40", "53", "55", "57", "58"].contains { state.hasPrefix($0) }
        case .model(.database(let failure)): failure.isBusy || failure.isFull
        case .unreachable, .setup, .denied, .schema, .outdated, .protocolViolated, .model: false
        }
    }
}
