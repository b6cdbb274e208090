import Foundation
import LedgerFormat
import LedgerStorage
import TestSupport

/// The ledgers in `Tests/Vectors`: made once by version 1, opened by every version since.
package enum GoldenLedger {
    /// Makes what `ledger-1` holds: the same bytes each time.
    package static func make() throws -> SimulatedVolume {
        var fixture = try LedgerFixture.make(seed: 1, segmentBytes: 8192)
        for packet in try Repository.examplePackets().prefix(10) {
            try fixture.append([packet])
            fixture.now.microseconds += 1_500
        }
        // Defaults that the daemon fills in, and a clock that went back.
        let packet = String(decoding: LedgerFixture.payload(fixture.newID()), as: UTF8.self)
        let withoutID = packet.replacing(/"stardust_id":"[^"]*",/, with: "")
        fixture.now.microseconds -= 60_000_000
        try fixture.append([
            Array(withoutID.utf8), Array(packet.replacing(/,"created_at":"[^"]*"/, with: "").utf8),
        ])
        try fixture.writer.writeCloseMarker()
        return fixture.volume
    }

    /// Paths of a ledger in memory that belong to it for good.
    package static func paths(_ volume: SimulatedVolume) throws -> [String] {
        try ["identity", "closed"]
            + volume.list("segments").filter { $0.hasSuffix(".seg") }.sorted().map {
                "segments/" + $0
            }
    }

    /// A ledger of `Tests/Vectors` in memory.
    package static func read(_ name: String) throws -> SimulatedVolume {
        let volume = SimulatedVolume(seed: 1)
        let root = Repository.root + "/Tests/Vectors/" + name
        let found = FileManager.default.enumerator(atPath: root)
        while let path = found?.nextObject() as? String {
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: root + "/" + path, isDirectory: &isFolder)
            if isFolder.boolValue { continue }
            volume.put(path, try Repository.content("Tests/Vectors/\(name)/\(path)"))
        }
        return volume
    }

    package static func hexdump(_ bytes: some Collection<UInt8>) -> String {
        let all = Array(bytes)
        return stride(from: 0, to: all.count, by: 16).map { start in
            let row = all[start..<min(start + 16, all.count)]
            let offset = String(start, radix: 16)
            return String(repeating: "0", count: 4 - offset.count) + offset + "  "
                + row.map { String(hexadecimal: [$0]) }.joined(separator: " ")
        }.joined(separator: "\n")
    }
}
