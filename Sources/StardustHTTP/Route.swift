internal import LedgerFormat
internal import NIOHTTP1
internal import NIOPosix
internal import Reconstruction

/// What a request asks for, from its method and path alone.
enum Route: Hashable {
    case emit
    case packet(UUID128, isRaw: Bool)
    case entry(Position, isRaw: Bool)
    case entityPackets(type: String, id: UUID128)
    case tracePackets(UUID128)
    case find
    case parents(UUID128)
    case children(UUID128)
    case chain(ChainTarget)
    case follow
    case checkpoint
    case proof(UUID128)
    case entryProof(Position)
    case consistency
    case tile(Tile)
    case modelChanges
    case modelRows(String, isView: Bool)
    case modelRow(table: String, id: UUID128)
    case modelSQL
    case modelStatus, modelDrift
    case status, livez, readyz, metrics, openapi

    /// The role that it needs; nil for anyone who can connect.
    var role: Role? {
        switch self {
        case .emit: .append
        case .packet, .entityPackets, .tracePackets, .find, .parents, .children, .chain, .follow,
            .modelRows, .modelRow, .modelSQL, .modelStatus, .modelDrift:
            .read
        case .entry, .checkpoint, .proof, .entryProof, .consistency, .tile: .audit
        case .status, .metrics, .modelChanges: .admin
        case .livez, .readyz, .openapi: nil
        }
    }

    /// Whether it is answered without touching a disk.
    var isImmediate: Bool {
        switch self {
        case .status, .livez, .readyz, .checkpoint, .openapi: true
        default: false
        }
    }

    /// Whether a short answer may be given on the event loop.
    var isQuick: Bool {
        switch self {
        // A follower's answer has no end; checkpoints are paced; some wait for the index or more.
        case .emit, .follow, .checkpoint, .modelChanges, .modelSQL: false
        default: true
        }
    }

    /// Where it is answered when it blocks.
    func pool(_ pools: ThreadPools) -> NIOThreadPool {
        switch self {
        // Until the index has followed, for a checkpoint, or for SQLite.
        case .entityPackets, .tracePackets, .find, .children, .parents, .chain, .follow, .proof,
            .entryProof, .consistency, .modelRows, .modelRow, .modelStatus, .metrics:
            pools.waiting
        case .modelDrift: pools.drift
        default: pools.quick
        }
    }

    /// Reads method and path; the problem says what was wrong with them.
    static func parse(_ method: HTTPMethod, path: Substring) -> Result<Route, Problem> {
        let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .dropFirst().map(Substring.init)
        let route: Route
        switch find(parts) {
        case .failure(let problem): return .failure(problem)
        case .success(let found): route = found
        }
        let isReading = method == .GET || method == .HEAD
        if route == .find, method == .POST { return .success(.emit) }
        let isPosted = route == .modelChanges || route == .modelSQL
        if isPosted ? method == .POST : isReading { return .success(route) }
        let allowed =
            isPosted ? "POST" : route == .find ? "GET, HEAD, POST" : "GET, HEAD"
        var problem = Problem(
            405, "method_not_allowed", "\(path) takes \(allowed), not \(method.rawValue)")
        problem.allow = allowed
        return .failure(problem)
    }

    private static func find(_ parts: [Substring]) -> Result<Route, Problem> {
        switch parts.count {
        case 1:
            switch parts[0] {
            case "livez": return .success(.livez)
            case "readyz": return .success(.readyz)
            case "metrics": return .success(.metrics)
            case "checkpoint": return .success(.checkpoint)
            case "openapi.yaml": return .success(.openapi)
            default: return .failure(.notFound)
            }
        case 3... where parts[0] == "tile":
            return Tile(path: parts.dropFirst()).map { .success(.tile($0)) }
                ?? .failure(.notATile)
        case 2...5 where parts[0] == "v1":
            switch parts[1] {
            case "checkpoint" where parts.count == 2: return .success(.checkpoint)
            case "proofs" where parts.count == 3 && parts[2] == "consistency":
                return .success(.consistency)
            case "status" where parts.count == 2: return .success(.status)
            case "follow" where parts.count == 2: return .success(.follow)
            case "packets": return packets(parts.dropFirst(2))
            case "entries": return entries(parts.dropFirst(2))
            case "entities": return entities(parts.dropFirst(2))
            case "traces": return traces(parts.dropFirst(2))
            case "model": return model(Array(parts.dropFirst(2)))
            default: break
            }
        default: break
        }
        return .failure(.notFound)
    }

