import Foundation
import LedgerFormat
import LedgerStorage
import Platform
import Verification

extension SimulatedVolume {
    /// What `verify` finds in the ledger.
    package func findings(
        isBeingWritten: Bool = false, _ options: Verifier.Options = Verifier.Options()
    ) throws -> [Finding] {
        try Verifier(self, options, isBeingWritten: isBeingWritten).run().findings
    }

    package func codes() throws -> Set<Finding.Code> { Set(try findings().map(\.code)) }

    /// Writes what an auditor needs of the ledger to a folder of the real file system.
    package func write(to folder: String) throws {
        let manager = FileManager.default
        try manager.createDirectory(
            atPath: folder + "/segments", withIntermediateDirectories: true)
        let paths =
            ["identity", "closed", "checkpoint", "checkpoints"]
            + (try list("segments").map { "segments/" + $0 })
        for path in paths {
            guard let bytes = bytes(of: path) else { continue }
            try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(path)"))
        }
    }

    /// Paths of the segments, in order.
    package func segments() throws -> [String] {
        try list("segments").filter { $0.hasSuffix(".seg") }.sorted().map { "segments/" + $0 }
    }

    /// The records of a segment.
    package func records(_ path: String) throws -> [SegmentCursor.Record] {
        let file = try open(path, .read)
        guard case .success(let header) = try SegmentCursor.open(file, name: path) else {
            return []
        }
        var cursor = try SegmentCursor(file, header: header)
        var records: [SegmentCursor.Record] = []
        while case .record(let record) = try cursor.next() { records.append(record) }
        return records
    }

    /// Writes a record again so that its checksum holds: damage by someone who knows the format.
    package func rewrite(
        _ path: String, record number: Int, _ change: (inout Entry, inout [UInt8]) -> Void
    ) throws {
        let record = try records(path)[number]
        let bytes = bytes(of: path)!
        let start = record.offset + RecordFrame.payloadOffset
        var payload = Array(bytes[start..<start + record.payloadBytes])
        var entry = record.entry
        change(&entry, &payload)
        let seed = CRC32C(bytes.span.littleEndian(UInt32.self, at: 124))
        var made: [UInt8] = []
        _ = RecordFrame.append(
            entry, payload: payload.span, batchStart: record.frame.batchStart, seed: seed, to: &made
        )
        damage(path) {
            $0.replaceSubrange(record.offset..<record.offset + made.count, with: made)
        }
    }
}
