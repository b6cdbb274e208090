internal import LedgerStorage
internal import Platform

/// Makes the next segment while the newest fills, on a thread of its own. On a full disk it tries
/// again once a second, so that appends resume by themselves.
final class SegmentPreparer: Sendable {
    private let volume: any Volume
    private let segmentBytes: Int
    private let monitor = Monitor(State())

    private struct State {
        var segment = Result.none
        var isWanted = true

        enum Result {
            case none
            case ready(PreparedSegment)
            /// Under its first name still: another may be made only when it has its own.
            case taken
            case failed(FileFailure)
        }
    }

    init(_ volume: any Volume, segmentBytes: Int) {
        self.volume = volume
        self.segmentBytes = segmentBytes
        startThread("preparer") { self.run() }
    }

    /// The next segment. Waits while it is being made; throws at once where that last failed.
    func take() throws(FileFailure) -> PreparedSegment {
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

    /// The segment that was taken is in its place, or was given up: the next one may be made.
    func prepareNext() { monitor.change { $0.segment = .none } }

    /// Ends the thread in its time; a prepared segment stays for the next opening to discard.
    func stop() { monitor.change { $0.isWanted = false } }

    private func run() {
        while waitUntilWanted() {
            let made: State.Result
            do throws(FileFailure) {
                made = .ready(try PreparedSegment(volume, bytes: segmentBytes))
            } catch { made = .failed(error) }
            monitor.change { $0.segment = made }
        }
    }

    /// False when it is time to end.
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
