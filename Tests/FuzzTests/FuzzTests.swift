import DaemonTestSupport
import Foundation
import LedgerFormat
import LedgerIndex
import LedgerStorage
import LedgerTestSupport
import Packets
import PipelineWorkload
import Platform
import Publishing
import TestSupport
import Testing
import Verification

/// Every reader of bytes from outside, over inputs changed at random: no trap, no hang, no more memory
/// than a ledger's files need. An input that failed once belongs in `Corpus`.
@Suite(.serialized) struct FuzzTests {
    /// How long each reader is tried.
    private static let time: Duration = Soak.isSoak ? .seconds(600) : .seconds(10)
    private static let memoryMax = 512 << 20

    /// Feeds a reader until the time is over; `body` gets a changed input, and which of the corpus it was.
    private static func fuzz(
        _ name: String, _ corpus: [[UInt8]], _ body: ([UInt8], Int) throws -> Void
    ) throws {
        let seed =
            ProcessInfo.processInfo.environment["STARDUST_FUZZ_SEED"].flatMap { UInt64($0) }
            ?? .random(in: .min ... .max)
        print("fuzz: \(name), seed \(seed)")
        var mutator = Mutator(generator: SeededGenerator(seed: seed))
        let end = ContinuousClock.now + time
        var count = 0
        for (origin, input) in corpus.enumerated() { try body(input, origin) }
        while ContinuousClock.now < end {
            let (input, origin) = mutator.mutated(corpus)
            let start = ContinuousClock.now
            try body(input, origin)
            // A hang, on whatever machine.
            let took = ContinuousClock.now - start
            #expect(took < .seconds(60), "seed \(seed), input \(count): \(took)")
            count += 1
        }
        let resident = ProcessMemory.residentBytes
        print("fuzz: \(name): \(count) inputs, \(resident >> 20) MiB")
        // Other suites share the process, unless they run one after the other.
        #expect(!Soak.isSoak || resident < memoryMax)
        #expect(count > 10)
    }

    private static let signed = Result { try SignedLedger.make(overlap: .seconds(3600)) }

    /// One file of a ledger is changed; every judge reads it.
    @Test(arguments: [
        "segments/", "ids/", "checkpoint", "identity closed", "tree/",
    ])
    func `files of a ledger`(kind: String) throws {
        let volume = try Self.signed.get().volume
        let starts = kind.split(separator: " ")
        let paths = volume.paths.filter { path in
            starts.contains { path.hasPrefix($0) }
        }
        #expect(!paths.isEmpty)
        try Self.fuzz(kind, paths.map { volume.bytes(of: $0)! }) { bytes, origin in
            let copy = volume.copy()
            copy.put(paths[origin], bytes)
            var options = Verifier.Options()
            options.threads = 1
            _ = try Verifier(copy, options, isBeingWritten: false).run()
            do throws(OpenFailure) {
                let opened = try Ledger.open(copy)
                _ = try TreePublisher.open(opened.map, opened.identity)
            } catch {}
        }
    }

    @Test func `runs of the index`() throws {
        let volume = SimulatedVolume(seed: 5)
        let identity = Digest.sha256([1])
        let index = try TermIndex(volume, identity: identity) { _ in nil }
        var scanner = TermScanner(key: index.key)
        for number in 0..<300 {
            let payload = Sample.numbered(number).bytes
            let entry = Entry(
                kind: .packet, flags: [], position: Position(UInt64(number)),
                receivedAt: Timestamp(microseconds: 0),
                stardustID: UUID128(high: 0, low: UInt64(number)),
                createdAt: Timestamp(microseconds: 0), peer: Entry.Peer(uid: 0, gid: 0),
                payloadBytes: UInt64(payload.count), payloadDigest: .sha256(payload),
                previous: .zero)
            let isReadable = scanner.scan(payload.span, digest: entry.payloadDigest)
            index.add(TermBuffer.Packet(entry, hash: .zero), scanner, isReadable: isReadable)
        }
        index.beginBuffer()
        while try index.writeWaitingBuffer() {}
        let path = "index/" + (try volume.list("index"))[0]
        try Self.fuzz("run", [volume.bytes(of: path)!]) { bytes, _ in
            let copy = volume.copy()
            copy.put(path, bytes)
            for run in try RunAudit.runs(copy, report: { _, _ in }) { _ = try? run.damage() }
            guard let again = try? TermIndex(copy, identity: identity, hash: { _ in Digest.zero })
            else { return }
            var walk = again.snapshot().walk([scanner.terms[0]], in: 0..<300)
            while let found = try? walk.next(), found.value < 300 {}
        }
    }

    @Test func `packets`() throws {
        let packets = Array(Pipeline(creators: 1).packets.prefix(50))
        var reader = PacketReader()
        var scanner = TermScanner(key: .random())
        try Self.fuzz("packets", packets + Corpus.payloads) { bytes, _ in
            _ = try? reader.read(bytes.span)
            _ = scanner.scan(bytes.span, digest: .zero)
            _ = PayloadEnds.read(bytes.span)
            if let document = try? JSONDocument(bytes) {
                _ = try? isSameJSON(bytes, bytes + [0x20])
                _ = document
            }
        }
    }

