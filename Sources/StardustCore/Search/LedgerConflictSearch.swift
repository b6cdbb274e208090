internal import LedgerFormat
package import LedgerIndex
package import LedgerStorage
internal import Packets
internal import Platform
package import Reconstruction

/// Finds conflicts wherever they are, by the packets that make them.
package struct LedgerConflictSearch: ~Copyable {
    private let map: LedgerMap
    private let index: TermSnapshot
    private let source: LedgerChainSource
    private let filter: PacketFilter
    private let kinds: Set<String>

    /// The entities and traces of `filter` are of the packets that are disputed, its times of receipt
    /// those of the packets that dispute them.
    package init(
        _ map: LedgerMap, _ index: TermSnapshot, _ source: LedgerChainSource,
        kinds: Set<String>, _ filter: PacketFilter
    ) {
        (self.map, self.index, self.source) = (map, index, source)
        (self.kinds, self.filter) = (kinds, filter)
    }

    package struct Page: Sendable {
        package var found: [LedgerConflict] = []
        /// Where the next page begins; nil if this is the last one.
        package var next: PlaceInPacket?
        /// The page ends early because time ran out.
        package var isCut = false
    }

    package func page(
        in range: Range<UInt64>, from: PlaceInPacket?, isDescending: Bool,
        _ limits: PacketSearch.Limits
    ) throws(PacketSearch.Failure) -> Page {
        var page = Page()
        var query = TermQuery()
        query.require(oneOf: (index.key.amendments + [index.key.decisionKey]).map { [$0] })
        var walk: TermWalk
        do throws(IndexFailure) {
            let range = try map.range(
                range, receivedFrom: filter.receivedFrom, before: filter.receivedBefore,
                index.access)
            walk = index.walk(
                query, in: range, isDescending: isDescending, until: limits.deadline)
        } catch { throw PacketSearch.Failure(error) }
        let conflicts = LedgerConflicts(source)
        while let position = try next(&walk) {
            guard let packet = try source.packet(at: position) else { continue }
            let made: [LedgerConflict]
            do throws(PacketSearch.Failure) {
                made = try conflicts.conflicts(by: packet, earlier: source.eachEarlierAnswer)
            } catch  where error.isTimeOver && !page.found.isEmpty {
                // What was found is an answer; the rest is the next page's.
                (page.next, page.isCut) = (PlaceInPacket(position: position, index: 0), true)
                return page
            }
            let first = from?.position == position ? from?.index ?? 0 : 0
            for (index, conflict) in made.enumerated()
            where index >= first && isWanted(conflict) {
                if page.found.count >= limits.packets {
                    page.next = PlaceInPacket(position: position, index: index)
                    return page
                }
                page.found.append(conflict)
            }
        }
        if let cut = walk.cut {
            (page.next, page.isCut) = (PlaceInPacket(position: cut, index: 0), true)
        }
        return page
    }

    private func isWanted(_ conflict: LedgerConflict) -> Bool {
        guard kinds.isEmpty || kinds.contains(conflict.kind) else { return false }
        let wanted = filter.wanted
        return conflict.concerns { type, id, trace in
            (wanted.entityTypes.isEmpty || wanted.entityTypes.contains(type))
                && (wanted.entityIDs.isEmpty || wanted.entityIDs.contains(id))
                && (wanted.traceIDs.isEmpty || trace.map(wanted.traceIDs.contains) ?? false)
        }
    }

    private func next(_ walk: inout TermWalk) throws(PacketSearch.Failure) -> Position? {
        do throws(IndexFailure) { return try walk.next() } catch {
            throw PacketSearch.Failure(error)
        }
    }
}

extension PacketSearch.Failure {
    fileprivate var isTimeOver: Bool { if case .timeIsOver = self { true } else { false } }
}
