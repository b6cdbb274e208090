package import LedgerFormat
package import LedgerIndex
package import LedgerStorage
internal import Packets
internal import Platform
package import Reconstruction

/// Finds steps of reasoning. The index yields packets that may have one; their nodes decide.
package struct StepSearch: ~Copyable {
    private let map: LedgerMap
    private let index: TermSnapshot
    private let source: LedgerChainSource
    private let steps: StepFilter
    private let query: TermQuery
    private let packets: PacketFilter

    /// `packets` are conditions on the packets: their entities, traces and times.
    package init(
        _ map: LedgerMap, _ index: TermSnapshot, _ source: LedgerChainSource, _ steps: StepFilter,
        _ packets: PacketFilter
    ) {
        (self.map, self.index, self.source) = (map, index, source)
        (self.steps, self.packets) = (steps, packets)
        var query = packets.query(index.key)
        var terms = StepTerms(index.key)
        steps.require(in: &terms)
        for group in terms.groups { query.require(oneOf: group) }
        self.query = query
    }

    /// Whether every packet of the range has to be read, since the index cannot tell them apart.
    package var isScan: Bool { query.isEmpty }

    package struct Page: Sendable {
        package var found: [FoundStep] = []
        /// Where the next page begins; nil if this is the last one.
        package var next: PlaceInPacket?
        /// The page ends early because time ran out.
        package var isCut = false
    }

    /// A page of the matching steps in `range`, from the step `from` on, in ledger order or newest
    /// packets first.
    package func page(
        in range: Range<UInt64>, from: PlaceInPacket?, isDescending: Bool,
        _ limits: PacketSearch.Limits
    ) throws(PacketSearch.Failure) -> Page {
        var (page, bytes) = (Page(), 0)
        var walk = try walk(in: range, isDescending: isDescending, until: limits.deadline)
        while let position = try next(&walk) {
            guard let packet = try source.packet(at: position), packets.mayHold(packet) else {
                continue
            }
            let first = from?.position == position ? from?.index ?? 0 : 0
            for step in steps.steps(of: packet) where step.index >= first {
                if page.found.count >= limits.packets || bytes > limits.payloadBytes {
                    page.next = PlaceInPacket(position: position, index: step.index)
                    return page
                }
                if page.found.last?.position != position { bytes += step.payloadBytes }
                page.found.append(step)
            }
        }
        if let cut = walk.cut {
            (page.next, page.isCut) = (PlaceInPacket(position: cut, index: 0), true)
        }
        return page
    }

    /// Counts the matching steps in `range`, as far as time allows.
    package func count(
        in range: Range<UInt64>, by keys: [GroupKey], isDescending: Bool,
        until deadline: ContinuousClock.Instant
    ) throws(PacketSearch.Failure) -> (count: GroupCount, cut: PlaceInPacket?) {
        var count = GroupCount(keys)
        var walk = try walk(in: range, isDescending: isDescending, until: deadline)
        while let position = try next(&walk) {
            do throws(PacketSearch.Failure) {
                guard let packet = try source.packet(at: position), packets.mayHold(packet) else {
                    continue
                }
                for step in steps.steps(of: packet) { count.add(step) }
            } catch .timeIsOver {
                return (count, PlaceInPacket(position: position, index: 0))
            }
        }
        return (count, walk.cut.map { PlaceInPacket(position: $0, index: 0) })
    }

    private func walk(
        in range: Range<UInt64>, isDescending: Bool, until deadline: ContinuousClock.Instant
    ) throws(PacketSearch.Failure) -> TermWalk {
        do throws(IndexFailure) {
            let range = try map.range(
                range, receivedFrom: packets.receivedFrom, before: packets.receivedBefore,
                index.access)
            return index.walk(
                query, in: range, created: packets.created, isDescending: isDescending,
                until: deadline)
        } catch { throw PacketSearch.Failure(error) }
    }

    private func next(_ walk: inout TermWalk) throws(PacketSearch.Failure) -> Position? {
        do throws(IndexFailure) { return try walk.next() } catch {
            throw PacketSearch.Failure(error)
        }
    }
}

/// One of the things that a packet has: a node of its reasoning, or a conflict that it makes.
package struct PlaceInPacket: Hashable, Sendable {
    package var position: Position
    package var index: Int

    package init(position: Position, index: Int) {
        (self.position, self.index) = (position, index)
    }
}
