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

    /// What may keep a ledger from being fully ready.
    package enum Obstacle: String, CaseIterable, Sendable {
        case opening
        case readOnly = "read_only"
        case broken, failed, stopped, index, publishing, model, clock
        case space, damage
    }

    /// Why the ledger is not fully ready; empty if it is.
    package var unreadiness: [String] { obstacles.map(\.reason) }

    /// The same, with the kind of each.
    package var obstacles: [(kind: Obstacle, reason: String)] {
        switch phase {
        case .recovering: return [(.opening, "the ledger is being opened\(openingProgress)")]
        case .readOnly(.asked): return indexing
        case .readOnly(let reason): return [(.readOnly, "read only: \(reason)")]
        case .broken(let failure): return [(.broken, "appending has stopped: \(failure)")]
        case .failed(let failure): return [(.failed, "could not be opened: \(failure)")]
        case .stopped: return [(.stopped, "stopped")]
        case .serving:
            let damage = map?.foundDamage.map { "damage was found: \($0)" }
            let others: [(Obstacle, String?)] = [
                (.model, modelFailure), (.clock, clock.warning), (.space, room.warning),
                (.damage, damage),
            ]
            return indexing + unpublished
                + others.compactMap { kind, reason in reason.map { (kind, $0) } }
        }
    }

    /// Nothing is appended, although this process was started to.
    package var isUnexpectedlyReadOnly: Bool {
        switch phase {
        case .readOnly(.asked), .recovering, .serving, .stopped: false
        case .readOnly, .broken, .failed: true
        }
    }

    /// A source that cannot be reached is only tried again.
    private var modelFailure: String? {
        guard let service = model?.service else { return nil }
        if let reason = service.waitingFor { return "the read model waits: \(reason)" }
        guard service.needsDecision else { return nil }
        return "the read model has stopped following: \(service.failure ?? "?")"
    }

    private var indexing: [(kind: Obstacle, reason: String)] {
        guard let map, let index = follower?.progress else { return [] }
        return switch index.phase {
        case .following: []
        case .catchingUp: [(.index, "the index is catching up: \(index.size) of \(map.head.size)")]
        case .stalled(let reason, _): [(.index, "the index is stalled: \(reason)")]
        }
    }

    private var unpublished: [(kind: Obstacle, reason: String)] {
        switch publisher?.phase {
        case .publishing where publisher!.isRebuilding:
            [(.publishing, "the tree is being rebuilt")]
        case nil, .publishing: []
        case .stalled(let reason, _): [(.publishing, "publishing is stalled: \(reason)")]
        case .stopped(let reason): [(.publishing, "nothing is published: \(reason)")]
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
