internal import StardustCore

/// A lease that several closures share. Used on one event loop.
final class HeldLease {
    private var lease: Budgets.Lease?

    init(_ lease: consuming Budgets.Lease) { self.lease = consume lease }

    func take(_ amount: Int) -> Bool { lease?.take(amount) ?? false }

    /// Gives everything back.
    func end() { lease = nil }
}
