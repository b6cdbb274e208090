internal import Glibc
internal import Platform

extension ModelFolder {
    /// Copies the read model in use to a new file, as it is at one moment, if the change feed made it:
    /// a model that follows PostgreSQL can be copied from there again. False if there is none, or none
    /// of that kind.
    package func copyFeedModel(to path: String) throws(ModelFailure) -> Bool {
        guard let current else { return false }
        do throws(SQLiteFailure) {
            let connection = try SQLiteConnection(file(current), .readOnly)
            guard let state = try ModelState(connection), state.source == .feed else {
                return false
            }
            try connection.run("VACUUM INTO '\(path.replacing("'", with: "''"))'")
            return true
        } catch { throw .database(error) }
    }
}
