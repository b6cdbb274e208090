import LedgerFormat
import TestSupport
import Testing

/// Signed notes, keys, tiles' paths and policies as others write them.
@Suite struct NoteTests {
    private static let key = NoteSigner(
        name: "log.example/a", Ed25519Key(seed: Array(repeating: 3, count: 32)))
    private static let other = NoteSigner(
        name: "log.example/a", Ed25519Key(seed: Array(repeating: 4, count: 32)))
    private static let text = Array("log.example/a\n7\nroot\n".utf8)

    @Test func `the example of the specification is verified`() throws {
        let key = try NoteVerifier(
            "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
        #expect(
            String(hexadecimal: key.publicKey)
                == "e932791ae6e7a840a46164c904786426d5e7821dd8b29a00d61cae72afdd4da4")
        let note = """
            This is an example message.

            — example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3\
            mFXmRKuwHjG1Yu72IneyaQM=

            """
        #expect(try SignedNote(Array(note.utf8)).signers(among: [key]) == [key])
    }

    @Test func `a text with blank lines is split at the last one`() throws {
        let text = Array("a\n\nb\n\nc\n".utf8)
        let note = SignedNote(text: text, signatures: [Self.key.signature(of: text)])
        #expect(try SignedNote(note.bytes) == note)
    }

