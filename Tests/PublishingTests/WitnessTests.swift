import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import PipelineWorkload
import Platform
import Publishing
import TestSupport
import Testing

/// The exchange with witnesses, from both sides, status by status.
@Suite struct WitnessTests {
    private static let logKey = NoteSigner(
        name: "log.example/a", Ed25519Key(seed: Array(repeating: 3, count: 32)))
    private static let witnessKey = NoteSigner(
        name: "w.example", type: .cosignature, Ed25519Key(seed: Array(repeating: 5, count: 32)))
    private static let leaves = (0..<50).map { Merkle.leaf([UInt8($0)].span) }

    private static func root(_ size: Int, of leaves: [Digest] = leaves) -> Digest {
        var range = CompactRange()
        for leaf in leaves.prefix(size) { range.append(leaf) }
        return range.root
    }

    private static func published(
        _ size: Int, _ root: Digest? = nil, origin: String = "log.example/a",
        by key: NoteSigner = logKey
    ) -> SignedCheckpoint {
        let checkpoint = Checkpoint(
            origin: origin, size: LedgerSize(UInt64(size)), root: root ?? Self.root(size))
        return SignedCheckpoint(checkpoint, signatures: [key.signature(of: checkpoint.text)])
    }

    private static func proof(
        _ from: Int, _ to: Int, of leaves: [Digest] = leaves
    ) -> [Digest] {
        Merkle.consistencyRanges(from: UInt64(from), to: UInt64(to)).map { range in
            var tree = CompactRange()
            for place in range { tree.append(leaves[Int(place)]) }
            return tree.root
        }
    }

    private static func body(
        _ old: Int, _ hashes: [Digest], _ published: SignedCheckpoint
    ) -> [UInt8] {
        Array("old \(old)\n\(hashes.map { $0.base64 + "\n" }.joined())\n".utf8)
            + published.note.bytes
    }

    private static func witness(_ volume: SimulatedVolume) throws -> Witness {
        var generator = SeededGenerator(seed: 9)
        return try Witness.open(
            volume, name: "w.example", logs: [logKey.verifier],
            clock: { Timestamp(microseconds: 1_700_000_000_999_999) }, using: &generator)
    }

    // MARK: The witness

