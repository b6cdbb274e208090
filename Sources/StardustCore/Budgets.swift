internal import Synchronization

/// Everything that clients may take of the daemon, over all connections: one table, one rule.
///
/// A *party* is all connections of one user; those of users without any role are one party. Whoever
/// may administer the daemon is *privileged*: the reserve is for them, and no share limits them.
///
/// What others hold in total leaves the reserve free. A party holds at most its equal share beside
/// one more newcomer, or the floor if that is larger, so that the next party always finds room.
package final class Budgets: Sendable {
    package enum Resource: Int, CaseIterable, Sendable {
        /// Open connections.
        case connections
        /// Bytes of request bodies that were received and are not yet answered.
        case bodyBytes
        /// Bytes of answers that were made and are not yet taken, and lines kept for later.
        case answerBytes
        /// Queries that wait for a thread or occupy one.
        case jobs
        /// Connections that follow the ledger.
        case followers

        /// Its name in metrics.
        package var name: String {
            switch self {
            case .connections: "connections"
            case .bodyBytes: "body_bytes"
            case .answerBytes: "answer_bytes"
            case .jobs: "jobs"
            case .followers: "followers"
            }
        }
    }

    package struct Terms: Hashable, Sendable {
        package var total: Int
        /// Left to whoever may administer the daemon.
        package var reserve: Int
        /// What every party may hold as long as the total allows.
        package var floor: Int
        /// The most that all users without any role hold together; nil for a party like others.
        package var strangers: Int?

        package init(total: Int, reserve: Int, floor: Int, strangers: Int? = nil) {
            (self.total, self.reserve, self.floor) = (total, reserve, floor)
            self.strangers = strangers
        }
    }

    private let terms: @Sendable (Resource) -> Terms
    private let state: Mutex<State>

    private struct State {
        var used: [Int]
        /// How many parties hold any of a resource.
        var holders: [Int]
        var refused: [Int]
        var parties: [UInt32: Party] = [:]
        let strangers = Party(kind: .stranger)
    }

    /// Whose connections share what they take. Its amounts change only with the budgets' lock held.
    package final class Party: @unchecked Sendable {
        // Unchecked: `held` is only touched with the lock of `Budgets.state` held.
        fileprivate let kind: Kind
        fileprivate var held = [Int](repeating: 0, count: Resource.allCases.count)

        fileprivate enum Kind { case privileged, user, stranger }

        /// Whether no share limits it.
        package var isPrivileged: Bool { kind == .privileged }

        /// Whether it stands for all users without a role.
        package var isStrangers: Bool { kind == .stranger }

        fileprivate init(kind: Kind) { self.kind = kind }

        fileprivate var isIdle: Bool { held.allSatisfy { $0 == 0 } }
    }

    /// `terms` has the terms of each resource at any time.
    package init(_ terms: @escaping @Sendable (Resource) -> Terms) {
        self.terms = terms
        let none = [Int](repeating: 0, count: Resource.allCases.count)
        state = Mutex(State(used: none, holders: none, refused: none))
    }

    package func terms(of resource: Resource) -> Terms { terms(resource) }
    package func used(_ resource: Resource) -> Int { state.withLock { $0.used[resource.rawValue] } }
    package func refused(_ resource: Resource) -> Int {
        state.withLock { $0.refused[resource.rawValue] }
    }

    /// The party of a connection. Once none of its connections holds anything, it is forgotten.
    package func party(uid: UInt32, isPrivileged: Bool, hasRole: Bool) -> Party {
        state.withLock { state in
            if !isPrivileged && !hasRole { return state.strangers }
            let kind: Party.Kind = isPrivileged ? .privileged : .user
            // With other roles a user is another party; what the old one holds goes on to count.
            if let known = state.parties[uid], known.kind == kind { return known }
            if state.parties.count > Self.partiesKept {
                state.parties = state.parties.filter { !$0.value.isIdle }
            }
            let made = Party(kind: kind)
            state.parties[uid] = made
            return made
        }
    }

    private static let partiesKept = 256

    // MARK: Taking

    /// Takes an amount; false if there is no room for it.
    fileprivate func take(_ amount: Int, _ resource: Resource, _ party: Party) -> Bool {
        let (index, terms) = (resource.rawValue, terms(resource))
        return state.withLock { state in
            guard Self.hasRoom(amount, index, terms, party, state) else {
                state.refused[index] += 1
                return false
            }
            Self.add(amount, index, party, &state)
            return true
        }
    }

    /// Counts an amount that was already taken. Returns whether there was room for it.
    fileprivate func add(_ amount: Int, _ resource: Resource, _ party: Party) -> Bool {
        let (index, terms) = (resource.rawValue, terms(resource))
        return state.withLock { state in
            let hadRoom = Self.hasRoom(amount, index, terms, party, state)
            Self.add(amount, index, party, &state)
            return hadRoom
        }
    }

    fileprivate func give(back amount: Int, _ resource: Resource, _ party: Party) {
        guard amount > 0 else { return }
        state.withLock { Self.add(-amount, resource.rawValue, party, &$0) }
    }

    /// Whether there would be room for `amount` more if the party held `less` of what it holds.
    fileprivate func hasRoom(
        for amount: Int, without less: Int, _ resource: Resource, _ party: Party
    ) -> Bool {
        let (index, terms) = (resource.rawValue, terms(resource))
        return state.withLock { state in
            Self.hasRoom(amount - less, index, terms, party, state)
        }
    }

    private static func add(_ amount: Int, _ index: Int, _ party: Party, _ state: inout State) {
        let before = party.held[index]
        party.held[index] += amount
        state.used[index] += amount
        if before == 0, amount > 0 { state.holders[index] += 1 }
        if before > 0, party.held[index] == 0 { state.holders[index] -= 1 }
    }

    private static func hasRoom(
        _ amount: Int, _ index: Int, _ terms: Terms, _ party: Party, _ state: State
    ) -> Bool {
        let (used, held) = (state.used[index] + amount, party.held[index] + amount)
        if party.kind == .privileged { return used <= terms.total }
        let open = terms.total - terms.reserve
        guard used <= open else { return false }
        if party.kind == .stranger, let most = terms.strangers { return held <= most }
        let others = state.holders[index] - (party.held[index] > 0 ? 1 : 0)
        return held <= max(terms.floor, open / (others + 2))
    }
}

