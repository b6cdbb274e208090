import LedgerFormat
import LedgerStorage
import PipelineWorkload

/// A random change of a ledger's files, by accident or by somebody who knows the format: with right
/// checksums where the format has any.
package enum LedgerMutation {
    /// Numbers at the borders of what fits.
    static let numbers: [UInt64] = [
        0, 1, 127, 1 << 31, 1 << 32 - 1, 1 << 32, 1 << 63 - 1, 1 << 63, .max,
    ]

    /// Changes a copy of a ledger. Returns what was done.
    package static func random(
        in volume: SimulatedVolume, using generator: inout SeededGenerator
    ) throws -> String {
        let paths =
            try volume.segments()
            + ["identity", "closed", "checkpoint", "checkpoints"]
            .filter { volume.bytes(of: $0) != nil }
        let path = paths.randomElement(using: &generator)!
        let kind = Int.random(in: 0..<11, using: &generator)
        switch kind {
        case 0...1: bit(volume, path, &generator)
        case 2: volume.put(path, nil)
        case 3: cut(volume, path, &generator)
        case 4:
            let count = Int.random(in: 1...300, using: &generator)
            let value =
                Bool.random(using: &generator)
                ? UInt8(0) : UInt8.random(in: 1...255, using: &generator)
            volume.damage(path) { $0 += [UInt8](repeating: value, count: count) }
        case 5: zero(volume, path, &generator)
        case 6...8: try forge(volume, &generator)
        case 9: try move(volume, &generator)
        default: header(volume, try volume.segments().randomElement(using: &generator)!, &generator)
        }
        return "\(kind) \(path)"
    }

    private static func place(
        _ volume: SimulatedVolume, _ path: String, _ generator: inout SeededGenerator
    ) -> Int? {
        let bytes = volume.bytes(of: path)!
        let end = min(bytes.count, (bytes.lastIndex { $0 != 0 } ?? 0) + 40)
        return end > 0 ? Int.random(in: 0..<end, using: &generator) : nil
    }

    private static func bit(
        _ volume: SimulatedVolume, _ path: String, _ generator: inout SeededGenerator
    ) {
        guard let place = place(volume, path, &generator) else { return }
        let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
        volume.damage(path) { $0[place] ^= bit }
    }

    private static func cut(
        _ volume: SimulatedVolume, _ path: String, _ generator: inout SeededGenerator
    ) {
        guard let place = place(volume, path, &generator) else { return }
        volume.damage(path) { $0 = Array($0.prefix(place)) }
    }

    private static func zero(
        _ volume: SimulatedVolume, _ path: String, _ generator: inout SeededGenerator
    ) {
        guard let place = place(volume, path, &generator) else { return }
        let count = Int.random(in: 1...200, using: &generator)
        volume.damage(path) {
            for index in place..<min(place + count, $0.count) { $0[index] = 0 }
        }
    }

    /// Writes an entry again as it never was.
    private static func forge(
        _ volume: SimulatedVolume, _ generator: inout SeededGenerator
    ) throws {
        let path = try volume.segments().randomElement(using: &generator)!
        let count = try volume.records(path).count
        guard count > 0 else { return }
        let number = Int.random(in: 0..<count, using: &generator)
        let field = Int.random(in: 0..<9, using: &generator)
        let value = numbers.randomElement(using: &generator)!
        try volume.rewrite(path, record: number) { entry, payload in
            switch field {
            case 0: entry.position = Position(value)
            case 1: entry.position = Position(entry.position.value &+ value)
            case 2: entry.receivedAt = Timestamp(microseconds: Int64(bitPattern: value))
            case 3: entry.flags = Entry.Flags(rawValue: UInt32(truncatingIfNeeded: value))
            case 4: entry.kind = Entry.Kind(rawValue: UInt16(truncatingIfNeeded: value))
            case 5: entry.formatVersion = UInt16(truncatingIfNeeded: value)
            case 6: entry.payloadBytes = value
            case 7:
                payload[payload.count / 2] ^= 1
                entry.payloadDigest = .sha256(payload)
            default: entry.previous = .zero
            }
        }
    }

    /// Copies a stretch of a segment to another place in it.
    private static func move(
        _ volume: SimulatedVolume, _ generator: inout SeededGenerator
    ) throws {
        let path = try volume.segments().randomElement(using: &generator)!
        let records = try volume.records(path)
        guard let from = records.randomElement(using: &generator),
            let to = records.randomElement(using: &generator)
        else { return }
        let count = RecordFrame.recordBytes(payloadBytes: from.payloadBytes)
        volume.damage(path) {
            let copy = Array($0[from.offset..<from.offset + count])
            guard to.offset + count <= $0.count else { return }
            $0.replaceSubrange(to.offset..<to.offset + count, with: copy)
        }
    }

    private static func header(
        _ volume: SimulatedVolume, _ path: String, _ generator: inout SeededGenerator
    ) {
        let header = SegmentHeader(
            ledgerID: .random(using: &generator),
            firstPosition: Position(numbers.randomElement(using: &generator)!), previous: .zero)
        volume.damage(path) {
            guard $0.count >= 128 else { return }
            $0.replaceSubrange(0..<128, with: header.bytes)
        }
    }
}