    @Test func `it cosigns what goes on, and answers everything else as the specification says`()
        throws
    {
        let volume = SimulatedVolume(seed: 1)
        var witness = try Self.witness(volume)
        let key = witness.signer.verifier
        func add(_ witness: inout Witness, _ body: [UInt8]) -> (Int, String) {
            let answer = witness.add(body)
            return (answer.status, String(decoding: answer.body, as: UTF8.self))
        }
        // Each step with what it must answer; only 200 changes what the witness knows.
        let other = NoteSigner(
            name: "log.example/a", Ed25519Key(seed: Array(repeating: 4, count: 32)))
        let steps: [([UInt8], Int)] = [
            (Self.body(0, [], Self.published(0)), 200),
            (Self.body(0, [], Self.published(7)), 200),
            (Self.body(0, [], Self.published(7)), 409),
            (Self.body(7, [], Self.published(7)), 200),
            (Self.body(7, [], Self.published(7, Self.root(8))), 422),
            (Self.body(7, [Self.leaves[0]], Self.published(7)), 422),
            (Self.body(7, Self.proof(7, 20), Self.published(20)), 200),
            (Self.body(7, Self.proof(7, 30), Self.published(30)), 409),
            (Self.body(25, Self.proof(25, 30), Self.published(30)), 409),
            (Self.body(20, Self.proof(20, 30), Self.published(30, Self.root(29))), 422),
            (Self.body(20, Self.proof(20, 30).dropLast(), Self.published(30)), 422),
            (Self.body(20, [], Self.published(30)), 422),
            (Self.body(20, [], Self.published(10)), 400),
            (Self.body(0, Self.proof(20, 30), Self.published(0)), 409),
            (Self.body(20, Self.proof(20, 30), Self.published(30, by: other)), 403),
            (Self.body(20, [], Self.published(30, origin: "log.example/b")), 404),
            (Array("old 20\n\nrubbish".utf8), 400), (Array("old 020\n\n".utf8), 400),
            ([], 400), (Array("old 20\n".utf8), 400), (Array("old 20\nAAAA\n\nx\n".utf8), 400),
            (
                Self.body(20, Array(repeating: Self.leaves[0], count: 64), Self.published(30)), 400
            ),
            (Self.body(20, Self.proof(20, 30), Self.published(30)), 200),
        ]
        for (number, (body, status)) in steps.enumerated() {
            let (found, text) = add(&witness, body)
            #expect(found == status, "step \(number): \(text)")
            if status == 409 { #expect(["7\n", "20\n"].contains(text), "\(text)") }
        }
        // A signature that does not hold is no better than none.
        var forged = Self.published(40)
        var signature = forged.note.signatures[0]
        signature.payload[9] ^= 1
        forged.note = SignedNote(text: forged.note.text, signatures: [signature])
        #expect(add(&witness, Self.body(30, Self.proof(30, 40), forged)).0 == 403)
        // Size 0 with a root is no tree.
        let nothing = SignedNote(text: Array("log.example/a\n0\n\(Self.root(1).base64)\n".utf8))
        var note = nothing
        note.add(Self.logKey.signature(of: note.text))
        #expect(add(&witness, Array("old 0\n\n".utf8) + note.bytes).0 == 422)
        // What it gives is the cosignature alone, of the moment.
        let answer = witness.add(Self.body(30, [], Self.published(30)))
        let lines = try SignedNote.signatures(answer.body[...])
        #expect(lines.count == 1 && lines[0].key == key.keyName)
        #expect(Cosignature(lines[0].payload)?.time == 1_700_000_000)
        #expect(key.accepts(lines[0].payload, of: Self.published(30).note.text))
    }

    @Test func `it keeps before it answers, and knows after a restart and a power cut`() throws {
        for seed in UInt64(1)...60 {
            var volume = SimulatedVolume(seed: seed)
            var cosigned = 0
            var witness = try Self.witness(volume)
            let name = witness.signer.verifier
            try volume.syncFolder("")
            volume.cutPower(after: Int(seed % 23) + 1)
            for size in 1...12 {
                let answer = witness.add(
                    Self.body(cosigned, Self.proof(cosigned, size), Self.published(size)))
                guard answer.status == 200 else { break }
                cosigned = size
            }
            volume = volume.afterPowerCut()
            var again = try Self.witness(volume)
            #expect(again.signer.verifier == name)
            let hash = Digest.sha256(Array("log.example/a".utf8)).hex
            let kept = try again.checkpoint(ofOriginHash: hash).map { try SignedCheckpoint($0) }
            #expect((kept?.checkpoint.size.entries ?? 0) >= UInt64(cosigned), "seed \(seed)")
            // A fork from what it has cosigned gets nothing.
            if let kept {
                let size = Int(kept.checkpoint.size.entries)
                let fork = Self.published(size, Self.root(size, of: Self.leaves.reversed()))
                #expect(again.add(Self.body(size, [], fork)).status == 422)
            }
        }
    }

    @Test func `no call that fails makes it cosign two histories`() throws {
        // Two logs that are the same up to 5 entries.
        var other = Self.leaves
        other[7] = .sha256([9])
        let failures: [(FileFailure.Operation, Int32)] = [
            (.create, FileFailure.noSpaceNumber), (.write, FileFailure.noSpaceNumber),
            (.write, FileFailure.inputOutputNumber), (.sync, FileFailure.inputOutputNumber),
            (.rename, FileFailure.inputOutputNumber),
        ]
        var refused = 0
        for (operation, number) in failures {
            for calls in 0...2 {
                for isCut in [false, true] {
                    let volume = SimulatedVolume(seed: UInt64(calls) + 1)
                    var witness = try Self.witness(volume)
                    #expect(witness.add(Self.body(0, [], Self.published(5))).status == 200)
                    volume.fail(operation, afterCalls: calls, errorNumber: number)
                    var seen: Set<Digest> = []
                    func show(_ witness: inout Witness, _ leaves: [Digest]) -> Int {
                        let root = Self.root(9, of: leaves)
                        let status = witness.add(
                            Self.body(5, Self.proof(5, 9, of: leaves), Self.published(9, root))
                        ).status
                        if status == 200 { seen.insert(root) }
                        let hash = Digest.sha256(Array("log.example/a".utf8)).hex
                        if let kept = witness.checkpoint(ofOriginHash: hash),
                            let checkpoint = try? SignedCheckpoint(kept).checkpoint,
                            checkpoint.size.entries == 9
                        {
                            seen.insert(checkpoint.root)
                        }
                        return status
                    }
                    if show(&witness, Self.leaves) == 503 { refused += 1 }
                    _ = show(&witness, other)
                    let found = isCut ? volume.afterPowerCut() : volume
                    // The call that fails may be one of a start; it fails once.
                    for _ in 0..<3 { _ = try? Self.witness(found) }
                    var again = try Self.witness(found)
                    _ = show(&again, Self.leaves)
                    _ = show(&again, other)
                    #expect(seen.count <= 1, "\(operation) \(calls), cut: \(isCut)")
                }
            }
        }
        #expect(refused > 5)
    }

    @Test func `a witness whose memory was changed does not start`() throws {
        let volume = SimulatedVolume(seed: 1)
        var witness = try Self.witness(volume)
        #expect(witness.add(Self.body(0, [], Self.published(9))).status == 200)
        let path = try volume.list("").first { $0.hasSuffix(".checkpoint") }!
        // The log's line is only kept for others: its name may be any.
        let bytes = volume.bytes(of: path)!
        let line = Self.logKey.signature(of: []).line.count
        let ignored = Self.published(9).note.bytes.count - line..<Self.published(9).note.bytes.count
        for place in bytes.indices where !ignored.contains(place) {
            let copy = volume.copy()
            copy.damage(path) { $0[place] ^= 1 }
            #expect(throws: Witness.OpenError.self) { _ = try Self.witness(copy) }
        }
        var generator = SeededGenerator(seed: 9)
        // A checkpoint without the key that signed it: no new key is made beside it.
        let orphaned = volume.copy()
        orphaned.put("key", nil)
        #expect(throws: Witness.OpenError.self) { _ = try Self.witness(orphaned) }
        #expect(orphaned.bytes(of: "key") == nil)
        #expect(throws: Witness.OpenError.self) {
            _ = try Witness.open(volume, name: "other", logs: [], using: &generator)
        }
    }

