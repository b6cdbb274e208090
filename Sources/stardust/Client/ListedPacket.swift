internal import Packets

/// A packet as the daemon lists it.
struct ListedPacket {
    let document: JSONDocument
    private let index: Int

    init(_ document: JSONDocument, _ index: Int = 0) {
        self.document = document
        self.index = index
    }

    private func text(_ name: String) -> String { self.text(name, of: index) ?? "" }

    private func text(_ name: String, of object: Int?) -> String? {
        object.flatMap { document.member(name, of: $0) }.map { value in
            document.string(value) ?? String(decoding: document.source(value), as: UTF8.self)
        }
    }

    var position: String { text("position") }
    var stardustID: String { text("stardust_id") }
    var entity: String { text("entity_type") + "/" + text("entity_id") }
    var createdAt: String { text("created_at") }
    var receivedAt: String { text("received_at") }
    var entryHash: String { text("entry_hash") }
    var payloadDigest: String { text("payload_sha256") }

    var peer: String {
        let peer = document.member("peer", of: index)
        return "uid \(text("uid", of: peer) ?? "?"), gid \(text("gid", of: peer) ?? "?")"
    }

    /// The packet as it was sent.
    var packet: Int? { document.member("packet", of: index) }

    private var lineage: Int? { packet.flatMap { document.member("lineage", of: $0) } }

    var event: String { text("event", of: lineage) ?? "-" }
    var trace: String { text("trace_id", of: lineage) ?? "-" }

    var worker: String {
        text("worker", of: lineage.flatMap { document.member("_producer", of: $0) }) ?? "-"
    }

    /// The listed packet as JSON on one line.
    var line: [UInt8] {
        document.source(index).map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 } + [0x0A]
    }
}

extension JSONDocument {
    /// Parses an answer of the daemon, which is deeper and larger than the packets in it.
    init(answer bytes: [UInt8]) throws(Failure) {
        do throws(JSONError) {
            try self.init(bytes, limits: .answer)
        } catch { throw Failure(.inputOutput, "the daemon's answer cannot be read: \(error)") }
    }

    /// A value with line ends and indentation.
    func indented(_ index: Int, _ terminal: Terminal, depth: Int = 0) -> String {
        let (indent, inner) = (
            String(repeating: "  ", count: depth), String(repeating: "  ", count: depth + 1)
        )
        let token = tokens[index]
        switch token.kind {
        case .object:
            let members = JSONChildren(tokens, of: index).map { key in
                inner + terminal.cyan(shown(key)) + ": "
                    + indented(key + 1, terminal, depth: depth + 1)
            }
            return members.isEmpty ? "{}" : "{\n\(members.joined(separator: ",\n"))\n\(indent)}"
        case .array:
            let elements = JSONChildren(tokens, of: index).map {
                inner + indented($0, terminal, depth: depth + 1)
            }
            return elements.isEmpty ? "[]" : "[\n\(elements.joined(separator: ",\n"))\n\(indent)]"
        case .string: return terminal.green(shown(index))
        default: return shown(index)
        }
    }

    private func shown(_ index: Int) -> String {
        Output.safe(String(decoding: source(index), as: UTF8.self))
    }
}
