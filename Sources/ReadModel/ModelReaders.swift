internal import Synchronization

/// Read connections to the copy in use, kept for reuse.
package final class ModelReaders: Sendable {
    package let folder: ModelFolder
    /// Stops running reads when the process ends.
    package let stop = StopSignal()
    private let idle = Mutex(Idle())

    private struct Idle {
        var number: Int?
        var connections: [SQLiteConnection] = []
    }

    private static let kept = 8

    package init(_ folder: ModelFolder) { self.folder = folder }

    /// The model as it is now, for as long as the snapshot lives. Throws `missing` if there is no
    /// read model. Whatever reads it after the deadline fails.
    package func snapshot(
        until deadline: ContinuousClock.Instant
    ) throws(ModelFailure) -> ModelSnapshot {
        let (number, connection) = try take()
        connection.guardian = SQLiteGuardian(Patience(until: deadline, or: stop))
        let state: ModelState?
        do throws(SQLiteFailure) {
            try connection.run("BEGIN")
            state = try ModelState(connection)
        } catch { throw .database(error) }
        // A connection that is not given back is closed, and its transaction with it.
        guard let state else { throw .missing(Self.noModel) }
        return ModelSnapshot(connection, state) {
            // If the commit fails, the connection is not kept.
            if (try? connection.run("COMMIT")) != nil { self.give(number, connection) }
        }
    }

    package static let noModel =
        "there is no read model: create it with `stardust model sync` or `stardust model apply`"

    /// The file in use, for a caller that opens its own connection.
    package func path() throws(ModelFailure) -> String {
        guard let number = folder.current else { throw .missing(Self.noModel) }
        return folder.file(number)
    }

    private func take() throws(ModelFailure) -> (Int, SQLiteConnection) {
        guard let number = folder.current else { throw .missing(Self.noModel) }
        let kept = idle.withLock { idle in
            if idle.number != number { idle = Idle(number: number) }
            return idle.connections.popLast()
        }
        if let kept { return (number, kept) }
        do throws(SQLiteFailure) {
            return (number, try SQLiteConnection(folder.file(number), .readOnly))
        } catch { throw .database(error) }
    }

    private func give(_ number: Int, _ connection: SQLiteConnection) {
        idle.withLock { idle in
            if idle.number == number, idle.connections.count < Self.kept {
                idle.connections.append(connection)
            }
        }
    }
}

/// The read model at one point in its history. Used by one thread at a time.
package struct ModelSnapshot: ~Copyable {
    package let connection: SQLiteConnection
    package let state: ModelState
    private let end: () -> Void

    fileprivate init(
        _ connection: SQLiteConnection, _ state: ModelState, end: @escaping () -> Void
    ) {
        (self.connection, self.state, self.end) = (connection, state, end)
    }

    deinit { end() }
}
