internal import LedgerStorage
internal import Publishing

/// The running ledger's state, in words.
extension RunningLedger {
    package var phaseName: String {
        switch phase {
        case .recovering: "recovering"
        case .serving: "serving"
        case .readOnly: "read_only"
        case .broken: "broken"
        case .failed: "failed"
        case .stopped: "stopped"
        }
    }

    /// Why the ledger is not fully ready; empty if it is.
    package var unreadiness: [String] {
        switch phase {
        case .recovering: return ["the ledger is being opened"]
        case .readOnly(.asked): return indexing
        case .readOnly(let reason): return ["read only: \(reason)"]
        case .broken(let failure): return ["appending has stopped: \(failure)"]
        case .failed(let failure): return ["could not be opened: \(failure)"]
        case .stopped: return ["stopped"]
        case .serving:
            let damage = map?.foundDamage.map { "damage was found: \($0)" }
            return indexing + unpublished
                + [modelFailure, clock.warning, room.warning, damage].compactMap(\.self)
        }
    }

    /// A source that cannot be reached is only tried again.
    private var modelFailure: String? {
        guard let service = model?.service else { return nil }
        if let reason = service.waitingFor { return "the read model waits: \(reason)" }
        guard service.needsDecision else { return nil }
        return "the read model has stopped following: \(service.failure ?? "?")"
    }

    private var indexing: [String] {
        guard let map, let index = follower?.progress else { return [] }
        return switch index.phase {
        case .following: []
        case .catchingUp: ["the index is catching up: \(index.size) of \(map.head.size)"]
        case .stalled(let reason, _): ["the index is stalled: \(reason)"]
        }
    }

    private var unpublished: [String] {
        switch publisher?.phase {
        case .publishing where publisher!.isRebuilding: ["the tree is being rebuilt"]
        case nil, .publishing: []
        case .stalled(let reason, _): ["publishing is stalled: \(reason)"]
        case .stopped(let reason): ["nothing is published: \(reason)"]
        }
    }
}

extension IndexFollower.Phase {
    package var name: String {
        switch self {
        case .catchingUp: "catching_up"
        case .following: "following"
        case .stalled: "stalled"
        }
    }
}
