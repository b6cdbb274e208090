internal import LedgerStorage
internal import Platform

/// Prepares the next segment on its own thread while the newest one fills. If the disk is full, it
/// tries again every second, so that appends resume by themselves.
///
/// A crash leaves at most the unused `next.tmp`, which the next opening discards.
final class SegmentPreparer: Sendable {
    private let volume: any Volume
    private let sizes: @Sendable () -> ClosedRange<Int>
    private let monitor = Monitor(State())

    private struct State {
        var segment = Result.none
        var isWanted = true
        /// Bytes that the next one must have at least.
        var least = 0
        var hasEnded = false

        enum Result {
            case none
            case ready(PreparedSegment)
            /// It still has its temporary name. Another may be prepared only after it is renamed.
            case taken
            case failed(FileFailure)
        }
    }

    /// Each segment is twice as large as the last, within `sizes`; `last` is the newest one's size.
    init(_ volume: any Volume, last: Int, sizes: @escaping @Sendable () -> ClosedRange<Int>) {
        (self.volume, self.sizes) = (volume, sizes)
        startThread("preparer") { self.run(last) }
    }

    /// The next segment, with room for `bytes`. Waits while it is being prepared. Throws at once if that last
    /// failed.
    func take(bytes: Int) throws(FileFailure) -> PreparedSegment {
        let segment = try take()
        if segment.bytes >= bytes { return segment }
        // It was prepared when packets had to be smaller.
        monitor.change { state in (state.segment, state.least) = (.none, bytes) }
        return try take()
    }

    private func take() throws(FileFailure) -> PreparedSegment {
        let segment: Result<PreparedSegment, FileFailure> = monitor.wait { state in
            switch state.segment {
            case .none, .taken: nil
            case .ready(let segment): .success(segment)
            case .failed(let failure): .failure(failure)
            }
        }
        if case .success = segment { monitor.change { $0.segment = .taken } }
        return try segment.get()
    }

    /// The segment that was taken was renamed or given up, so the next one may be prepared.
    func prepareNext() { monitor.change { $0.segment = .none } }

    /// Ends the thread, and gives back the room of a segment that was not used. If the disk is too
    /// slow for that, the next opening does it.
    func stop() {
        monitor.change { $0.isWanted = false }
        let hasEnded = monitor.wait(until: .now + LedgerLimits.preparerPatience) {
            $0.hasEnded ? true : nil
        }
        if hasEnded == true { try? PreparedSegment.discard(volume) }
    }

    private func run(_ last: Int) {
        var bytes = last
        while waitUntilWanted() {
            let made: State.Result
            let usual = StorageLimits.nextSegmentBytes(after: bytes, in: sizes())
            let next = max(usual, monitor.withLock { $0.least })
            do throws(FileFailure) {
                made = .ready(try PreparedSegment(volume, bytes: next))
                bytes = usual
            } catch { made = .failed(error) }
            monitor.change { state in
                state.segment = made
                if case .ready = made { state.least = 0 }
            }
        }
        monitor.change { $0.hasEnded = true }
    }

    /// False if the thread is to end.
    private func waitUntilWanted() -> Bool {
        let retry = ContinuousClock.now + PlatformLimits.retryDelay
        let answer = monitor.wait(until: retry) { state -> Bool? in
            if !state.isWanted { return false }
            if case .none = state.segment { return true }
            return nil
        }
        if let answer { return answer }
        return monitor.wait { state -> Bool? in
            if !state.isWanted { return false }
            switch state.segment {
            case .ready, .taken: return nil
            case .none, .failed: return true
            }
        }
    }
}
