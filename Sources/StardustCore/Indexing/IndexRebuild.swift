package import LedgerFormat
package import LedgerIndex
package import LedgerStorage
internal import Packets
internal import Platform

/// Indexes a long part of the ledger from its segments, on several threads. The part is split into
/// ranges, and each range becomes a run of its own. The index may hold nothing in memory.
///
/// A crash leaves the runs written so far, and the next opening resumes after those it can use.
package final class IndexRebuild: Sendable {
    private let map: LedgerMap
    private let index: TermIndex
    private let goal: LedgerSize
    private let monitor: Monitor<State>

    private struct State {
        /// Where the next range begins.
        var next: UInt64
        /// Runs of finished ranges that must wait for earlier ranges, by their start.
        var finished: [UInt64: [TermIndex.FinishedRun]] = [:]
        var appended: UInt64
        var threads = 0
        var failure: IndexFailure?
        var isStopping = false
    }

    package init(_ map: LedgerMap, _ index: TermIndex, goal: LedgerSize) {
        self.map = map
        self.index = index
        self.goal = goal
        let start = index.size.entries
        monitor = Monitor(State(next: start, appended: start))
    }

    /// Runs up to the goal. `progress` is called at intervals with the size the index reflects, and
    /// returns whether to continue.
    package func run(
        threads: Int = 2, progress: (LedgerSize) -> Bool
    ) throws(IndexFailure) {
        monitor.change { $0.threads = threads }
        for _ in 0..<threads { startThread("reindexer") { self.work() } }
        while true {
            let isDone = monitor.wait(until: .now + LedgerLimits.progressInterval) { state in
                state.threads == 0 ? true : nil
            }
            if !progress(index.size) { monitor.change { $0.isStopping = true } }
            if isDone == true { break }
        }
        if let failure = monitor.withLock({ $0.failure }) { throw failure }
    }

    private func work() {
        do throws(IndexFailure) {
            while !isEnding {
                if try index.merge(isCancelled: { self.isEnding }) { continue }
                guard let range = nextRange() else { break }
                let runs = try runs(of: range)
                if runs.isEmpty { break }
                monitor.change { take(runs, at: range.lowerBound, &$0) }
            }
        } catch { monitor.change { $0.failure = $0.failure ?? error } }
        monitor.change { $0.threads -= 1 }
    }

    private var isEnding: Bool { monitor.withLock { $0.isStopping || $0.failure != nil } }

    private func nextRange() -> Range<UInt64>? {
        monitor.withLock { state in
            guard state.next < goal.entries else { return nil }
            let start = state.next
            state.next = min(start + UInt64(IndexLimits.bufferPackets), goal.entries)
            return start..<state.next
        }
    }

    private func take(
        _ runs: [TermIndex.FinishedRun], at start: UInt64, _ state: inout State
    ) {
        state.finished[start] = runs
        while let next = state.finished.removeValue(forKey: state.appended) {
            for run in next { index.append(run) }
            state.appended = next.last!.range.upperBound
        }
    }

    /// One run, or several if the packets are large. Empty if the rebuild is ending.
    private func runs(of range: Range<UInt64>) throws(IndexFailure) -> [TermIndex.FinishedRun] {
        var scanner = TermScanner(key: index.key)
        var runs: [TermIndex.FinishedRun] = []
        var position = range.lowerBound
        while position < range.upperBound {
            let buffer = TermBuffer(first: Position(position))
            do throws(ReadFailure) {
                try map.walk(from: Position(position)) { record, payload in
                    let isReadable = scanner.scan(record, payload)
                    buffer.add(
                        TermBuffer.Packet(record.entry, hash: record.entryHash), scanner,
                        isReadable: isReadable)
                    return !buffer.isFull && !isEnding
                        && record.entry.position.value + 1 < range.upperBound
                }
            } catch { throw .failed(error.description) }
            if isEnding { return [] }
            runs.append(try index.write(buffer))
            position = buffer.end.value
        }
        return runs
    }
}
