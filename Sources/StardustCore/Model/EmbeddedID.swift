package import Packets

/// A `stardust_id` in a row's JSON.
package struct EmbeddedID: Sendable {
    package var stardustID: String
    /// Its place in the column's value, as a JSON Pointer (RFC 6901).
    package var pointer: String
    /// Whether it names the row's own packet: it is a member of the outermost object.
    package var isOfRow: Bool
    /// Other members of the same object.
    package var entityType: String?
    package var entityID: String?

    /// All ids in a column's value, in document order. Throws if the value is not JSON, or nests too
    /// deeply.
    package static func all(in text: [UInt8]) throws(JSONError) -> [EmbeddedID] {
        all(in: try JSONDocument(text, limits: .row), at: 0)
    }

    /// All ids within one value of a document.
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
    package var pointerEscaped: String {
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