    // MARK: The log's side, against answers as they were recorded

    private static func exchange(
        _ size: Int, old: Int = 0, hasCosigned: Bool = true, retries: Int = 3
    ) -> WitnessExchange {
        WitnessExchange(
            published(size), key: witnessKey.verifier, oldSize: LedgerSize(UInt64(old)),
            hasCosigned: hasCosigned, retries: retries)
    }

    private static func answer(
        _ status: Int, _ body: String, _ type: String? = "text/plain"
    ) -> PlainAnswer {
        PlainAnswer(status: status, contentType: type, body: Array(body.utf8))
    }

    @Test func `a good answer is a line that holds, whatever stands beside it`() throws {
        let note = Self.published(20).note
        let line = Self.witnessKey.signature(of: note.text, time: 1_679_315_147)
        let stranger = NoteSigner(
            name: "x.example", type: .cosignature, Ed25519Key(seed: Array(repeating: 6, count: 32)))
        let lines = [stranger.signature(of: note.text, time: 1), line]
        var exchange = Self.exchange(20)
        let body = String(decoding: lines.flatMap(\.line), as: UTF8.self)
        #expect(exchange.take(Self.answer(200, body)) == .cosigned(line))
    }

    @Test func `bad answers give no cosignature`() {
        let note = Self.published(20).note
        let good = String(
            decoding: Self.witnessKey.signature(of: note.text, time: 1).line, as: UTF8.self)
        let other = String(
            decoding: Self.witnessKey.signature(of: Self.published(21).note.text, time: 1).line,
            as: UTF8.self)
        let whole = String(decoding: note.bytes, as: UTF8.self)
        for answer in [
            Self.answer(200, ""), Self.answer(200, "\n"), Self.answer(200, other),
            Self.answer(200, whole), Self.answer(200, String(good.dropLast())),
            Self.answer(200, good + "\n"), Self.answer(400, "bad"), Self.answer(403, "who?"),
            Self.answer(404, ""), Self.answer(429, ""), Self.answer(500, ""), Self.answer(301, ""),
            Self.answer(409, "x\n", "text/x.tlog.size"),
            Self.answer(409, "7", "text/x.tlog.size"),
            Self.answer(409, "07\n", "text/x.tlog.size"),
        ] {
            var exchange = Self.exchange(20)
            guard case .failed = exchange.take(answer) else {
                Issue.record("taken: \(answer)")
                continue
            }
        }
    }

