internal import LedgerFormat
internal import Packets

/// The variable parts of a path, looked up by name. Ids and positions are validated before a
/// handler runs.
struct PathVariables: Sendable {
    private var values: [(name: String, value: Value)] = []

    private enum Value: Sendable {
        case text(String)
        case id(UUID128)
        case position(Position)
        case tile(Tile)
    }

    /// Reads a variable; the problem says what is wrong with it.
    mutating func take(_ name: String, _ text: Substring) throws(Problem) {
        switch name {
        case "stardust_id", "id":
            guard let id = UUID128(text) else { throw .notAUUID(text) }
            values.append((name, .id(id)))
        case "trace_id":
            guard let id = UUID128(anyText: Array(text.utf8).span) else {
                throw .notATraceID(text)
            }
            values.append((name, .id(id)))
        case "position":
            guard let value = UInt64(canonical: text.utf8) else {
                throw Problem(.badPosition, "\(text) is not a position: a number from 0 up")
            }
            values.append((name, .position(Position(value))))
        case "index":
            let index = text.split(separator: "/", omittingEmptySubsequences: false)
            guard let tile = Tile(path: [self.text("level")[...]] + index) else {
                throw .notATile
            }
            values.append((name, .tile(tile)))
        case "type":
            let type = String(text)
            guard EntityTypes.mayBe(type) else { throw .notAnEntityType(type) }
            values.append((name, .text(type)))
        default: values.append((name, .text(String(text))))
        }
    }

    // A handler reads only variables of its own path; a test calls every handler.

    func text(_ name: String) -> String {
        guard case .text(let text) = value(name) else { preconditionFailure("\(name) is not text") }
        return text
    }

    func id(_ name: String) -> UUID128 {
        guard case .id(let id) = value(name) else { preconditionFailure("\(name) is not an id") }
        return id
    }

    func position(_ name: String) -> Position {
        guard case .position(let position) = value(name) else {
            preconditionFailure("\(name) is not a position")
        }
        return position
    }

    func tile(_ name: String) -> Tile {
        guard case .tile(let tile) = value(name) else { preconditionFailure("not a tile: \(name)") }
        return tile
    }

    private func value(_ name: String) -> Value? { values.first { $0.name == name }?.value }
}
