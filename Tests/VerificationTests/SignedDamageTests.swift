import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import Platform
import Publishing
import TestSupport
import Testing
import Verification

/// Damage, and forgery by somebody who has the files, that checkpoints make visible.
@Suite struct SignedDamageTests {
    static func findings(
        _ volume: SimulatedVolume, isBeingWritten: Bool = false,
        anchors: [SignedCheckpoint] = [], keys: [NoteVerifier] = []
    ) throws -> Verification {
        var options = Verifier.Options()
        options.anchors = anchors.map { ($0, "kept") }
        options.keys = keys
        return try Verifier(volume, options, isBeingWritten: isBeingWritten).run()
    }

    // MARK: What verify finds
    @Test func `a signed ledger is sound, and says how far it is signed`() throws {
        for overlap in [nil, .zero, .seconds(3600)] as [Duration?] {
            let ledger = try SignedLedger.make(overlap: overlap)
            let result = try Self.findings(ledger.volume)
            #expect(result.findings == [] && result.notes == [])
            #expect(result.checkpointCount == 6 && result.anchoredSize == nil)
            #expect(result.checkpoint?.checkpoint.size == result.size)
            #expect(result.checkpoint?.checkpoint.root == result.root)
            #expect(result.checkpoint?.key == ledger.key.verifier)
        }
    }

