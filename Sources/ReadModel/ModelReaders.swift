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

    /// Reads the model as of one point in its history, with its state. Throws `missing` if there is
    /// no read model, and `tooSlow` at the deadline.
    package func read<Result>(
        until deadline: ContinuousClock.Instant,
        _ body: (SQLiteConnection, ModelState) throws(ModelFailure) -> Result
    ) throws(ModelFailure) -> Result {
        let (number, connection) = try take()
        connection.guardian = SQLiteGuardian(Patience(until: deadline, or: stop))
        do throws(SQLiteFailure) { try connection.run("BEGIN") } catch { throw .database(error) }
        // If the commit fails, the connection is not kept.
        defer { if (try? connection.run("COMMIT")) != nil { give(number, connection) } }
        let state: ModelState?
        do throws(SQLiteFailure) { state = try ModelState(connection) } catch {
            throw .database(error)
        }
        guard let state else { throw .missing(Self.noModel) }
        do throws(ModelFailure) { return try body(connection, state) } catch {
            guard case .database(let failure) = error, failure.isInterrupted else { throw error }
            throw .tooSlow
        }
    }

    package static let noModel =
        "there is no read model yet: create it with `stardust model sync` or `stardust model apply`"

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
