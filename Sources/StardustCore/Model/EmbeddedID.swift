package import Packets

/// A `stardust_id` in a row's JSON.
package struct EmbeddedID: Sendable {
    package var stardustID: String
    /// Where it stands in the column's value (RFC 6901).
    package var pointer: String
    /// Whether it is the packet of the row itself: a member of the outermost object.
    package var isOfRow: Bool
    /// What stands beside it.
    package var entityType: String?
    package var entityID: String?

    /// All of a column's value, in the order in which they stand. What this parser does not take names
    /// nothing: columns hold valid JSON.
    package static func all(in text: [UInt8]) -> [EmbeddedID] {
        guard let document = try? JSONDocument(text, limits: .answer) else { return [] }
        return all(in: document, at: 0)
    }

    /// All below a value of a document.
    package static func all(in document: JSONDocument, at root: Int) -> [EmbeddedID] {
        var found: [EmbeddedID] = []
        func walk(_ index: Int, _ pointer: String) {
            switch document.tokens[index].kind {
            case .object:
                for key in JSONChildren(document.tokens, of: index) {
                    let name = document.bytes.span.string(document.tokens[key])
                    let place = pointer + "/" + name.pointerEscaped
                    guard name == "stardust_id", let id = document.string(key + 1) else {
                        walk(key + 1, place)
                        continue
                    }
                    func beside(_ name: String) -> String? {
                        document.member(name, of: index).flatMap(document.string)
                    }
                    found.append(
                        EmbeddedID(
                            stardustID: id, pointer: place, isOfRow: index == root,
                            entityType: beside("entity_type"), entityID: beside("entity_id")))
                }
            case .array:
                for (place, element) in JSONChildren(document.tokens, of: index).enumerated() {
                    walk(element, "\(pointer)/\(place)")
                }
            default: break
            }
        }
        walk(root, "")
        return found
    }
}

extension String {
    fileprivate var pointerEscaped: String {
        var escaped = ""
        for character in self {
            switch character {
            case "~": escaped += "~0"
            case "/": escaped += "~1"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}