extension Budgets {
    /// An amount of one resource that one connection holds. What is left of it is given back when
    /// it ends, however its request ends.
    package struct Lease: ~Copyable, Sendable {
        private let budgets: Budgets
        private let resource: Resource
        private let party: Party
        package private(set) var amount = 0

        fileprivate init(_ budgets: Budgets, _ resource: Resource, _ party: Party) {
            (self.budgets, self.resource, self.party) = (budgets, resource, party)
        }

        deinit { budgets.give(back: amount, resource, party) }

        /// Takes more; false if there is no room, and then nothing is taken.
        package mutating func take(_ more: Int) -> Bool {
            guard budgets.take(more, resource, party) else { return false }
            amount += more
            return true
        }

        /// Counts what has already been taken. False if there is no room for it: then the caller
        /// takes no more until there is.
        package mutating func add(_ more: Int) -> Bool {
            amount += more
            return budgets.add(more, resource, party)
        }

        /// Whether there is room for more.
        package var hasRoom: Bool { budgets.hasRoom(for: 0, without: 0, resource, party) }

        /// What all leases of this party hold.
        package var heldByParty: Int {
            budgets.state.withLock { _ in party.held[resource.rawValue] }
        }

        /// Whether there would be room without this lease.
        package var othersLeaveRoom: Bool {
            budgets.hasRoom(for: 0, without: amount, resource, party)
        }

        /// Gives part of it back.
        package mutating func give(back less: Int) {
            precondition(less <= amount, "a connection gives back only what it has taken")
            amount -= less
            budgets.give(back: less, resource, party)
        }
    }

    /// An empty lease.
    package func lease(_ resource: Resource, _ party: Party) -> Lease {
        Lease(self, resource, party)
    }
}

extension Budgets {
    /// The Prometheus text of all resources.
    package var metrics: String {
        func lines(_ name: String, _ help: String, _ type: String, _ value: (Resource) -> Int)
            -> String
        {
            "# HELP stardust_\(name) \(help)\n# TYPE stardust_\(name) \(type)\n"
                + Resource.allCases.map { resource in
                    "stardust_\(name){resource=\"\(resource.name)\"} \(value(resource))\n"
                }.joined()
        }
        return lines("budget_used", "What clients hold.", "gauge", used)
            + lines("budget_limit", "What clients may hold.", "gauge") { terms(of: $0).total }
            + lines(
                "budget_refused_total", "Requests that found no room, in all or in their share.",
                "counter", refused)
    }
}
