internal import LedgerFormat
internal import LedgerIndex
internal import LedgerStorage
internal import Logging
internal import Packets
internal import Platform
internal import Publishing
internal import Synchronization

/// The only thread that appends. It takes the packets that arrived while the disk was busy, assigns
/// each a position, makes them durable with one fdatasync, and only then answers.
struct Sequencer: ~Copyable {
    private var writer: LedgerWriter
    private let inbox: Inbox
    private let preparer: SegmentPreparer
    private let follower: IndexFollower
    private let publisher: Publisher
    private let metrics: Metrics
    private let logger: Logger
    private var generator = SystemRandomNumberGenerator()

    /// Outcomes of the current submissions, and how many of them are final.
    private var outcomes: [AppendOutcome] = []
    private var settled = 0
    /// Packets staged since the last commit.
    private var fresh: [FreshPacket] = []
    /// Their payload bytes.
    private var stagedPayloadBytes = 0
    private var size = LedgerSize.empty
    private let clock: ClockState
    private let room: DiskRoom
    /// Whether the last entry kept the time of the one before.
    private var isHeldBack = false
    private var isTooFarAhead = false
    private var age: SegmentAge
    private let leaver: SegmentLeaver?

    init(
        writer: consuming LedgerWriter, size: LedgerSize, inbox: Inbox, preparer: SegmentPreparer,
        follower: IndexFollower, publisher: Publisher, metrics: Metrics, logger: Logger,
        clock: ClockState, room: DiskRoom, age: SegmentAge,
        leaver: SegmentLeaver?
    ) {
        self.leaver = leaver
        self.age = age
        self.writer = writer
        self.size = size
        self.inbox = inbox
        self.preparer = preparer
        self.follower = follower
        self.publisher = publisher
        self.metrics = metrics
        self.logger = logger
        self.clock = clock
        self.room = room
    }

    /// Runs until the inbox is closed and empty, then marks the ledger as closed. If a failed sync
    /// ended it earlier, returns that: nothing may be written afterwards.
    consuming func run() -> RunningLedger.RunFailure? {
        while true {
            guard let submissions = inbox.take(until: age.deadline) else {
                if let failure = sealAgedSegment() { return .sync(failure) }
                continue
            }
            if submissions.isEmpty { break }
            let refusal =
                follower.awaitNearness(to: size) ?? publisher.noSpace.map(AppendRefusal.noSpace)
                ?? leaver?.refusal.map(AppendRefusal.archiveBehind)
            if let refusal {
                for submission in submissions { refuse(submission, refusal) }
                continue
            }
            if let failure = append(submissions) { return .sync(failure) }
        }
        // A copy by hard links that was made since the last batch would hold up the next start.
        if let failure = leaveSharedSegment() { logger.log(.rollFailed, "\(failure)") }
        // The prepared segment gives its room back: on a full disk the marker needs it.
        preparer.stop()
        // A crash before the marker is durable leaves the old marker, which is still true.
        do throws(FileFailure) { try writer.writeCloseMarker() } catch { return .marker(error) }
        return nil
    }

    private func refuse(_ submission: Submission, _ refusal: AppendRefusal) {
        submission.completion(submission.packets.map { _ in .refused(refusal) })
    }

    private mutating func append(_ submissions: [Submission]) -> FileFailure? {
        outcomes.removeAll(keepingCapacity: true)
        settled = 0
        let now = clock.now
        if let refusal = clockRefusal(now) {
            for submission in submissions { refuse(submission, refusal) }
            return nil
        }
        if let failure = leaveSharedSegment() {
            for submission in submissions { refuse(submission, refusal(failure)) }
            switch failure {
            case .broken(let cause): return cause
            // What is written from now on would be lost.
            case .failed(let cause) where cause.isMoved: return cause
            case .failed, .noSpace: return nil
            }
        }
        var broken: FileFailure?
        for submission in submissions {
            for packet in submission.packets {
                guard broken == nil else {
                    outcomes.append(.refused(.outcomeUnknown("\(broken!)")))
                    continue
                }
                broken = append(packet, of: submission, now: now)
            }
        }
        if broken == nil { broken = commit() }
        answer(submissions)
        return broken
    }

    /// Stages one packet. If the segment is full, rolls to the next one first.
    private mutating func append(
        _ packet: Submission.Packet, of submission: Submission, now: Timestamp
    ) -> FileFailure? {
        do throws(LedgerWriter.Failure) {
            if !writer.hasRoom(payloadBytes: packet.range.count) {
                if let broken = commit() {
                    outcomes.append(.refused(.outcomeUnknown("\(broken)")))
                    return broken
                }
                try roll(forPayload: packet.range.count)
            }
            let draft = LedgerWriter.Draft(
                stardustID: packet.facts.stardustID, createdAt: packet.facts.createdAt,
                payloadDigest: packet.digest, peer: submission.peer)
            let staged = try writer.stage(
                draft, payload: submission.bytes.span.extracting(packet.range), now: now,
                using: &generator)
            note(staged, packet, of: submission)
            return nil
        } catch {
            outcomes.append(.refused(refusal(error)))
            if case .broken(let failure) = error { return failure }
            return nil
        }
    }