    private static func packets(_ parts: ArraySlice<Substring>) -> Result<Route, Problem> {
        guard let text = parts.first else { return .success(.find) }
        guard let id = UUID128(text) else { return .failure(.notAUUID(text)) }
        switch Array(parts.dropFirst()) {
        case []: return .success(.packet(id, isRaw: false))
        case ["raw"]: return .success(.packet(id, isRaw: true))
        case ["parents"]: return .success(.parents(id))
        case ["children"]: return .success(.children(id))
        case ["chain"]: return .success(.chain(.packet(id)))
        case ["proof"]: return .success(.proof(id))
        default: return .failure(.notFound)
        }
    }

    private static func entities(_ parts: ArraySlice<Substring>) -> Result<Route, Problem> {
        let parts = Array(parts)
        guard parts.count == 3, ["packets", "chain"].contains(parts[2]) else {
            return .failure(.notFound)
        }
        guard let id = UUID128(parts[1]) else { return .failure(.notAUUID(parts[1])) }
        let type = String(parts[0])
        return .success(
            parts[2] == "chain"
                ? .chain(.entity(type, id)) : .entityPackets(type: type, id: id))
    }

    private static func traces(_ parts: ArraySlice<Substring>) -> Result<Route, Problem> {
        let parts = Array(parts)
        guard parts.count == 2, ["packets", "chain"].contains(parts[1]) else {
            return .failure(.notFound)
        }
        guard let id = UUID128(anyText: Array(parts[0].utf8).span) else {
            return .failure(
                Problem(
                    400, "bad_id",
                    "\(parts[0]) is not a trace id: a UUID, or 32 hexadecimal digits"))
        }
        return .success(parts[1] == "chain" ? .chain(.trace(id)) : .tracePackets(id))
    }

    private static func model(_ parts: [Substring]) -> Result<Route, Problem> {
        switch (parts.first, parts.count) {
        case ("changes", 1): return .success(.modelChanges)
        case ("sql", 1): return .success(.modelSQL)
        case ("status", 1): return .success(.modelStatus)
        case ("drift", 1): return .success(.modelDrift)
        case ("tables", 2): return .success(.modelRows(String(parts[1]), isView: false))
        case ("views", 2): return .success(.modelRows(String(parts[1]), isView: true))
        case ("tables", 3):
            guard let id = UUID128(parts[2]) else { return .failure(.notAUUID(parts[2])) }
            return .success(.modelRow(table: String(parts[1]), id: id))
        default: return .failure(.notFound)
        }
    }

    private static func entries(_ parts: ArraySlice<Substring>) -> Result<Route, Problem> {
        guard let text = parts.first else { return .failure(.notFound) }
        guard let value = UInt64(canonical: text.utf8) else {
            return .failure(
                Problem(400, "bad_position", "\(text) is not a position: a number from 0 on"))
        }
        switch Array(parts.dropFirst()) {
        case []: return .success(.entry(Position(value), isRaw: false))
        case ["raw"]: return .success(.entry(Position(value), isRaw: true))
        case ["proof"]: return .success(.entryProof(Position(value)))
        default: return .failure(.notFound)
        }
    }
}

extension Problem {
    fileprivate static let notATile = Problem(
        404, "not_found",
        "this is not the path of a tile, as in /tile/0/x001/067 or /tile/entries/000.p/12")

    fileprivate static func notAUUID(_ text: Substring) -> Problem {
        Problem(400, "bad_id", "\(text) is not a UUID: 8-4-4-4-12 hexadecimal digits")
    }
}
