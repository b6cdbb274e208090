import Foundation
import LedgerFormat
import LedgerIndex
import LedgerStorage
import LedgerTestSupport
import Packets
import PipelineWorkload
import TestSupport
import Testing

/// The index against a plain list of packets, through buffers, runs and merges.
@Suite struct TermIndexTests {
    /// A ledger of numbers: what the terms are made of, without segments.
    struct Model: ~Copyable {
        let volume = SimulatedVolume(seed: 1)
        var index: TermIndex
        var scanner: TermScanner
        var packets: [(a: Int, b: Int, created: Int64)] = []
        var generator: SeededGenerator
        let identity = Digest.sha256(Array("identity".utf8))

        init(seed: UInt64) throws {
            generator = SeededGenerator(seed: seed)
            index = try TermIndex(volume, identity: Digest.sha256(Array("identity".utf8))) { _ in
                nil
            }
            scanner = TermScanner(key: index.key)
        }

        static func hash(_ position: Int) -> Digest { .sha256(Array("entry \(position)".utf8)) }

        static func payload(_ a: Int, _ b: Int, _ position: Int) -> [UInt8] {
            Array(
                """
                {"entity_type":"clips","entity_id":"c11b0000-0000-4000-8000-00000000c11b","lineage":\
                {"trace_id":"7d3f0a52-6f0d-4f6e-8c1b-1a2b3c4d5e6f","_meta_parents":[],"a":\(a),\
                "list":[\(b),\(b)],"c":"\(position)"}}
                """.utf8)
        }

        mutating func append(_ count: Int) {
            for _ in 0..<count {
                let position = packets.count
                let (a, b) = (
                    Int.random(in: 0..<3, using: &generator),
                    Int.random(in: 0..<40, using: &generator)
                )
                // Times go on, but not without steps back.
                let created = Int64(position * 10 + Int.random(in: 0..<500, using: &generator))
                packets.append((a, b, created))
                let payload = Self.payload(a, b, position)
                var entry = Entry(
                    kind: .packet, flags: [], position: Position(UInt64(position)),
                    receivedAt: Timestamp(microseconds: 0), stardustID: UUID128(high: 0, low: 0),
                    createdAt: Timestamp(microseconds: created), peer: Entry.Peer(uid: 0, gid: 0),
                    payloadBytes: UInt64(payload.count), payloadDigest: .sha256(payload),
                    previous: .zero)
                entry.position = Position(UInt64(position))
                let isReadable = scanner.scan(payload.span, digest: entry.payloadDigest)
                index.add(
                    TermBuffer.Packet(entry, hash: Self.hash(position)), scanner,
                    isReadable: isReadable)
            }
        }

        mutating func reopen() throws {
            index = try TermIndex(volume, identity: identity) { size in
                size == .empty ? identity : Self.hash(Int(size.entries) - 1)
            }
            scanner = TermScanner(key: index.key)
        }

        /// Asks the index and the list the same random query. Returns it if they differ.
        mutating func difference() throws -> String? {
            let snapshot = index.snapshot()
            let a = Bool.random(using: &generator) ? Int.random(in: 0..<4, using: &generator) : nil
            let b = Bool.random(using: &generator) ? Int.random(in: 0..<41, using: &generator) : nil
            let bounds = (0..<2).map { _ in Int.random(in: 0...packets.count, using: &generator) }
                .sorted()
            let created: Range<Int64>? =
                Bool.random(using: &generator)
                ? Int64(bounds[0] * 9)..<Int64(bounds[0] * 9 + 3000) : nil
            let isDescending = Bool.random(using: &generator)
            let limit = Bool.random(using: &generator) ? 7 : Int.max
            var terms: [UInt64] = []
            if let a { terms += scanner.pattern(Array("{\"a\":\(a)}".utf8).span, in: .lineage) }
            if let b {
                terms += scanner.pattern(Array("{\"list\":[\(b)]}".utf8).span, in: .lineage)
            }
            var found: [Int] = []
            var walk = snapshot.walk(
                TermQuery(terms), in: UInt64(bounds[0])..<UInt64(bounds[1]), created: created,
                isDescending: isDescending)
            while found.count < limit, let position = try walk.next() {
                let packet = packets[Int(position.value)]
                // Zones only pass over what is surely outside.
                if created == nil || created!.contains(packet.created) {
                    found.append(Int(position.value))
                }
            }
            var expected = (bounds[0]..<bounds[1]).filter { position in
                let packet = packets[position]
                return (a == nil || packet.a == a) && (b == nil || packet.b == b)
                    && (created == nil || created!.contains(packet.created))
            }
            if isDescending { expected.reverse() }
            expected = Array(expected.prefix(limit))
            return found == expected
                ? nil : "a \(a ?? -1) b \(b ?? -1) in \(bounds) desc \(isDescending) limit \(limit)"
        }

