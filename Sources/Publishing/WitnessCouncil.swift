package import LedgerFormat
internal import LedgerStorage
package import Platform
internal import Synchronization

/// The witnesses of a policy: shows them checkpoints and collects their cosignatures.
package final class WitnessCouncil: Sendable {
    /// Sends a body to a witness's `add-checkpoint`. Blocks for at most the given duration.
    package typealias Transport =
        @Sendable (_ url: String, _ body: [UInt8], Duration) -> Result<WitnessAnswer, Unreachable>

    package struct Unreachable: Error, Sendable {
        package var reason: String
        package init(_ reason: String) { self.reason = reason }
    }

    private let policy: WitnessPolicy
    private let asked: [WitnessPolicy.Witness]
    private let transport: Transport
    private let volume: any Volume
    private let states: Mutex<[NoteKeyName: WitnessState]>
    /// Why publishing stopped, if it did in an earlier run.
    let alarm: String?

    private struct WitnessState {
        var size = LedgerSize.empty
        var backoff = Backoff(
            from: PublishingLimits.witnessPause, to: PublishingLimits.witnessPauseMax)
        var pausedUntil: ContinuousClock.Instant?
    }

    /// The result of showing one checkpoint to every witness.
    package struct Outcome: Sendable {
        /// The checkpoint with the cosignatures collected.
        package var checkpoint: SignedCheckpoint
        package var cosignatureCount = 0
        package var problems: [String] = []
        package var alarm: String?

        package init(_ checkpoint: SignedCheckpoint) { self.checkpoint = checkpoint }
    }

    package init(
        _ policy: WitnessPolicy, _ volume: any Volume, recent: [SignedCheckpoint],
        _ transport: @escaping Transport
    ) throws(FileFailure) {
        self.policy = policy
        self.volume = volume
        self.transport = transport
        asked = policy.witnesses.filter { $0.url != nil }
        alarm = try Self.keptAlarm(volume)
        var states: [NoteKeyName: WitnessState] = [:]
        for published in recent {
            for signature in published.note.signatures {
                states[signature.key] = WitnessState(size: published.checkpoint.size)
            }
        }
        self.states = Mutex(states)
    }

    var asksNobody: Bool { asked.isEmpty }

    /// Whether enough witnesses have cosigned for the checkpoint to be published.
    func isEnough(_ published: SignedCheckpoint) -> Bool {
        // An invalid cosignature was not accepted from a witness, so it counts as none.
        (try? policy.isSatisfied(by: published.note)) ?? false
    }

    // MARK: Asking

    /// Shows a checkpoint to every witness at once and passes the outcome to `tell`. Does not wait.
    /// `distrust` is called if the tree's files do not yield a valid proof.
    func ask(
        _ published: SignedCheckpoint, files: TreeFiles,
        _ distrust: @escaping @Sendable () -> Void, _ tell: @escaping @Sendable (Outcome) -> Void
    ) {
        let now = ContinuousClock.now
        let ready = asked.filter { witness in
            states.withLock { $0[witness.key.keyName]?.pausedUntil ?? now } <= now
        }
        guard !ready.isEmpty else { return tell(Outcome(published)) }
        let gathering = Monitor((left: ready.count, outcome: Outcome(published)))
        for witness in ready {
            startThread("witness") {
                let action = self.show(published, to: witness, files, distrust)
                let done = gathering.withLock { state in
                    state.outcome.take(action, from: witness)
                    state.left -= 1
                    return state.left == 0 ? state.outcome : nil
                }
                if let done { tell(done) }
            }
        }
    }

    private func show(
        _ published: SignedCheckpoint, to witness: WitnessPolicy.Witness, _ files: TreeFiles,
        _ distrust: () -> Void
    ) -> WitnessExchange.Action {
        let known = states.withLock { $0[witness.key.keyName]?.size ?? .empty }
        var exchange = WitnessExchange(
            published, key: witness.key, oldSize: known, retries: PublishingLimits.witnessRetries)
        let deadline = ContinuousClock.now + PublishingLimits.witnessTime
        var action = WitnessExchange.Action.retry
        while action == .retry {
            guard let hashes = exchange.proof(files) else {
                distrust()
                action = .failed("could not make the proof for it; rebuilding the tree")
                break
            }
            action = once(&exchange, witness, hashes, deadline - .now)
        }
        note(action, witness, published.checkpoint.size)
        return action
    }

    private func once(
        _ exchange: inout WitnessExchange, _ witness: WitnessPolicy.Witness, _ hashes: [Digest],
        _ time: Duration
    ) -> WitnessExchange.Action {
        let body = exchange.body(hashes)
        switch transport(witness.url!, body, max(time, .milliseconds(1))) {
        case .success(let answer): return exchange.take(answer)
        case .failure(let unreachable): return .failed("\(witness.url!): \(unreachable.reason)")
        }
    }

    private func note(
        _ action: WitnessExchange.Action, _ witness: WitnessPolicy.Witness, _ size: LedgerSize
    ) {
        states.withLock { states in
            var state = states[witness.key.keyName] ?? WitnessState()
            switch action {
            case .cosigned: state = WitnessState(size: size)
            case .failed:
                state.pausedUntil = .now + state.backoff.pause()
            case .retry, .fork: break
            }
            states[witness.key.keyName] = state
        }
    }

    // MARK: The alarm

    /// Stores an alarm until an operator removes its file: a restart must not silence it. A crash
    /// before it is durable loses it, but then the witness repeats its answer.
    func keep(_ alarm: String) {
        // If it cannot be stored, the witness gives the same answer after the next start.
        try? volume.replace(LedgerLayout.forkAlarm, with: Array((alarm + "\n").utf8))
    }

    private static func keptAlarm(_ volume: any Volume) throws(FileFailure) -> String? {
        do throws(FileFailure) {
            let text = String(
                decoding: try volume.content(of: LedgerLayout.forkAlarm), as: UTF8.self)
            return text.split(separator: "\n").first.map {
                "\($0) (stored in \(LedgerLayout.forkAlarm); remove it once this is resolved)"
            }
        } catch {
            guard error.isMissing else { throw error }
            return nil
        }
    }
}

extension WitnessCouncil.Outcome {
    fileprivate mutating func take(
        _ action: WitnessExchange.Action, from witness: WitnessPolicy.Witness
    ) {
        switch action {
        case .cosigned(let signature):
            checkpoint.note.add(signature)
            cosignatureCount += 1
        case .failed(let problem): problems.append("\(witness.name): \(problem)")
        case .fork(let problem):
            alarm = "the witness \(witness.name) says that there is another history: \(problem)"
        case .retry: break
        }
    }
}
