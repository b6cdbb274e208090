import Foundation
import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import TestSupport
import Testing
import Verification

/// The format is frozen: what version 1 wrote is written and read the same.
@Suite struct GoldenTests {
    static let root = "sha256:8c21e132682d87eac08c728c23ae05834b73e2d1c7877ff187e2b4815637e6f7"

    @Test func `the golden ledger is written again byte for byte`() throws {
        let made = try GoldenLedger.make()
        let kept = try GoldenLedger.read("ledger-1")
        #expect(try GoldenLedger.paths(made) == (try GoldenLedger.paths(kept)))
        for path in try GoldenLedger.paths(made) {
            #expect(made.bytes(of: path) == kept.bytes(of: path), "\(path)")
        }
    }

    @Test func `the golden ledger verifies and opens`() throws {
        let volume = try GoldenLedger.read("ledger-1")
        let result = try Verifier(volume, isBeingWritten: false).run()
        #expect(result.findings == [] && result.size == LedgerSize(12))
        #expect(result.root?.tagged == Self.root)
        let opened = try Ledger.open(volume)
        #expect(opened.damage == nil && opened.map.head.size == LedgerSize(12))
        for (position, packet) in try Repository.examplePackets().prefix(10).enumerated() {
            #expect(try opened.map.read(Position(UInt64(position)))?.payload == packet)
        }
        let flags = try (10..<12).map { try opened.map.read(Position($0))!.entry.flags }
        #expect(flags == [[.idAssigned, .clockHeldBack], [.createdAtAssigned, .clockHeldBack]])
    }

    // T-01, S-04
    @Test func `the golden ledger with a torn tail opens with what was whole`() throws {
        let volume = try GoldenLedger.read("ledger-1-torn")
        let found = try Verifier(volume, isBeingWritten: false).run().findings.map(\.code)
        #expect(found == [.tornTail])
        let opened = try Ledger.open(volume)
        #expect(opened.damage == nil && opened.map.head.size == LedgerSize(11))
        #expect(try Verifier(volume, isBeingWritten: false).run().findings == [])
    }

    @Test func `the page's worked example is the golden ledger's first record`() throws {
        let page = String(decoding: try Repository.content("ledger-format.md"), as: UTF8.self)
        for text in try Self.example() { #expect(page.contains(text), "\(text)") }
    }

    /// What the page must show.
    static func example() throws -> [String] {
        let volume = try GoldenLedger.read("ledger-1")
        let path = LedgerLayout.segment(Position(0))
        let segment = volume.bytes(of: path)!
        let identity = volume.bytes(of: "identity")!
        let record = try volume.records(path)[0]
        let end = record.offset + RecordFrame.recordBytes(payloadBytes: record.payloadBytes)
        return [
            String(decoding: identity, as: UTF8.self), Digest.sha256(identity).hex,
            GoldenLedger.hexdump(segment[..<128]), GoldenLedger.hexdump(segment[128..<end]),
            record.entryHash.hex, Self.root.replacingOccurrences(of: "sha256:", with: ""),
        ]
    }

    @Test func `every mark of the page is carried by a test`() throws {
        let page = String(decoding: try Repository.content("ledger-format.md"), as: UTF8.self)
        let marks = Set(page.matches(of: /\[([A-Z]-\d\d)\]/).map { String($0.1) })
        #expect(marks.count > 15)
        var tests = ""
        let files = FileManager.default.enumerator(atPath: Repository.root + "/Tests")
        while let path = files?.nextObject() as? String {
            guard path.hasSuffix(".swift") else { continue }
            tests += String(decoding: try Repository.content("Tests/" + path), as: UTF8.self)
        }
        for mark in marks { #expect(tests.contains(mark), "\(mark)") }
    }
}