    private mutating func note(
        _ staged: LedgerWriter.Staged, _ packet: Submission.Packet, of submission: Submission
    ) {
        switch staged {
        case .present(let position): outcomes.append(.present(position))
        case .appended(let entry, let hash):
            outcomes.append(.appended(Receipt(entry, hash: hash)))
            stagedPayloadBytes += packet.range.count
            fresh.append(
                FreshPacket(
                    place: TermBuffer.Packet(entry, hash: hash), bytes: submission.bytes,
                    range: packet.range))
            noteClock(entry)
        }
    }

    private mutating func clockRefusal(_ now: Timestamp) -> AppendRefusal? {
        let reason = clock.refusal(now)
        if let reason, !isTooFarAhead { logger.log(.clockAhead, "\(reason)") }
        isTooFarAhead = reason != nil
        return reason.map(AppendRefusal.clockAhead)
    }

    private mutating func noteClock(_ entry: Entry) {
        clock.note(entry.receivedAt)
        let wasHeldBack = isHeldBack
        isHeldBack = entry.flags.contains(.clockHeldBack)
        guard isHeldBack else { return }
        metrics.clockHeldBack.add()
        if !wasHeldBack {
            logger.log(
                .clockSetBack, "the clock was set back: entries keep the time \(entry.receivedAt)")
        }
    }

    /// Goes on in a new segment if a copy by hard links (`cp -al`) has come to share this one.
    /// After a failure nothing may be written.
    private mutating func leaveSharedSegment() -> LedgerWriter.Failure? {
        do throws(LedgerWriter.Failure) {
            do throws(FileFailure) { guard try writer.isShared else { return nil } } catch {
                throw .failed(error)
            }
            logger.log(
                .segmentShared,
                "a copy by hard links shares the newest segment; going on in a new one")
            try roll()
            return nil
        } catch { return error }
    }

    /// Goes on in a new segment, because this one is so old that it is to be archived whole.
    private mutating func sealAgedSegment() -> FileFailure? {
        do throws(LedgerWriter.Failure) { try roll() } catch {
            if case .broken(let failure) = error { return failure }
            logger.log(
                .sealingFailed, "the newest segment is to be sealed, and cannot be: \(error)")
            age.isTried()
        }
        return nil
    }

    /// Goes on in a new segment, which has room for a payload of so many bytes.
    private mutating func roll(forPayload count: Int = 0) throws(LedgerWriter.Failure) {
        let bytes = StorageLimits.segmentBytesMin(payloadBytes: count)
        var prepared: PreparedSegment
        do throws(FileFailure) {
            prepared = try preparer.take(bytes: bytes)
            if try prepared.file.linkCount() > 1 {
                preparer.prepareNext()
                prepared = try preparer.take(bytes: bytes)
            }
        } catch {
            throw error.isNoSpace ? .noSpace(error) : .failed(error)
        }
        defer { preparer.prepareNext() }
        try writer.roll(into: prepared)
        age.isSealed()
        metrics.segmentsRolled.add()
    }

    // MARK: Committing

    /// Makes the staged packets durable, or turns their outcomes into refusals.
    private mutating func commit() -> FileFailure? {
        defer {
            settled = outcomes.count
            fresh.removeAll(keepingCapacity: true)
            stagedPayloadBytes = 0
        }
        let count = writer.stagedCount
        guard count > 0 else { return nil }
        let start = ContinuousClock.now
        // A crash during this leaves any part of the batch, but no packet in it was acknowledged.
        // Opening keeps the leading intact records and cuts the rest.
        do throws(LedgerWriter.Failure) { try writer.commit() } catch {
            // Packets refused before the write keep their own reason.
            for index in settled..<outcomes.count {
                if case .refused = outcomes[index] { continue }
                outcomes[index] = .refused(refusal(error))
            }
            if case .broken(let failure) = error { return failure }
            return nil
        }
        if let repair = writer.takeRepair() {
            logger.log(.tornTailCut, "\(repair)")
            metrics.tornTailsCut.add()
        }
        // Durable, but not yet answered: after a crash here a retry finds each id in the ledger.
        // The tree and the index read the entries back from the segments.
        metrics.commitSeconds.add(ContinuousClock.now - start)
        metrics.batches.add()
        room.isThere()
        age.hasEntries()
        metrics.packetsAppended.add(count)
        metrics.payloadBytes.add(stagedPayloadBytes)
        publisher.add(fresh.map(\.place.entryHash), from: size.nextPosition)
        size.entries += UInt64(count)
        metrics.ledgerSize.set(Int(size.entries))
        follower.add(fresh)
        return nil
    }

    private func refusal(_ failure: LedgerWriter.Failure) -> AppendRefusal {
        switch failure {
        case .noSpace:
            room.isLacking(failure.description)
            return .noSpace(failure.description)
        case .failed: return .failed(failure.description)
        case .broken: return .outcomeUnknown(failure.description)
        }
    }

    private func answer(_ submissions: [Submission]) {
        var first = 0
        for submission in submissions {
            let end = first + submission.packets.count
            submission.completion(Array(outcomes[first..<end]))
            first = end
        }
    }
}
