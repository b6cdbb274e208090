internal import LedgerFormat
internal import NIOHTTP1

/// What a request asks for, from its method and path alone.
enum Route: Hashable {
    case emit
    case packet(UUID128, isRaw: Bool)
    case entry(Position, isRaw: Bool)
    case entityPackets(type: String, id: UUID128)
    case status, livez, readyz, metrics

    /// The role that it needs; nil for anyone who can connect.
    var role: Role? {
        switch self {
        case .emit: .append
        case .packet, .entityPackets: .read
        case .entry: .audit
        case .status, .metrics: .admin
        case .livez, .readyz: nil
        }
    }

    /// Whether it is answered without touching a disk.
    var isImmediate: Bool {
        switch self {
        case .status, .livez, .readyz, .metrics: true
        case .emit, .packet, .entry, .entityPackets: false
        }
    }

    var needsIndex: Bool { if case .entityPackets = self { true } else { false } }

    /// Reads method and path; the problem says what was wrong with them.
    static func parse(_ method: HTTPMethod, path: Substring) -> Result<Route, Problem> {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        let route: Route
        switch find(Array(parts)) {
        case .failure(let problem): return .failure(problem)
        case .success(let found): route = found
        }
        let allowed: HTTPMethod = route == .emit ? .POST : .GET
        if method == allowed || (method == .HEAD && allowed == .GET) { return .success(route) }
        var problem = Problem(
            405, "method_not_allowed", "\(path) takes \(allowed.rawValue), not \(method.rawValue)")
        problem.allow = allowed == .GET ? "GET, HEAD" : allowed.rawValue
        return .failure(problem)
    }

    private static func find(_ parts: [Substring]) -> Result<Route, Problem> {
        switch parts.count {
        case 1:
            switch parts[0] {
            case "livez": return .success(.livez)
            case "readyz": return .success(.readyz)
            case "metrics": return .success(.metrics)
            default: return .failure(.notFound)
            }
        case 2 where parts[0] == "v1" && parts[1] == "packets": return .success(.emit)
        case 2 where parts[0] == "v1" && parts[1] == "status": return .success(.status)
        case 3, 4:
            guard parts[0] == "v1", parts.count == 3 || parts[3] == "raw" else { break }
            if parts[1] == "packets" { return packet(parts[2], isRaw: parts.count == 4) }
            if parts[1] == "entries" { return entry(parts[2], isRaw: parts.count == 4) }
        case 5 where parts[0] == "v1" && parts[1] == "entities" && parts[4] == "packets":
            guard let id = UUID128(parts[3]) else { return .failure(.notAUUID(parts[3])) }
            return .success(.entityPackets(type: String(parts[2]), id: id))
        default: break
        }
        return .failure(.notFound)
    }

    private static func packet(_ text: Substring, isRaw: Bool) -> Result<Route, Problem> {
        guard let id = UUID128(text) else { return .failure(.notAUUID(text)) }
        return .success(.packet(id, isRaw: isRaw))
    }

    private static func entry(_ text: Substring, isRaw: Bool) -> Result<Route, Problem> {
        guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = UInt64(text) else {
            return .failure(
                Problem(400, "bad_position", "\(text) is not a position: a number from 0 on"))
        }
        return .success(.entry(Position(value), isRaw: isRaw))
    }
}

extension Problem {
    fileprivate static func notAUUID(_ text: Substring) -> Problem {
        Problem(400, "bad_id", "\(text) is not a UUID: 8-4-4-4-12 hexadecimal digits")
    }
}
