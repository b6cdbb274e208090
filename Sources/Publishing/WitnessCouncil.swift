package import LedgerFormat
internal import LedgerStorage
package import Platform
internal import Synchronization

/// The witnesses of a policy: shows them checkpoints and collects their cosignatures.
package final class WitnessCouncil: Sendable {
    /// Sends a body to a witness's `add-checkpoint`. Blocks for at most the given duration.
    package typealias Transport =
        @Sendable (_ url: String, _ body: [UInt8], Duration) -> Result<PlainAnswer, Unreachable>

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
        var hasCosigned = false
        /// Why it has given no cosignature lately, and since when.
        var error: (text: String, since: Timestamp)?
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
        for published in recent { Self.note(published, of: asked, in: &states) }
        if states.count < asked.count { try Self.readAll(volume, of: asked, into: &states) }
        self.states = Mutex(states)
    }

    /// The council of another policy. What this one knows of a witness, that one knows, too. Blocks on the disk.
    func succeeded(by policy: WitnessPolicy) throws(FileFailure) -> WitnessCouncil {
        let known = states.withLock { $0 }
        return try WitnessCouncil(policy, volume, knowing: known, alarm: alarm, transport)
    }

    private init(
        _ policy: WitnessPolicy, _ volume: any Volume, knowing known: [NoteKeyName: WitnessState],
        alarm: String?, _ transport: @escaping Transport
    ) throws(FileFailure) {
        (self.policy, self.volume, self.transport) = (policy, volume, transport)
        (asked, self.alarm) = (policy.witnesses.filter { $0.url != nil }, alarm)
        var states = known.filter { name, _ in policy.witnesses.contains { $0.key.keyName == name }
        }
        if asked.contains(where: { states[$0.key.keyName] == nil }) {
            try Self.readAll(volume, of: asked, into: &states)
        }
        self.states = Mutex(states)
    }

    private static func note(
        _ published: SignedCheckpoint, of witnesses: [WitnessPolicy.Witness],
        in states: inout [NoteKeyName: WitnessState]
    ) {
        for witness in witnesses {
            let key = witness.key
            guard
                let line = published.note.signatures.first(where: { $0.key == key.keyName }),
                key.accepts(line.payload, of: published.note.text)
            else { continue }
            states[key.keyName] = WitnessState(
                size: published.checkpoint.size, hasCosigned: true)
        }
    }

    /// Looks through all checkpoints for witnesses that have been silent for long.
    private static func readAll(
        _ volume: any Volume, of witnesses: [WitnessPolicy.Witness],
        into states: inout [NoteKeyName: WitnessState]
    ) throws(FileFailure) {
        let silent = witnesses.filter { states[$0.key.keyName] == nil }
        guard try volume.list("").contains(LedgerLayout.checkpoints) else { return }
        var cursor = try CheckpointCursor(volume.open(LedgerLayout.checkpoints, .read))
        while case .record(let record) = try cursor.next() {
            note(record.published, of: silent, in: &states)
        }
    }

    /// What is known of each witness that is asked.
    package var reports: [Report] {
        states.withLock { states in
            asked.map { witness in
                let state = states[witness.key.keyName]
                return Report(
                    name: witness.name, size: state?.size ?? .empty, error: state?.error?.text,
                    since: state?.error?.since)
            }
        }
    }

    package struct Report: Sendable {
        package var name: String
        /// The largest size it has cosigned.
        package var size: LedgerSize
        /// Why it has given no cosignature lately, and since when.
        package var error: String?
        package var since: Timestamp?
    }

    /// Why the policy is not satisfied, in words.
    var missing: String {
        let errors = reports.compactMap { report in
            report.error.map { "\(report.name): \($0), since \(report.since!)" }
        }
        return "the witnesses' quorum is missed. " + errors.joined(separator: "; ")
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
        let known = states.withLock { $0[witness.key.keyName] } ?? WitnessState()
        var exchange = WitnessExchange(
            published, key: witness.key, oldSize: known.size, hasCosigned: known.hasCosigned,
            retries: PublishingLimits.witnessRetries)
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
            case .cosigned: state = WitnessState(size: size, hasCosigned: true)
            case .failed(let problem):
                state.pausedUntil = .now + state.backoff.pause()
                state.error = (problem, state.error?.since ?? .systemNow())
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