        mutating func check(_ queries: Int, _ place: String) throws {
            for _ in 0..<queries {
                let difference = try difference()
                #expect(difference == nil, "\(place)")
            }
        }
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `every list is that of the packets, in buffers, runs and merged runs`(seed: UInt64) throws
    {
        var model = try Model(seed: seed)
        for round in 0..<12 {
            model.append([1, 255, 256, 257, 3000][Int.random(in: 0..<5, using: &model.generator)])
            try model.check(20, "buffer, round \(round)")
            model.index.beginBuffer()
            try model.check(5, "waiting, round \(round)")
            _ = try model.index.writeWaitingBuffer()
            try model.check(20, "runs, round \(round)")
            while try model.index.merge() {}
            try model.check(20, "merged, round \(round)")
            if round.isMultiple(of: 4) {
                try model.reopen()
                #expect(model.index.size.entries == UInt64(model.packets.count))
                try model.check(20, "reopened, round \(round)")
            }
        }
        #expect(try model.volume.list("index").count < 4)
    }

    @Test func `a buffer ends at 65,536 packets and goes on in the next`() throws {
        var model = try Model(seed: 9)
        model.append(IndexLimits.bufferPackets + 10)
        #expect(model.index.waitingBuffers == 1)
        try model.check(10, "with a full buffer")
        #expect(try model.index.writeWaitingBuffer())
        let runs = try RunAudit.runs(model.volume) { Issue.record("\($0): \($1)") }
        #expect(runs.map(\.range) == [0..<UInt64(IndexLimits.bufferPackets)])
        try model.check(10, "with its run")
        model.append(100)
        try model.check(10, "beyond it")
    }

    @Test func `files that do not belong here are removed, and what follows them is indexed again`()
        throws
    {
        var model = try Model(seed: 5)
        for _ in 0..<3 {
            model.append(500)
            model.index.beginBuffer()
            _ = try model.index.writeWaitingBuffer()
        }
        let names = try model.volume.list("index").sorted()
        #expect(names.count == 3)
        // The ledger does not have what the last run followed.
        let short = try TermIndex(model.volume, identity: model.identity) { size in
            size.entries > 1000 ? nil : Model.hash(Int(size.entries) - 1)
        }
        #expect(short.size.entries == 1000)
        #expect(try model.volume.list("index").sorted() == Array(names.prefix(2)))
        // A header that was changed.
        let file = try model.volume.open("index/" + names[0], .update)
        try file.write([0xFF, 0xFF].span, at: 100)
        let none = try TermIndex(model.volume, identity: model.identity) { size in
            Model.hash(Int(size.entries) - 1)
        }
        #expect(none.size == .empty)
        #expect(try model.volume.list("index").isEmpty)
    }

    @Test func `any flipped bit of a run is found, at opening or when its block is read`() throws {
        var model = try Model(seed: 6)
        model.append(60)
        model.index.beginBuffer()
        _ = try model.index.writeWaitingBuffer()
        let name = try #require(try model.volume.list("index").first)
        let content = try model.volume.content(of: "index/" + name)
        let file = try model.volume.open("index/" + name, .update)
        for bit in stride(from: 0, to: content.count * 8, by: 7) {
            // The rest of the header's block is not read.
            guard !(180..<IndexLimits.blockBytes).contains(bit / 8) else { continue }
            var changed = content[bit / 8]
            changed ^= 1 << UInt8(bit % 8)
            try file.write([changed].span, at: bit / 8)
            var problems: [String] = []
            let runs = try RunAudit.runs(model.volume) { problems.append("\($0): \($1)") }
            for run in runs { if let damage = try run.damage() { problems.append(damage) } }
            #expect(!problems.isEmpty, "bit \(bit)")
            try file.write([content[bit / 8]].span, at: bit / 8)
        }
    }

    @Test func `a list is the same while its buffer is put in order and written`() throws {
        var model = try Model(seed: 10)
        model.append(3000)
        let before = model.index.snapshot()
        model.index.beginBuffer()
        _ = try model.index.writeWaitingBuffer()
        for number in 0..<40 {
            let terms = model.scanner.pattern(
                Array("{\"list\":[\(number)]}".utf8).span, in: .lineage)
            for range in [0..<3000, 17..<18, 1000..<2500, 2999..<3000] as [Range<UInt64>] {
                var found: [Int] = []
                var walk = before.walk(terms, in: range)
                while let position = try walk.next() { found.append(Int(position.value)) }
                #expect(found == range.map(Int.init).filter { model.packets[$0].b == number })
            }
            #expect(before.mayHold(terms[0]) == model.packets.contains { $0.b == number })
        }
    }