    @Test(arguments: SignedDamageKinds.all.indices)
    func `each kind is found under its own code`(kind: Int) throws {
        let (code, damage) = SignedDamageKinds.all[kind]
        let ledger = try SignedLedger.make()
        try damage(ledger)
        let found = Set(try Self.findings(ledger.volume).findings.map(\.code))
        #expect(found.contains(code), "wanted \(code), found \(found)")
        // While a daemon writes, too: only what follows the last whole record may be its.
        let written = try Self.findings(ledger.volume, isBeingWritten: true).findings.map(\.code)
        #expect(
            written.contains(code) || SignedDamageKinds.mayBeHalfWritten.contains(kind), "\(code)")
    }

    @Test(arguments: SignedDamageKinds.rotated.indices)
    func `each kind of a changed key is found under its own code`(kind: Int) throws {
        let (code, damage) = SignedDamageKinds.rotated[kind]
        let ledger = try SignedLedger.make(overlap: .zero)
        try damage(ledger)
        let found = Set(try Self.findings(ledger.volume).findings.map(\.code))
        #expect(found.contains(code), "wanted \(code), found \(found)")
    }

    @Test func `every flipped bit of the checkpoints is found`() throws {
        let volume = try SignedLedger.make(batches: 3).volume
        for path in ["checkpoints", "checkpoint"] {
            for bit in 0..<volume.bytes(of: path)!.count * 8 {
                volume.damage(path) { $0[bit / 8] ^= 1 << (bit % 8) }
                #expect(try !Self.findings(volume).findings.isEmpty, "\(path) bit \(bit)")
                volume.damage(path) { $0[bit / 8] ^= 1 << (bit % 8) }
            }
        }
        #expect(try Self.findings(volume).findings == [])
    }

    @Test func `every hash of the tree that differs is found, on every level`() throws {
        let volume = try SignedLedger.make(batches: 3, perBatch: 100, segmentBytes: 1 << 16).volume
        #expect(volume.bytes(of: "tree/0")!.count == 300 * 32)
        #expect(volume.bytes(of: "tree/1")!.count == 32)
        for (path, count) in [("tree/0", 300), ("tree/1", 1)] {
            for place in 0..<count {
                volume.damage(path) { $0[place * 32 + place % 32] ^= 0x10 }
                #expect(
                    try Self.findings(volume).findings.map(\.code) == [.treeDisagrees],
                    "\(path) \(place)")
                volume.damage(path) { $0[place * 32 + place % 32] ^= 0x10 }
            }
            volume.damage(path) { $0.removeLast() }
            #expect(try Self.findings(volume).findings.map(\.code) == [.treeDisagrees])
            volume.damage(path) { $0.append(0) }
        }
    }

    @Test func `what is derived of the tree may be missing`() throws {
        let volume = try SignedLedger.make().volume
        for name in try volume.list("tree") { volume.put("tree/" + name, nil) }
        #expect(try Self.findings(volume).findings == [])
    }

    // MARK: What an auditor brings

    @Test func `a checkpoint that was kept elsewhere anchors what it covers`() throws {
        let ledger = try SignedLedger.make()
        let kept = try ledger.checkpoints()[2]
        let keys = [ledger.key.verifier]
        for given in [[], keys] {
            let result = try Self.findings(ledger.volume, anchors: [kept], keys: given)
            #expect(result.findings == [] && result.anchoredSize == kept.checkpoint.size)
        }
        // Everything here made anew by somebody who has the key, even the checkpoints: only what was
        // kept elsewhere tells.
        let forged = try SignedLedger.make(changed: 1)
        #expect(try Self.findings(forged.volume).findings == [])
        let result = try Self.findings(forged.volume, anchors: [kept], keys: keys)
        #expect(result.findings.map(\.code) == [.anchorMismatch] && result.anchoredSize == nil)
        let short = try SignedLedger.make(batches: 1)
        let longer = try Self.findings(short.volume, anchors: [kept], keys: keys)
        #expect(longer.findings.map(\.code) == [.anchorMismatch])
    }

    @Test func `a checkpoint or a key that is not this ledger's is told`() throws {
        let ledger = try SignedLedger.make()
        let kept = try ledger.checkpoints()[2]
        let stranger = NoteSigner(
            name: ledger.origin, Ed25519Key(seed: Array(repeating: 1, count: 32)))
        let forged = SignedDamageKinds.signed(kept.checkpoint, by: [stranger])
        func codes(_ anchors: [SignedCheckpoint], _ keys: [NoteVerifier]) throws -> [Finding
            .Code]
        { try Self.findings(ledger.volume, anchors: anchors, keys: keys).findings.map(\.code) }
        #expect(try codes([forged], []) == [.anchorUnsigned])
        #expect(try codes([forged], [ledger.key.verifier]) == [.anchorUnsigned])
        #expect(try codes([], [stranger.verifier]) == [.anchorKeyUnknown])
        #expect(
            try codes([kept], [stranger.verifier]) == [.anchorKeyUnknown, .anchorUnsigned])
        var foreign = kept.checkpoint
        foreign.origin = "other.example"
        #expect(
            try codes([SignedDamageKinds.signed(foreign, by: [ledger.key])], []) == [
                .anchorMismatch
            ])
    }

    // MARK: What opening does

    /// Whether a daemon would sign on top of it.
    static func opens(_ volume: SimulatedVolume) throws -> Bool {
        do throws(OpenFailure) {
            let opened = try Ledger.open(volume)
            if opened.damage != nil { return false }
            _ = try TreePublisher.open(opened.map, opened.identity)
            return true
        } catch {
            guard case .damaged = error else { throw error }
            return false
        }
    }

    @Test(arguments: SignedDamageKinds.all.indices)
    func `nothing is signed on top of a ledger that is not what was signed`(kind: Int) throws {
        let (code, damage) = SignedDamageKinds.all[kind]
        let ledger = try SignedLedger.make()
        try damage(ledger)
        // Mended, or nothing that opening looks at: only the newest checkpoint binds.
        let isHarmless = [.treeDisagrees, .checkpointUnfinished].contains(code)
        #expect(try Self.opens(ledger.volume) == isHarmless, "\(code)")
    }

    @Test func `P-03 a crash between the checkpoint's two files is mended`() throws {
        let ledger = try SignedLedger.make()
        let all = try ledger.checkpoints()
        for copy in [nil, all[all.count - 2].note.bytes, all[0].note.bytes] {
            ledger.volume.put("checkpoint", copy)
            let result = try Self.findings(ledger.volume)
            #expect(result.findings == [] && result.notes.count == 1)
            #expect(try Self.opens(ledger.volume))
            #expect(ledger.volume.bytes(of: "checkpoint") == all.last!.note.bytes)
        }
        // A record that was never finished, and so never shown.
        ledger.volume.damage("checkpoints") {
            $0 += CheckpointCursor.record(all[0].note.bytes).prefix(90)
        }
        #expect(try Self.findings(ledger.volume).findings.map(\.code) == [.checkpointUnfinished])
        #expect(try Self.findings(ledger.volume, isBeingWritten: true).findings == [])
        #expect(try Self.opens(ledger.volume))
        #expect(try Self.findings(ledger.volume).findings == [])
    }

    @Test func `P-05 of several lines of one key the first counts`() throws {
        for (isGoodFirst, codes) in [(true, []), (false, [Finding.Code.checkpointSignatureBad])] {
            let ledger = try SignedLedger.make()
            try SignedDamageKinds.replaceLast(ledger) { last in
                let good = last.note.signatures[0]
                var bad = good
                bad.payload[5] ^= 1
                return SignedCheckpoint(
                    last.checkpoint, signatures: isGoodFirst ? [good, bad] : [bad, good])
            }
            #expect(try Self.findings(ledger.volume).findings.map(\.code) == codes)
            #expect(try Self.opens(ledger.volume) == codes.isEmpty)
        }
    }

    @Test func `a copy that cannot be written is caught up before the next record`() throws {
        var fixture = try LedgerFixture.make(seed: 11)
        let volume = fixture.volume
        var publisher = try TreePublisher.open(fixture.map, try Ledger.identity(volume))
        func sign() throws {
            try publisher.catchUp(atMost: .max)
            _ = try publisher.sign(lastReceivedAt: fixture.map.head.lastReceivedAt!)
        }
        try fixture.appendRandom(2)
        try sign()
        let first = volume.bytes(of: "checkpoint")
        for _ in 0..<3 {
            try fixture.appendRandom(2)
            volume.fail(.rename, errorNumber: FileFailure.inputOutputNumber)
            #expect(throws: (any Error).self) { try sign() }
        }
        // One record behind, whatever failed how often.
        #expect(volume.bytes(of: "checkpoint") == first)
        try fixture.writer.writeCloseMarker()
        #expect(try Self.findings(volume).findings == [])
        #expect(try Self.findings(volume).checkpointCount == 2)
        #expect(try Self.opens(volume))
    }

    @Test func `no hash of the tree's files reaches a signature unchecked`() throws {
        for place in [3, 10, 18, 27] {
            var fixture = try LedgerFixture.make(seed: 11)
            let (volume, identity) = (fixture.volume, try Ledger.identity(fixture.volume))
            var publisher = try TreePublisher.open(fixture.map, identity)
            try fixture.appendRandom(20)
            try publisher.catchUp(atMost: .max)
            _ = try publisher.sign(lastReceivedAt: fixture.now)
            // Beyond the newest checkpoint, complete and synced, and never signed.
            try fixture.appendRandom(10)
            try publisher.catchUp(atMost: .max)
            try publisher.close()
            volume.damage("tree/0") { $0[place * 32] ^= 1 }
            var again = try TreePublisher.open(fixture.map, identity)
            try again.catchUp(atMost: .max)
            let signed = try again.sign(lastReceivedAt: fixture.now).checkpoint
            try again.close()
            var range = CompactRange()
            for packet in fixture.acknowledged { range.append(packet.hash) }
            #expect(signed.root == range.root && signed.size.entries == 30, "\(place)")
            #expect(try Self.findings(volume, isBeingWritten: true).findings == [], "\(place)")
        }
    }

    @Test func `a tree that is begun anew must come past the newest checkpoint`() throws {
        let ledger = try SignedLedger.make()
        let opened = try Ledger.open(ledger.volume)
        var publisher = try TreePublisher.open(opened.map, opened.identity)
        publisher.rebuild()
        for _ in 0..<30 { try publisher.catchUp(atMost: 1) }
        #expect(publisher.tree.range.root == publisher.newest?.checkpoint.root)
    }

    @Test func `the keys are known from the entries, with the ids and without`() throws {
        for overlap in [.zero, .seconds(3600)] as [Duration] {
            let ledger = try SignedLedger.make(overlap: overlap)
            for losesIDs in [false, true] {
                let volume = ledger.volume.copy()
                if losesIDs {
                    for name in try volume.list("ids") { volume.put("ids/" + name, nil) }
                }
                let opened = try Ledger.open(volume)
                let publisher = try TreePublisher.open(opened.map, opened.identity)
                #expect(publisher.history.current == ledger.key.verifier)
                #expect(publisher.history.rotations.count == 1)
            }
        }
    }

    @Test func `whoever knows one of the keys knows all, as far as each was the ledger's`() throws {
        let ledger = try SignedLedger.make(overlap: .zero)
        let all = try ledger.checkpoints()
        let (old, new) = (ledger.oldKeys[0], ledger.key)
        for known in [old.verifier, new.verifier] {
            for kept in [all[0], all[5]] {
                let result = try Self.findings(ledger.volume, anchors: [kept], keys: [known])
                #expect(result.findings == [] && result.anchoredSize == kept.checkpoint.size)
            }
        }
        // Made with the old key when it was no more: by a thief.
        let forged = SignedDamageKinds.signed(all[5].checkpoint, by: [old])
        for known in [[], [old.verifier], [new.verifier]] {
            let result = try Self.findings(ledger.volume, anchors: [forged], keys: known)
            #expect(result.findings.map(\.code) == [.anchorUnsigned], "\(result.findings)")
            #expect(result.anchoredSize == nil)
        }
    }

    @Test func `cosignatures that a policy asks for must be on what is brought`() throws {
        let ledger = try SignedLedger.make()
        let witness = NoteSigner(
            name: "w.example", type: .cosignature, Ed25519Key(seed: Array(repeating: 5, count: 32)))
        var kept = try ledger.checkpoints()[3]
        func codes() throws -> [Finding.Code] {
            var options = Verifier.Options()
            options.anchors = [(kept, "kept")]
            options.policy = try WitnessPolicy("witness w \(witness.verifier)\nquorum w\n")
            return try Verifier(ledger.volume, options, isBeingWritten: false).run().findings
                .map(\.code)
        }
        #expect(try codes() == [.anchorUnsigned])
        kept.note.add(witness.signature(of: kept.note.text, time: 7))
        #expect(try codes() == [])
        var forged = witness.signature(of: kept.note.text, time: 7)
        forged.payload[20] ^= 1
        kept.note = SignedNote(
            text: kept.note.text, signatures: [kept.note.signatures[0], forged])
        #expect(try codes() == [.anchorUnsigned])
    }

    @Test func `during an overlap both keys sign, after it the new one alone`() throws {
        func signers(_ overlap: Duration) throws -> [Int] {
            let ledger = try SignedLedger.make(batches: 8, overlap: overlap)
            return try ledger.checkpoints().map(\.note.signatures.count)
        }
        #expect(try signers(.zero) == [1, 1, 1, 1, 1, 1, 1, 1])
        #expect(try signers(.milliseconds(2500)) == [1, 1, 1, 1, 2, 2, 2, 1])
        #expect(try signers(.seconds(3600)) == [1, 1, 1, 1, 2, 2, 2, 2])
    }
}
