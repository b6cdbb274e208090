internal import Platform
internal import StardustCore
internal import Synchronization

/// Returns memory to the system once clients no longer hold much of it: the allocator keeps what
/// was freed, and many requests at once need far more than the usual ones.
final class MemoryTrimmer: Sendable {
    static let interval: Duration = .seconds(2)
    /// Memory worth returning.
    private static let bytesMin = 16 << 20

    private let context: ServerContext
    /// The most that clients have held since memory was last returned.
    private let peak = Mutex(0)

    init(_ context: ServerContext) { self.context = context }

    /// Looks whether there is something to return. Does not block.
    func look() {
        let budgets = context.budgets
        let held = budgets.used(.bodyBytes) + budgets.used(.answerBytes)
        let isWorthIt = peak.withLock { peak in
            peak = max(peak, held)
            guard peak >= Self.bytesMin, held < peak / 4 else { return false }
            peak = held
            return true
        }
        guard isWorthIt else { return }
        let user = context.ledger.inForce.values.access.ownUser
        let own = budgets.party(uid: user, isPrivileged: true, hasRole: true)
        context.pools[.disk].submit(own) { ProcessMemory.giveBack() }
    }
}
