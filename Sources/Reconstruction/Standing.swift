internal import LedgerFormat

/// What later packets say about a packet: whether it stands as it was emitted. Chains, conflicts and
/// exports all ask this.
///
/// Rules:
///  1. A packet is amended by those that `retracts`, `supersedes` or `revision_of` names it with.
///  2. An amendment is in force unless its own packet is retracted. Whoever takes a statement back
///     retracts the packet that made it; superseding or revising that packet does not take it back.
///  3. A packet does not amend itself.
///  4. An amendment may come before what it names. If the two amend each other, at once or by way of
///     others, the later packet has the last word.
struct Standing: Sendable {
    /// The amendments in force, by position.
    private(set) var amendments: [Amendment] = []

    static let current = Standing()

    fileprivate init(_ amendments: [Amendment] = []) { self.amendments = amendments }

    enum State: String, Sendable, CaseIterable {
        /// Nothing in force amends it.
        case current
        /// There is another version of it.
        case revised
        /// Another packet stands in its place.
        case superseded
        /// It was declared wrong.
        case retracted
    }

    /// What weighs most.
    var state: State {
        State.allCases.last { state in amendments.contains { $0.state == state } } ?? .current
    }

    var isRetracted: Bool { amendments.contains { $0.state == .retracted } }

    /// The packets whose amendments in force say so, each once, by position.
    func amenders(_ state: State) -> [Position] {
        var positions: [Position] = []
        for amendment in amendments where amendment.state == state {
            let position = amendment.child.position
            if positions.last != position { positions.append(position) }
        }
        return positions
    }
}

/// A packet that retracts, supersedes or revises another.
struct Amendment: Sendable {
    let child: ChainPacket
    let edge: ChainEdge
    /// What it makes of the packet that it names.
    let state: Standing.State

    init?(_ edge: ChainEdge, by child: ChainPacket) {
        guard edge.to != nil, edge.order != .self else { return nil }
        switch edge.relation {
        case "retracts": state = .retracted
        case "supersedes": state = .superseded
        case "revision_of": state = .revised
        default: return nil
        }
        (self.child, self.edge) = (child, edge)
    }

    var target: Position { edge.to! }
}

/// Finds the standing of packets, each once.
final class StandingBook<Source: ChainSource> {
    private let source: Source
    private let book: EdgeBook<Source>
    /// Of packets that are amended at all. Most are not, and take no hashing.
    private var known: [Position: Standing] = [:]
    /// The amendments of each packet that has some, in force or not.
    private var stated: [Position: [Amendment]] = [:]
    /// What each candidate amends, by target: one packet may amend many.
    private var made: [Position: [Position: [Amendment]]] = [:]
    /// Whether some packet has more amendments than are examined.
    private(set) var isLimited = false

    init(_ source: Source, _ book: EdgeBook<Source>) { (self.source, self.book) = (source, book) }

    func standing(of packet: ChainPacket) throws(Source.Failure) -> Standing {
        if let standing = known[packet.position] { return standing }
        if try amendments(of: packet).isEmpty { return .current }
        // Not recursive: retractions of retractions may be as many as there are packets.
        var open = [packet]
        while let packet = open.last {
            guard known[packet.position] == nil else {
                open.removeLast()
                continue
            }
            let amendments = try amendments(of: packet)
            var before: [ChainPacket] = []
            for child in amendments.map(\.child) where known[child.position] == nil {
                if try !self.amendments(of: child).isEmpty { before.append(child) }
            }
            guard before.isEmpty else {
                open += before
                continue
            }
            known[packet.position] = Standing(
                amendments.filter { known[$0.child.position]?.isRetracted != true })
            open.removeLast()
        }
        return known[packet.position]!
    }

    /// Everything said about packets whose standing was asked for, and about those that say it, by
    /// position.
    func allAmendments(
        of packets: [ChainPacket]
    ) throws(Source.Failure) -> [(Amendment, isInForce: Bool)] {
        if stated.isEmpty { return [] }
        var open = packets.filter { stated[$0.position] != nil }
        var seen = Set(open.map(\.position))
        var found: [(Amendment, isInForce: Bool)] = []
        while let packet = open.popLast() {
            for amendment in try amendments(of: packet) {
                let isInForce = try !standing(of: amendment.child).isRetracted
                found.append((amendment, isInForce))
                if seen.insert(amendment.child.position).inserted { open.append(amendment.child) }
            }
        }
        return found.sorted { left, right in
            (left.0.child.position, left.0.edge.reference.index)
                < (right.0.child.position, right.0.edge.reference.index)
        }
    }

    private func amendments(of packet: ChainPacket) throws(Source.Failure) -> [Amendment] {
        if let amendments = stated[packet.position] { return amendments }
        var found: [Amendment] = []
        try source.eachAmendment(of: packet) { (candidate) throws(Source.Failure) in
            for amendment in try amendments(by: candidate)[packet.position] ?? [] {
                let isAnswered = amendment.edge.order == .late ? try isAnswered(amendment) : false
                if !isAnswered { found.append(amendment) }
            }
            return found.count <= ChainLimits.amendmentsMax
        }
        if found.count > ChainLimits.amendmentsMax { isLimited = true }
        if !found.isEmpty { stated[packet.position] = found }
        return found
    }

    private func amendments(
        by position: Position
    ) throws(Source.Failure) -> [Position: [Amendment]] {
        if let amendments = made[position] { return amendments }
        guard let child = try source.packet(at: position) else { return [:] }
        let edges = try book.edges(of: child)
        try source.spend(edges.count)
        let amendments = Dictionary(
            grouping: edges.compactMap { Amendment($0, by: child) }, by: \.target)
        made[position] = amendments
        return amendments
    }

    /// Whether the packet that an early amendment names amends the amending one, at once or by way
    /// of others.
    private func isAnswered(_ amendment: Amendment) throws(Source.Failure) -> Bool {
        var open = [amendment.target]
        var seen = Set(open)
        while let position = open.popLast() {
            for target in try amendments(by: position).keys {
                if target == amendment.child.position { return true }
                if seen.insert(target).inserted { open.append(target) }
            }
        }
        return false
    }
}
