package import LedgerFormat
package import LedgerIndex
package import LedgerStorage
internal import Packets
internal import Platform
package import ReadModel

/// The ledger as the table `stardust_metadata`. Look-ups by `stardust_id`, by entity, and by
/// `position` or a range of positions use the ledger's own indexes. Everything else scans all
/// packets.
package final class LedgerTable: VirtualTable {
    fileprivate let map: LedgerMap
    fileprivate let index: TermSnapshot
    fileprivate let size: LedgerSize
    private let deadline: ContinuousClock.Instant

    /// The ledger at a size that `index` reflects.
    package init(
        _ map: LedgerMap, _ index: TermSnapshot, size: LedgerSize,
        until deadline: ContinuousClock.Instant
    ) {
        (self.map, self.index, self.size, self.deadline) = (map, index, size, deadline)
    }

    fileprivate var isOverTime: Bool { ContinuousClock.now > deadline }

    package let name = "stardust_metadata"

    package let declaration = """
        CREATE TABLE stardust_metadata (stardust_id UUID TEXT, entity_type TEXT, entity_id UUID TEXT,
        lineage JSONB TEXT, decision_chain JSONB TEXT, created_at TIMESTAMPTZ TEXT,
        position BIGINT HIDDEN, received_at TIMESTAMPTZ TEXT HIDDEN)
        """

    fileprivate enum Column: Int32 {
        case stardustID, entityType, entityID, lineage, decisionChain, createdAt
        case position, receivedAt
    }

    /// How to find the rows.
    fileprivate enum Plan: Int32 {
        case scan, id, entity, position
        /// Positions with a lower bound, an upper bound, or both.
        case from, upTo, between
    }

    package func open() -> any VirtualCursor { Cursor(self) }

    /// Chooses a plan by the equality constraints and the bounds on the position.
    package func plan(_ constraints: [VirtualConstraint]) -> VirtualPlan {
        var equal: [Column: Int] = [:]
        var (lower, upper): (Int?, Int?)
        for (place, constraint) in constraints.enumerated() {
            let column = constraint.column < 0 ? .position : Column(rawValue: constraint.column)
            switch (column, constraint.comparison) {
            case (.position, .atLeast): lower = lower ?? place
            case (.position, .atMost): upper = upper ?? place
            case (let column?, .equal): equal[column] = place
            default: break
            }
        }
        func plan(_ plan: Plan, _ places: [Int], cost: Double, rows: Int64) -> VirtualPlan {
            VirtualPlan(
                plan.rawValue, places, cost: cost, rows: rows,
                orderedBy: [Column.position.rawValue])
        }
        if let id = equal[.stardustID] { return plan(.id, [id], cost: 5, rows: 1) }
        if let position = equal[.position] {
            return plan(.position, [position], cost: 5, rows: 1)
        }
        if let type = equal[.entityType], let id = equal[.entityID] {
            return plan(.entity, [type, id], cost: 50, rows: 4)
        }
        guard lower != nil || upper != nil else {
            return plan(.scan, [], cost: 1e9, rows: 1 << 30)
        }
        return plan(
            lower == nil ? .upTo : upper == nil ? .from : .between,
            [lower, upper].compactMap(\.self), cost: 1e7, rows: 1 << 20)
    }

    // MARK: Rows

    private final class Cursor: VirtualCursor {
        private let ledger: LedgerTable
        /// Positions found in an index; nil for a range.
        private var found: [Position]?
        private var place: UInt64 = 0
        /// The last position of a range.
        private var last = UInt64.max
        private var record: StoredRecord?
        private var document: JSONDocument?
        private var outline: PacketOutline?

        init(_ ledger: LedgerTable) { self.ledger = ledger }

        var rowID: Int64? { (record?.entry.position.value).map { Int64($0) } }

        func begin(_ plan: Int32, _ arguments: [VirtualArgument]) throws(VirtualFailure) {
            (found, place, last) = (nil, 0, .max)
            switch Plan(rawValue: plan) ?? .scan {
            case .scan: break
            case .id: found = try positions(withID: arguments[0])
            case .entity: found = try positions(ofEntity: arguments[0], arguments[1])
            case .position, .between:
                place = arguments[0].position(.down, or: 0)
                last = arguments.last!.position(.up, or: .max)
            case .from: place = arguments[0].position(.down, or: 0)
            case .upTo: last = arguments[0].position(.up, or: .max)
            }
            try next()
        }

        private func positions(
            withID argument: VirtualArgument
        ) throws(VirtualFailure) -> [Position] {
            guard let id = argument.text.flatMap({ UUID128($0) }) else { return [] }
            do throws(FileFailure) {
                return try ledger.map.position(of: id).map { [$0] } ?? []
            } catch { throw .cannotRead }
        }

        private func positions(
            ofEntity type: VirtualArgument, _ id: VirtualArgument
        ) throws(VirtualFailure) -> [Position] {
            guard let type = type.text, let id = id.text.flatMap({ UUID128($0) }) else {
                return []
            }
            var positions: [Position] = []
            var walk = ledger.index.walk(
                [ledger.index.key.entity(type, id)], in: 0..<ledger.size.entries)
            do throws(IndexFailure) {
                while let position = try walk.next() { positions.append(position) }
            } catch { throw .cannotRead }
            return positions
        }

        /// Advances to the next packet.
        func next() throws(VirtualFailure) {
            (record, document, outline) = (nil, nil, nil)
            while let position = takePosition() {
                if place.isMultiple(of: 64), ledger.isOverTime { throw .timeIsOver }
                do throws(ReadFailure) { record = try ledger.map.read(position) } catch {
                    throw .cannotRead
                }
                if record?.entry.kind == .packet { return }
                record = nil
            }
        }

        private func takePosition() -> Position? {
            guard let found else {
                guard place <= last, ledger.size.contains(Position(place)) else { return nil }
                defer { place += 1 }
                return Position(place)
            }
            while place < UInt64(found.count) {
                defer { place += 1 }
                // The index may contain packets beyond the size.
                if ledger.size.contains(found[Int(place)]) { return found[Int(place)] }
            }
            return nil
        }

        func value(_ column: Int32) throws(VirtualFailure) -> ModelValue {
            guard let record, let column = Column(rawValue: column) else { return .null }
            let entry = record.entry
            switch column {
            case .stardustID: return .string("\(entry.stardustID)")
            case .createdAt: return .string("\(entry.createdAt)")
            case .receivedAt: return .string("\(entry.receivedAt)")
            case .position: return .integer(Int64(entry.position.value))
            case .entityType, .entityID, .lineage, .decisionChain:
                let (document, outline) = try parsed(record)
                return switch column {
                case .entityType: .string(outline.entityType)
                case .entityID: .string("\(outline.entityID)")
                case .lineage: .text(Array(document.source(outline.lineage)))
                default: outline.decisionChain.map { .text(Array(document.source($0))) } ?? .null
                }
            }
        }

        private func parsed(
            _ record: StoredRecord
        ) throws(VirtualFailure) -> (JSONDocument, PacketOutline) {
            if let document, let outline { return (document, outline) }
            // Admitted packets parse, so this one is damaged.
            guard let read = try? JSONDocument(record.payload),
                let seen = PacketOutline(read.tokens, read.bytes.span)
            else { throw .damaged }
            (document, outline) = (read, seen)
            return (read, seen)
        }
    }
}

extension VirtualArgument {
    /// A bound no narrower than the query's: SQLite checks each row again.
    fileprivate func position(_ rule: FloatingPointRoundingRule, or other: UInt64) -> UInt64 {
        guard let number else { return other }
        let whole = number.rounded(rule)
        return whole <= 0 ? 0 : UInt64(exactly: min(whole, 0x1p62)) ?? other
    }
}