    /// Whoever can write a run can also make its checksums.
    @Test(
        arguments: [
            (112, UInt64.max), (112, 1 << 63), (160, .max), (160, 1 << 36), (144, .max), (168, 0),
            (168, 1 << 39), (128, .max), (136, 1 << 39), (104, .max), (104, 0),
        ] as [(Int, UInt64)])
    func `a header that was forged is refused`(offset: Int, value: UInt64) throws {
        var model = try Model(seed: 11)
        for _ in 0..<4 {
            model.append(300)
            model.index.beginBuffer()
            _ = try model.index.writeWaitingBuffer()
        }
        for name in try model.volume.list("index") {
            let file = try model.volume.open("index/" + name, .update)
            var header = Array(try model.volume.content(of: "index/" + name).prefix(180))
            var span = header.mutableSpan
            span.store(value, at: offset)
            let checksum = CRC32C().continued(over: span.span.extracting(0..<176))
            span.store(checksum.value, at: 176)
            try file.write(header.span, at: 0)
        }
        try model.reopen()
        #expect(model.index.size == .empty)
    }

    @Test func `pairs that are not in order are found by audit and merge, not by a crash`() throws {
        var model = try Model(seed: 12)
        for _ in 0..<IndexLimits.mergeWidth {
            model.append(300)
            model.index.beginBuffer()
            _ = try model.index.writeWaitingBuffer()
        }
        let name = try model.volume.list("index").sorted()[0]
        var content = try model.volume.content(of: "index/" + name)
        let blocks = Int(content.span.littleEndian(UInt64.self, at: 128))
        let filterBytes = Int(content.span.littleEndian(UInt64.self, at: 168)) * 32
        let first = 1024 + (filterBytes + 1023) / 1024 * 1024
        #expect(blocks > 2)
        // The second group of a block goes far beyond all terms, and the block is sealed again.
        for index in 8..<14 { content[first + 1024 + index] |= 0x80 }
        let sealed = CRC32C().continued(
            over: content.span.extracting(first + 1028..<first + 2048))
        for byte in 0..<4 {
            content[first + 1024 + byte] = UInt8(truncatingIfNeeded: sealed.value >> (8 * byte))
        }
        try model.volume.open("index/" + name, .update).write(content.span, at: 0)
        try model.reopen()
        let run = try #require(try RunAudit.runs(model.volume) { _, _ in }.first)
        #expect(try run.damage() != nil)
        #expect(throws: IndexFailure.self) { while try model.index.merge() {} }
    }

    @Test func `a run knows all of its terms, and nearly none of others`() throws {
        var model = try Model(seed: 8)
        for _ in 0..<5 {
            model.append(2000)
            model.index.beginBuffer()
            _ = try model.index.writeWaitingBuffer()
        }
        while try model.index.merge() {}
        let snapshot = model.index.snapshot()
        // Each packet has a number of its own, so that there are many terms.
        for position in 0..<10_000 {
            let terms = model.scanner.pattern(
                Array("{\"c\":\"\(position)\"}".utf8).span, in: .lineage)
            for term in terms { #expect(snapshot.mayHold(term), "\(position)") }
            #expect(try snapshot.first(terms[0], in: 0..<10_000) == Position(UInt64(position)))
        }
        let passed = (0..<100_000).filter { number in
            let terms = model.scanner.pattern(
                Array("{\"other\":\(number)}".utf8).span, in: .lineage)
            return snapshot.mayHold(terms[0])
        }
        // About one of a hundred for each run, of which there are five at most.
        #expect(passed.count < 5 * 100_000 / 50, "\(passed.count)")
    }

    @Test func `terms do not depend on spelling`() throws {
        var scanner = TermScanner(key: .random())
        func terms(_ text: String) -> [UInt64] {
            scanner.pattern(Array(text.utf8).span, in: .lineage)
        }
        for (left, right) in [
            ("{\"a\":1}", "{\"a\":1.0}"), ("[1e2]", "[100]"), ("-0", "0"),
            ("123456789012345678901234567890", "1.2345678901234567890123456789e29"),
            ("\"\\u00e9\"", "\"é\""), ("{\"\\u0061\":true}", " { \"a\" : true } "),
            ("\"7D3F0A52-6F0D-4F6E-8C1B-1A2B3C4D5E6F\"", "\"7d3f0a526f0d4f6e8c1b1a2b3c4d5e6f\""),
            ("100000000000000000000000", "1e23"), ("0.10", "1e-1"),
        ] {
            #expect(terms(left) == terms(right), "\(left) \(right)")
        }
        for (left, right) in [
            ("1", "\"1\""), ("1", "-1"), ("0.1", "0.01"), ("true", "false"), ("null", "\"null\""),
            ("{\"a\":1}", "{\"b\":1}"), ("12345678901234567890123", "12345678901234567890124"),
        ] {
            #expect(terms(left) != terms(right), "\(left) \(right)")
        }
        #expect(terms("{}") == [] && terms("[[],{}]") == [])
    }
}
