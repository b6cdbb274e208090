internal import Glibc

/// State that several threads share and wait on. Callers do nothing slow while they hold it.
@safe package final class Monitor<State>: @unchecked Sendable {
    // Unchecked: `state` is only touched with `mutex` held. Both pthread objects are allocated so
    // that their address never changes.
    private var state: State
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

    /// Reads the state, or changes it in a way that nobody waits for.
    package func withLock<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return try body(&state)
    }

    /// Changes the state and wakes all waiting threads.
    package func change<Result>(_ body: (inout State) throws -> Result) rethrows -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer {
            unsafe pthread_cond_broadcast(condition)
            unsafe pthread_mutex_unlock(mutex)
        }
        return try body(&state)
    }

    /// Calls `body` now and after each change, until it returns a result.
    package func wait<Result>(_ body: (inout State) -> Result?) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            unsafe pthread_cond_wait(condition, mutex)
        }
    }

    /// Waits until `isOver`, or until an instant if one is given.
    package func wait(atMost deadline: ContinuousClock.Instant?, _ isOver: (inout State) -> Bool) {
        guard let deadline else { return wait { isOver(&$0) ? () : nil } }
        _ = wait(until: deadline) { isOver(&$0) ? () : nil }
    }

    /// Calls `body` likewise, but with a deadline; nil if the deadline passes first.
    package func wait<Result>(
        until deadline: ContinuousClock.Instant, _ body: (inout State) -> Result?
    ) -> Result? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while true {
            if let result = body(&state) { return result }
            var time = timespec(after: deadline - .now)
            if unsafe pthread_cond_timedwait(condition, mutex, &time) == ETIMEDOUT {
                return body(&state)
            }
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