    @Test func `notes, keys, proofs and policies`() throws {
        let ledger = try Self.signed.get()
        let checkpoints = try ledger.checkpoints()
        let proof = TLogProof(
            extra: [UInt8](repeating: 1, count: 160), index: 1, path: [.zero],
            checkpoint: checkpoints[0].note.bytes)
        let policy = Array(
            "log \(ledger.key.verifier)\nwitness w \(ledger.key.verifier) http://a:1\ngroup g 1 w\nquorum g\n"
                .utf8)
        try Self.fuzz(
            "notes", checkpoints.map(\.note.bytes) + [proof.bytes, policy] + Corpus.notes
        ) { bytes, _ in
            _ = try? SignedNote(bytes)
            if let checkpoint = try? SignedCheckpoint(bytes) {
                _ = try? checkpoint.note.signers(among: [ledger.key.verifier])
            }
            if let proof = try? TLogProof(bytes) {
                _ = try? ProofCheck(proof, [ledger.key.verifier], payload: [1], nil)
            }
            let text = String(decoding: bytes, as: UTF8.self)
            _ = try? NoteVerifier(text)
            _ = NoteSigner(text)
            _ = try? WitnessPolicy(text)
            _ = try? KeyRotation(payload: bytes)
            _ = try? LedgerIdentity(fileContent: bytes)
            _ = CloseMarker(fileContent: bytes)
        }
    }

    @Test func `witness requests and answers`() throws {
        let ledger = try Self.signed.get()
        let checkpoint = try ledger.checkpoints()[0]
        let volume = SimulatedVolume(seed: 2)
        var generator = SeededGenerator(seed: 9)
        var witness = try Witness.open(
            volume, name: "w", logs: [ledger.oldKeys[0].verifier], using: &generator)
        let body = Array("old 0\n\n".utf8) + checkpoint.note.bytes
        try Self.fuzz("witness", [body, Array("old 4\n".utf8) + body]) { bytes, _ in
            _ = witness.add(bytes)
            for status in [200, 409, 422] {
                var exchange = WitnessExchange(
                    checkpoint, key: witness.signer.verifier, oldSize: LedgerSize(3),
                    hasCosigned: true, retries: 1)
                _ = exchange.take(
                    PlainAnswer(status: status, contentType: "text/x.tlog.size", body: bytes))
            }
        }
    }

    @Test func `requests over the socket`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        func post(_ path: String, _ type: String, _ body: String) -> [UInt8] {
            Array(
                "POST \(path) HTTP/1.1\r\nhost: x\r\ncontent-type: \(type)\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
                    .utf8)
        }
        let packet = String(decoding: Sample.packet(Sample.id), as: UTF8.self)
        let corpus =
            [
                post("/v1/packets", "application/json", packet),
                post("/v1/packets?receipts=end", "application/x-ndjson", packet + "\n0\n" + packet),
                post(
                    "/v1/model/changes", "application/x-ndjson",
                    String(try ExamplePipeline.changes().prefix(2000))),
                post(
                    "/v1/model/sql", "application/json",
                    #"{"sql": "SELECT * FROM clips WHERE a LIKE '%b%' AND b GLOB '[a-z]*'", "parameters": [1]}"#
                ),
            ]
            + [
                "/v1/packets?lineage=%7B%22event%22:%22x%22%7D&count=true&limit=3",
                "/v1/packets/\(ExamplePipeline.upload)/chain?direction=both&format=dot",
                "/v1/entries/3/proof", "/tile/0/000.p/12", "/v1/proofs/consistency?from=3&to=40",
                "/v1/model/tables/clips?limit=2",
                "/v1/entities/clips/\(ExamplePipeline.clip)/packets?order=desc&as_of=30",
            ].map { Array("GET \($0) HTTP/1.1\r\nhost: x\r\n\r\n".utf8) }
        try Self.fuzz("socket", corpus) { bytes, _ in
            let client = try HTTPClient(daemon.socket)
            try? client.send(bytes)
            client.finishSending()
            _ = client.isClosed()
        }
        #expect(try HTTPClient(daemon.socket).get("/livez").status == 200)
        #expect(ProcessMemory.residentBytes(ofProcess: String(daemon.pid)) < Self.memoryMax)
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify("--packets").status == 0)
    }
}

/// Inputs that failed once.
enum Corpus {
    static let payloads: [[UInt8]] = [
        "1e", "1e\(String(repeating: "9", count: 40))", "-++++++++++++++++++",
    ].map {
        Array(
            #"{"entity_type":"clips","entity_id":"c11b0000-0000-4000-8000-00000000c11b","lineage":{"a":\#($0)}}"#
                .utf8)
    }
    static let notes: [[UInt8]] = ["quorum none # x\r\nrubbish", "quorum none\r\n"].map {
        Array($0.utf8)
    }
}