    @Test func `another size is adopted a few times`() {
        var exchange = Self.exchange(20)
        for size in [7, 9, 20] {
            let action = exchange.take(Self.answer(409, "\(size)\n", "text/x.tlog.size"))
            #expect(action == .retry && exchange.oldSize.entries == UInt64(size))
            let ranges = Merkle.consistencyRanges(from: UInt64(size), to: 20)
            #expect(exchange.ranges == ranges)
        }
        // A media type may have parameters, and any case.
        for type in ["text/x.tlog.size; charset=utf-8", "Text/X.tlog.Size", "text/x.tlog.size;q=1"]
        {
            var other = Self.exchange(20)
            #expect(other.take(Self.answer(409, "7\n", type)) == .retry)
        }
        guard case .failed = exchange.take(Self.answer(409, "8\n", "text/x.tlog.size")) else {
            Issue.record("asked for ever")
            return
        }
    }

    @Test func `another history is believed of a witness that has cosigned this one alone`() {
        let larger = Self.answer(409, "21\n", "text/x.tlog.size")
        let inconsistent = Self.answer(422, "inconsistent")
        func isFork(_ answer: PlainAnswer, old: Int = 9, hasCosigned: Bool = true) -> Bool {
            var exchange = Self.exchange(20, old: old, hasCosigned: hasCosigned)
            if case .fork = exchange.take(answer) { return true }
            return false
        }
        #expect(isFork(larger) && isFork(inconsistent))
        // Any server can say so.
        #expect(!isFork(larger, hasCosigned: false) && !isFork(inconsistent, hasCosigned: false))
        // Without a proof there is nothing that could be inconsistent.
        #expect(!isFork(inconsistent, old: 0))
        // And this says nothing of a history.
        #expect(!isFork(Self.answer(409, "the root is another\n")))
        #expect(!isFork(Self.answer(409, "20\n", nil)))
    }

    @Test func `a witness keeps one verified line a key, and starts again with it`() throws {
        let volume = SimulatedVolume(seed: 1)
        var witness = try Self.witness(volume)
        let published = Self.published(3)
        let line = published.note.signatures[0]
        var forged = line
        forged.payload[7] ^= 1
        for lines in [Array(repeating: line, count: 100), [line, forged, forged]] {
            let note = SignedNote(text: published.note.text, signatures: lines)
            let body = Array("old 0\n\n".utf8) + note.bytes
            #expect(witness.add(body).status == 200)
            let path = try Self.keptPath(volume)!
            let again = try SignedCheckpoint(volume.bytes(of: path)!)
            #expect(again.note.signatures.count == 2)
            witness = try Self.witness(volume)
            volume.put(path, nil)
            witness = try Self.witness(volume)
        }
    }

    private static func keptPath(_ volume: SimulatedVolume) throws -> String? {
        try volume.list("").first {
            volume.bytes(of: $0).map { (try? SignedCheckpoint($0)) != nil } ?? false
        }
    }

    @Test func `the request carries the log's own signatures alone`() {
        var published = Self.published(20)
        published.note.add(Self.witnessKey.signature(of: published.note.text, time: 1))
        let exchange = WitnessExchange(
            published, key: Self.witnessKey.verifier, oldSize: LedgerSize(7), hasCosigned: true,
            retries: 1)
        #expect(
            exchange.body(Self.proof(7, 20)) == Self.body(7, Self.proof(7, 20), Self.published(20)))
    }

    @Test func `both sides of ours understand each other at every pair of sizes`() throws {
        for old in 0...24 {
            for new in old...24 {
                var witness = try Self.witness(SimulatedVolume(seed: 1))
                #expect(witness.add(Self.body(0, [], Self.published(old))).status == 200)
                // The log has forgotten what the witness knows.
                var exchange = WitnessExchange(
                    Self.published(new), key: witness.signer.verifier, oldSize: .empty,
                    hasCosigned: true, retries: 1)
                var action = WitnessExchange.Action.retry
                while action == .retry {
                    let hashes = Self.proof(Int(exchange.oldSize.entries), new)
                    action = exchange.take(witness.add(exchange.body(hashes)))
                }
                guard case .cosigned = action else {
                    Issue.record("\(old) to \(new): \(action)")
                    continue
                }
            }
        }
    }
}
