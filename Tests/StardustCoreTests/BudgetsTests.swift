import PipelineWorkload
import StardustCore
import Testing

/// One rule for everything that clients may take.
@Suite struct BudgetsTests {
    private static func budgets(
        total: Int = 100, reserve: Int = 10, floor: Int = 5, strangers: Int? = nil
    ) -> Budgets {
        Budgets { _ in
            Budgets.Terms(total: total, reserve: reserve, floor: floor, strangers: strangers)
        }
    }

    private static func user(_ budgets: Budgets, _ uid: UInt32) -> Budgets.Party {
        budgets.party(uid: uid, isPrivileged: false, hasRole: true)
    }

    @Test func `a lease holds what it takes, and gives all of it back when it ends`() {
        let budgets = Self.budgets()
        let admin = budgets.party(uid: 0, isPrivileged: true, hasRole: true)
        do {
            var first = budgets.lease(.bodyBytes, admin)
            #expect(first.take(60) && first.amount == 60)
            var second = budgets.lease(.bodyBytes, admin)
            let isRefused = !second.take(41)
            #expect(isRefused && second.amount == 0 && budgets.used(.bodyBytes) == 60)
            #expect(budgets.refused(.bodyBytes) == 1 && budgets.used(.jobs) == 0)
            let fits = second.take(40)
            #expect(fits && budgets.used(.bodyBytes) == 100)
            first.give(back: 10)
            #expect(first.amount == 50 && budgets.used(.bodyBytes) == 90)
        }
        #expect(budgets.used(.bodyBytes) == 0)
    }

    @Test func `what has arrived counts beyond the limit, and says that there is no room`() {
        let budgets = Self.budgets()
        let admin = budgets.party(uid: 0, isPrivileged: true, hasRole: true)
        var stream = budgets.lease(.bodyBytes, admin)
        let (within, beyond) = (stream.add(100), stream.add(1))
        #expect(within && !beyond && budgets.used(.bodyBytes) == 101 && !stream.hasRoom)
        let single = budgets.lease(.bodyBytes, admin)
        #expect(stream.othersLeaveRoom && !single.othersLeaveRoom)
        stream.give(back: 101)
        #expect(stream.hasRoom && budgets.used(.bodyBytes) == 0)
    }

    @Test func `one user leaves room for the next, and everybody for the administrator`() {
        let budgets = Self.budgets()
        var leases: [HeldForTest] = []
        // Equal shares of 90 beside one newcomer: 45, 30, 22, …
        for (uid, share) in [(1, 45), (2, 30), (3, 15)] {
            let held = HeldForTest(budgets.lease(.jobs, Self.user(budgets, UInt32(uid))))
            var taken = 0
            while held.take(1) { taken += 1 }
            #expect(taken == share, "user \(uid)")
            leases.append(held)
        }
        let admin = budgets.party(uid: 0, isPrivileged: true, hasRole: true)
        var own = budgets.lease(.jobs, admin)
        let (fits, isTooMuch) = (own.take(10), own.take(1))
        #expect(fits && !isTooMuch)
    }

    @Test func `users without a role are one party with a bound of its own`() {
        let budgets = Self.budgets(strangers: 3)
        var leases: [HeldForTest] = []
        var taken = 0
        for uid in 100..<110 {
            let party = budgets.party(uid: UInt32(uid), isPrivileged: false, hasRole: false)
            let held = HeldForTest(budgets.lease(.connections, party))
            if held.take(1) { taken += 1 }
            leases.append(held)
        }
        #expect(taken == 3)
    }

    @Test func `nobody below the floor is refused while there is room, and all comes back`() {
        let budgets = Self.budgets(total: 1000, reserve: 50, floor: 20)
        var generator = SeededGenerator(seed: 3)
        var held: [UInt32: HeldForTest] = [:]
        for _ in 0..<20_000 {
            let uid = UInt32.random(in: 1...12, using: &generator)
            let lease =
                held[uid] ?? HeldForTest(budgets.lease(.answerBytes, Self.user(budgets, uid)))
            held[uid] = lease
            let amount = Int.random(in: 1...60, using: &generator)
            if Bool.random(using: &generator) {
                let isSmall = lease.amount + amount <= 20
                let hasRoom = budgets.used(.answerBytes) + amount <= 950
                let isTaken = lease.take(amount)
                #expect(isTaken || !(isSmall && hasRoom))
            } else {
                lease.give(back: min(amount, lease.amount))
            }
            #expect(budgets.used(.answerBytes) <= 950)
            #expect(budgets.used(.answerBytes) == held.values.reduce(0) { $0 + $1.amount })
        }
        held = [:]
        #expect(budgets.used(.answerBytes) == 0)
    }
}

/// A lease in an array.
private final class HeldForTest {
    private var lease: Budgets.Lease

    init(_ lease: consuming Budgets.Lease) { self.lease = lease }

    var amount: Int { lease.amount }
    func take(_ count: Int) -> Bool { lease.take(count) }
    func give(back count: Int) { lease.give(back: count) }
}
