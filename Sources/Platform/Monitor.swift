internal import Glibc

/// State that several threads share and wait on. Callers do nothing slow while they hold it.
///
/// What is generic is inlinable: unspecialised, it costs the sequencer a twentieth more per packet.
@safe package final class Monitor<State>: @unchecked Sendable {
    // Unchecked: `state` is only touched with `mutex` held. Both pthread objects are allocated so
    // that their address never changes.
    @usableFromInline var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    package init(_ state: State) {
        self.state = state
        // Safety: freshly allocated, initialised here, destroyed in deinit.
        unsafe pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(condition, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(condition)
        unsafe pthread_mutex_destroy(mutex)
        unsafe condition.deallocate()
        unsafe mutex.deallocate()
    }

    @usableFromInline func lock() { unsafe pthread_mutex_lock(mutex) }

    @usableFromInline func unlock() { unsafe pthread_mutex_unlock(mutex) }

    @usableFromInline func wakeAll() { unsafe pthread_cond_broadcast(condition) }

    @usableFromInline func sleep() { unsafe pthread_cond_wait(condition, mutex) }

    /// False if the deadline passed.
    @usableFromInline func sleep(until deadline: ContinuousClock.Instant) -> Bool {
        var time = timespec(after: deadline - .now)
        return unsafe pthread_cond_timedwait(condition, mutex, &time) != ETIMEDOUT
    }

    /// Reads the state, or changes it in a way that nobody waits for.
    @inlinable package func withLock<Result>(
        _ body: (inout State) throws -> Result
    ) rethrows -> Result {
        lock()
        defer { unlock() }
        return try body(&state)
    }

    /// Changes the state and wakes all waiting threads.
    @inlinable package func change<Result>(
        _ body: (inout State) throws -> Result
    ) rethrows -> Result {
        lock()
        defer {
            wakeAll()
            unlock()
        }
        return try body(&state)
    }

    /// Calls `body` now and after each change, until it returns a result.
    @inlinable package func wait<Result>(_ body: (inout State) -> Result?) -> Result {
        lock()
        defer { unlock() }
        while true {
            if let result = body(&state) { return result }
            sleep()
        }
    }

    /// Waits until `isOver`, or until an instant if one is given.
    @inlinable package func wait(
        atMost deadline: ContinuousClock.Instant?, _ isOver: (inout State) -> Bool
    ) {
        guard let deadline else { return wait { isOver(&$0) ? () : nil } }
        _ = wait(until: deadline) { isOver(&$0) ? () : nil }
    }

    /// Calls `body` likewise, but with a deadline; nil if the deadline passes first.
    @inlinable package func wait<Result>(
        until deadline: ContinuousClock.Instant, _ body: (inout State) -> Result?
    ) -> Result? {
        lock()
        defer { unlock() }
        while true {
            if let result = body(&state) { return result }
            if !sleep(until: deadline) { return body(&state) }
        }
    }
}

extension timespec {
    /// The monotonic clock's time after a duration.
    fileprivate init(after duration: Duration) {
        self.init()
        unsafe clock_gettime(CLOCK_MONOTONIC, &self)
        let (seconds, attoseconds) = max(.zero, duration).components
        let nanoseconds = Int(attoseconds / 1_000_000_000) + tv_nsec
        tv_sec += Int(seconds) + nanoseconds / 1_000_000_000
        tv_nsec = nanoseconds % 1_000_000_000
    }
}
