#if PostgreSQL
    internal import Glibc
    internal import LedgerFormat
    internal import Logging
    internal import Platform
    internal import ReadModel
    internal import Synchronization

    /// Follows a slot until it is stopped or fails.
    ///
    /// Invariants:
    ///  1. Whatever is reported to the server is durable here.
    ///  2. Progress without rows is made durable before it is reported, so that a read model older
    ///     than the slot can be recognised.
    final class StreamSession {
        private let stream: ReplicationStream
        private let applier: ChangeApplier
        private let heartbeat: Heartbeat
        private let isStopped: @Sendable () -> Bool
        /// Where to stop after catching up; nil to keep following.
        private let target: LSN?
        /// The position up to which each source transaction is committed by itself.
        private let stepsUntil: LSN
        private let observer: any SyncObserver

        /// The server's position when nothing was pending.
        private var idleLSN = LSN.zero
        private var pendingSince: ContinuousClock.Instant?
        private var lastHeard = ContinuousClock.now
        private var lastSaved = ContinuousClock.now
        private var lastLooked = ContinuousClock.now
        /// Why following will end, and the source's position up to which it goes on.
        private var ending: (ReplicationFailure, LSN)?
        /// The source's position at some moment. It is replaced once we reach it.
        private var milestone = (lsn: LSN.zero, time: Timestamp.systemNow())

        init(
            _ stream: ReplicationStream, _ applier: ChangeApplier, _ heartbeat: Heartbeat,
            until target: LSN?, stepsUntil: LSN, _ observer: any SyncObserver,
            isStopped: @escaping @Sendable () -> Bool
        ) {
            (self.stream, self.applier, self.heartbeat) = (stream, applier, heartbeat)
            (self.target, self.stepsUntil) = (target, stepsUntil)
            (self.observer, self.isStopped) = (observer, isStopped)
        }

        private var writer: ModelWriter { applier.writer }

        func run() throws(ReplicationFailure) {
            defer { applier.rollback() }
            var lastAsked = ContinuousClock.now - .seconds(1)
            while true {
                var hasCome = false
                while let message = try stream.next() {
                    hasCome = true
                    try message.lend { bytes throws(ReplicationFailure) in try take(bytes) }
                    try commitIfDue(isQuiet: false)
                    if isStopped() { break }
                }
                if hasCome {
                    lastHeard = .now
                } else if ContinuousClock.now - lastHeard > ReplicationLimits.silenceMax {
                    throw .connection(
                        "PostgreSQL has said nothing for \(ReplicationLimits.silenceMax)")
                }
                if isStopped() { return try end() }
                try commitIfDue(
                    isQuiet: ContinuousClock.now - lastHeard >= ReplicationLimits.quietTime)
                try saveIdleProgress()
                try lookAtSource()
                if let target {
                    if max(writer.state.lsn, idleLSN) >= target, !applier.hasPending {
                        try checkSource()
                        return try end()
                    }
                    // Unasked, the server only reports its position occasionally.
                    if ContinuousClock.now - lastAsked > ReplicationLimits.wakeInterval {
                        lastAsked = .now
                        try stream.report(applier.reportable, asksForReply: true)
                    }
                }
                try heartbeat.check()
                stream.wait(
                    atMost: pendingSince == nil
                        ? ReplicationLimits.wakeInterval : ReplicationLimits.quietTime)
            }
        }

        private func take(_ bytes: Span<UInt8>) throws(ReplicationFailure) {
            switch try StreamMessage(bytes) {
            case .data(let range, let end):
                writer.state.sourceLSN = max(writer.state.sourceLSN, end)
                try applier.apply(bytes.extracting(range))
                if applier.hasPending, pendingSince == nil { pendingSince = .now }
            case .keepalive(let end, let wantsReply):
                writer.state.sourceLSN = max(writer.state.sourceLSN, end)
                if !applier.isWithinTransaction, !applier.hasPending {
                    try applier.passed(end)
                    heartbeat.durable(applier.reportable)
                    idleLSN = end
                }
                if wantsReply { try stream.report(applier.reportable) }
            }
        }

        /// Commits only between source transactions.
        private func commitIfDue(isQuiet: Bool) throws(ReplicationFailure) {
            guard let since = pendingSince, !applier.isWithinTransaction,
                isQuiet || writer.state.lsn < stepsUntil
                    || applier.rowsPending >= ReplicationLimits.rowsTogether
                    || ContinuousClock.now - since >= ReplicationLimits.timeTogether
            else { return }
            try commit()
        }

        private func commit() throws(ReplicationFailure) {
            let rows = applier.rowsPending
            heartbeat.describe(&writer.state)
            noteLag()
            writer.state.lastError = nil
            // After a crash before this commit, the server sends the transactions again. After a
            // crash between commit and report, it sends them again too, and they are skipped.
            try applier.commit()
            // What is reported is gone at the source: a removed file must not count as durable.
            try checkInUse()
            pendingSince = nil
            lastSaved = .now
            heartbeat.durable(applier.reportable)
            observer.applied(rows, writer.state)
            try stream.report(applier.reportable)
        }

        /// Checks the catalogue periodically. If it shows a change that cannot be followed,
        /// everything up to the source's position at that moment is applied first.
        private func lookAtSource() throws(ReplicationFailure) {
            guard !applier.isWithinTransaction else { return }
            if let (failure, position) = ending {
                guard max(writer.state.lsn, idleLSN) >= position, !applier.hasPending else {
                    return
                }
                throw failure
            }
            guard ContinuousClock.now - lastLooked >= ReplicationLimits.idleInterval else { return }
            lastLooked = .now
            try checkInUse()
            do throws(ReplicationFailure) { try checkSource() } catch {
                guard error.needsResync else { throw error }
                ending = (error, try applier.sourcePosition())
            }
        }

        private func checkInUse() throws(ReplicationFailure) {
            do throws(ModelFailure) { try writer.checkInUse() } catch { throw .model(error) }
        }

        private func checkSource() throws(ReplicationFailure) {
            try applier.checkSource()
            if applier.hasPending, pendingSince == nil { pendingSince = .now }
        }

        private func noteLag() {
            if writer.state.lsn >= milestone.lsn {
                milestone = (writer.state.sourceLSN, .systemNow())
            }
            writer.state.behindSince =
                writer.state.lsn < milestone.lsn ? "\(milestone.time)" : nil
        }

        /// Another database's changes advance the log although they contain nothing of ours.
        private func saveIdleProgress() throws(ReplicationFailure) {
            guard !applier.hasPending, !applier.isWithinTransaction else { return }
            let since = ContinuousClock.now - lastSaved
            let isFar = idleLSN.value >= writer.state.lsn.value &+ ReplicationLimits.idleBytes
            guard isFar || since >= ReplicationLimits.idleInterval else { return }
            lastSaved = .now
            let before = writer.state
            heartbeat.describe(&writer.state)
            guard idleLSN > writer.state.lsn || writer.state != before else { return }
            writer.state.lsn = max(writer.state.lsn, idleLSN)
            try commit()
        }

        /// Ends with every complete transaction durable.
        private func end() throws(ReplicationFailure) {
            guard !applier.isWithinTransaction else { return }
            if !applier.hasPending { writer.state.lsn = max(writer.state.lsn, idleLSN) }
            try commit()
        }
    }
#endif