    @Test func `unknown keys are passed over, a bad signature of a known one is not`() throws {
        var note = SignedNote(text: Self.text)
        #expect(throws: SignedNote.Failure.noKnownKey) {
            try note.signers(among: [Self.key.verifier])
        }
        // What real logs add to see whether others survive it: a line under the log's own name.
        note.add(
            .init(
                key: NoteKeyName(name: Array("log.example/a".utf8), keyID: 1),
                payload: [9, 9, 9, 9, 9]))
        note.add(Self.other.signature(of: Self.text))
        note.add(Self.key.signature(of: Self.text))
        let read = try SignedNote(note.bytes)
        #expect(try read.signers(among: [Self.key.verifier]) == [Self.key.verifier])
        // The first line of a key counts.
        var forged = SignedNote(text: Self.text, signatures: [Self.key.signature(of: [0x0A])])
        forged.add(Self.key.signature(of: Self.text))
        #expect(throws: SignedNote.Failure.badSignature(Self.key.verifier.keyName)) {
            try forged.signers(among: [Self.key.verifier])
        }
    }

    @Test(arguments: [
        "", "\n", "text\n", "text\n\n", "text\n\n— a AAAA\n", "text\n\n— a AAAAAAA\n",
        "text\n\n- a AAAAAAAA\n", "text\n\n— a+b AAAAAAAA\n", "text\n\n—  AAAAAAAA\n",
        "text\n\n— a AAAAAAA=\nx\n", "text\n\n— a AAAAAAB=\n", "t\u{1}\n\n— a AAAAAAA=\n",
        "text\n\n— a AAAAAAA= \n", "text\n\n— a AAAAAAA=",
    ])
    func `what is no note is refused`(text: String) {
        #expect(throws: SignedNote.DecodeError.self) { try SignedNote(Array(text.utf8)) }
    }

    @Test func `more signatures than anybody reads are refused, and notes that are too long`() {
        let line = "— a AAAAAAA=\n"
        #expect(throws: Never.self) {
            try SignedNote(Array(("t\n\n" + String(repeating: line, count: 100)).utf8))
        }
        #expect(throws: SignedNote.DecodeError.tooManySignatures) {
            try SignedNote(Array(("t\n\n" + String(repeating: line, count: 101)).utf8))
        }
        #expect(throws: SignedNote.DecodeError.tooLong) {
            try SignedNote(Array(repeating: 0x61, count: SignedNote.bytesMax + 1))
        }
    }

    @Test(arguments: [
        "", "a", "a+b", "a+00000000+AQ==", "a+9d1e5559+", "+9d1e5559+AQ==",
        // The right key under a wrong ID, in upper case, and of a type that nobody here knows.
        "stardust.example/vectors+9d1e5558+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "stardust.example/vectors+9D1E5559+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
        "stardust.example/vectors+9d1e5559+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG5",
        "\(NoteVerifier(name: "a", type: SignatureType(rawValue: 6), publicKey: [1, 2, 3]))",
        // Points of small order, under which a signature of nothing holds: 1 in its two encodings,
        // and one of order 4.
        "\(NoteVerifier(name: "a", type: .ed25519, publicKey: [1] + [UInt8](repeating: 0, count: 31)))",
        "\(NoteVerifier(name: "a", type: .ed25519, publicKey: [0xEE] + [UInt8](repeating: 0xFF, count: 30) + [0x7F]))",
        "\(NoteVerifier(name: "a", type: .ed25519, publicKey: [UInt8](repeating: 0, count: 32)))",
    ])
    func `what is no verifier key is refused`(text: String) {
        #expect(throws: NoteVerifier.DecodeError.self) { try NoteVerifier(text) }
    }

    @Test(arguments: [
        "", "a\n1\n", "a\n1\nAAAA\n", "a b\n1\n\(Merkle.emptyRoot.base64)\n",
        "a\n01\n\(Merkle.emptyRoot.base64)\n", "a\n-1\n\(Merkle.emptyRoot.base64)\n",
        "a\n18446744073709551616\n\(Merkle.emptyRoot.base64)\n",
        "a\n1\n\(Merkle.emptyRoot.base64)\n\n", "a\n1\n\(Merkle.emptyRoot.base64)",
        "a\n0\n\(Digest.sha256([1]).base64)\n",
    ])
    func `what is no checkpoint is refused`(text: String) {
        #expect(throws: Checkpoint.DecodeError.self) { try Checkpoint(text: Array(text.utf8)) }
    }

    @Test func `a checkpoint keeps lines that it does not know`() throws {
        let text = Array("a\n5\n\(Digest.sha256([1]).base64)\nmore\nand more\n".utf8)
        let checkpoint = try Checkpoint(text: text)
        #expect(checkpoint.extensions == ["more", "and more"] && checkpoint.text == text)
    }

    // MARK: Tiles

    @Test(arguments: [
        (Tile(.hashes(level: 0), index: 0), "tile/0/000"),
        (Tile(.hashes(level: 1), index: 999, count: 17), "tile/1/999.p/17"),
        (Tile(.hashes(level: 2), index: 1000), "tile/2/x001/000"),
        (Tile(.entries, index: 1_234_067), "tile/entries/x001/x234/067"),
    ])
    func `a tile's path is that of the specification`(tile: Tile, path: String) {
        #expect(tile.path == path)
        #expect(Tile(path: path.split(separator: "/").dropFirst()) == tile)
    }

    @Test(arguments: [
        "", "0", "0/", "0/0", "0/00", "0/0000", "0/x000/001", "0/001/000", "0/x01/000", "00/000",
        "64/000", "-1/000", "entry/000", "0/000.p", "0/000.p/0", "0/000.p/256", "0/000.p/01",
        "0/000.p/1/1", "0/.p/1", "0/000.q/1", "0/x001", "0/٠٠٠", "0/000.p/٣",
        "0/x999/x999/x999/x999/x999/x999/x999/999",
    ])
    func `another spelling of a tile's path is none`(path: String) {
        #expect(Tile(path: path.split(separator: "/", omittingEmptySubsequences: false)) == nil)
    }

    @Test func `the tiles of a size are those of the specification's examples`() {
        #expect(
            Tile.all(LedgerSize(256)).map(\.path) == [
                "tile/entries/000", "tile/0/000", "tile/1/000.p/1",
            ])
        #expect(Tile.all(LedgerSize(0)).isEmpty)
        let paths = Set(Tile.all(LedgerSize(70_000)).map(\.path))
        for path in ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"] {
            #expect(paths.contains(path))
        }
        #expect(!Tile(.hashes(level: 0), index: .max).isCovered(by: LedgerSize(.max)))
        #expect(!Tile(.hashes(level: 63), index: 0, count: 1).isCovered(by: LedgerSize(.max)))
    }

    // MARK: Proof files

    @Test func `a proof file is read as it was written, with and without extra data`() throws {
        for extra in [nil, [], [1, 2, 3]] as [[UInt8]?] {
            let proof = TLogProof(
                extra: extra, index: 5, path: [.sha256([1]), .sha256([2])], checkpoint: [0x61])
            #expect(try TLogProof(proof.bytes) == proof)
        }
    }

    @Test(arguments: [
        "", "c2sp.org/tlog-proof@v2\nindex 0\n\nx", "c2sp.org/tlog-proof@v1\nindex 00\n\nx",
        "c2sp.org/tlog-proof@v1\nextra ?\nindex 0\n\nx", "c2sp.org/tlog-proof@v1\n\nx",
        "c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nx", "c2sp.org/tlog-proof@v1\nindex 0\n\n",
        "c2sp.org/tlog-proof@v1\nindex 0", "c2sp.org/tlog-proof@v1\nindex 0\nextra AA==\n\nx",
    ])
    func `what is no proof file is refused`(text: String) {
        #expect(throws: TLogProof.DecodeError.self) { try TLogProof(Array(text.utf8)) }
    }

    // MARK: Policies

    private static let witnesses = (0..<3).map {
        NoteSigner(
            name: "w\($0).example", type: .cosignature,
            Ed25519Key(seed: Array(repeating: UInt8(50 + $0), count: 32))
        ).verifier
    }

    private static func policy(_ rules: String) throws -> WitnessPolicy {
        let known = witnesses.enumerated().map { "witness w\($0) \($1) http://w\($0).example\n" }
        return try WitnessPolicy("# ours\nlog \(key.verifier)\n\n" + known.joined() + rules)
    }

    @Test(arguments: [
        ("quorum none", [true, true, true, true]),
        ("quorum w1", [false, false, true, true]),
        ("group g any w0 w1 w2\nquorum g", [false, true, true, true]),
        ("group g 2 w0 w1 w2\nquorum g # k of n", [false, false, true, true]),
        ("group g all w0 w1 w2\nquorum g", [false, false, false, true]),
        ("group a all w0 w1\ngroup b any a w2\nquorum b", [false, false, true, true]),
    ])
    func `a policy counts whose cosignatures are there`(rules: String, expected: [Bool]) throws {
        let policy = try Self.policy(rules)
        for (count, isEnough) in expected.enumerated() {
            let keys = Array(Self.witnesses.prefix(count))
            #expect(policy.isSatisfied(by: keys) == isEnough, "\(count)")
        }
    }

    @Test(arguments: [
        ("", "no quorum"), ("quorum x", "not defined"), ("quorum", "one name"),
        ("quorum w0\nquorum w1", "second quorum"), ("group g 0 w0\nquorum g", "neither"),
        ("group g 2 w0\nquorum g", "neither"), ("group g any\nquorum g", "members"),
        ("group g any x\nquorum g", "not defined"), ("group w0 any w1\nquorum w0", "already"),
        ("group a any w0\ngroup b any w0\nquorum b", "in a group"), ("vote w0", "not one of"),
        ("group g any w0 w0\nquorum g", "in a group"), ("witness none x", "cannot be used"),
        ("witness a b c d", "an optional URL"), ("witness a nokey", "not a verifier key"),
        ("log", "an optional URL"), ("log nokey", "not a verifier key"),
        ("witness again \(witnesses[0])", "another witness"),
        ("witness l \(key.verifier)", "not a witness"),
        // A comment ends with its line, also if that ends with two characters.
        ("quorum w0 # x\r\nquorum w1\r\n", "second quorum"),
        ("quorum w0 # x\rquorum w1", "carriage return"),
    ])
    func `a mistake in a policy is named with its line`(rules: String, problem: String) {
        do {
            _ = try Self.policy(rules)
            Issue.record("taken: \(rules)")
        } catch {
            #expect("\(error)".contains(problem) && "\(error)".hasPrefix("line "), "\(error)")
        }
    }

    @Test func `base64 has one spelling`() {
        for text in ["AA", "AA=", "AB==", "A A=", "AA==\n", "AAA=AAAA", "====", "AA==AA==", "-_8="]
        {
            #expect(Base64.decoded(text.utf8) == nil, "\(text)")
        }
        for bytes in [[], [0], [255, 254], [1, 2, 3]] as [[UInt8]] {
            #expect(Base64.decoded(Base64.encoded(bytes).utf8) == bytes)
        }
    }
}
