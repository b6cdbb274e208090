import LedgerFormat
import LedgerStorage
import Packets
import PipelineWorkload
import Platform
import Publishing
import Verification

/// A ledger driven without threads: batches in, receipts out, on any volume. It keeps what was
/// acknowledged, and checks it against the files after each step.
package struct LedgerFixture: ~Copyable {
    package let volume: SimulatedVolume
    package private(set) var map: LedgerMap
    package var writer: LedgerWriter
    package private(set) var acknowledged: [Acknowledged]
    private let segmentBytes: Int
    private var generator: SeededGenerator
    package var now = Timestamp(microseconds: 1_780_000_000_000_000)

    package struct Acknowledged: Sendable, Equatable {
        package var id: UUID128
        package var position: Position
        package var hash: Digest
        package var payload: [UInt8]
    }

    package struct Refused: Error {
        package var reason: String
    }

    /// Makes a ledger of small segments and opens it.
    package static func make(
        seed: UInt64, segmentBytes: Int = 8192
    ) throws -> LedgerFixture {
        let volume = SimulatedVolume(seed: seed)
        var generator = SeededGenerator(seed: seed)
        _ = try Ledger.create(
            in: volume, origin: "test.example/ledger", segmentBytes: segmentBytes,
            now: Timestamp(microseconds: 1_780_000_000_000_000), using: &generator)
        try volume.syncFolder("")
        return try LedgerFixture(opening: volume, acknowledged: [], segmentBytes, generator)
    }

    /// Opens what is there. Throws where it is damaged.
    package init(
        opening volume: SimulatedVolume, acknowledged: [Acknowledged] = [],
        _ segmentBytes: Int = 8192, _ generator: SeededGenerator = SeededGenerator(seed: 1),
        archive: (any ArchivedBytes)? = nil
    ) throws {
        var opened = try Ledger.open(volume, archive: archive)
        if let damage = opened.damage { throw Refused(reason: damage.description) }
        self.volume = volume
        map = opened.map
        writer = opened.writer.take()!
        self.acknowledged = acknowledged
        self.segmentBytes = segmentBytes
        self.generator = generator
    }

    /// A packet of about this size.
    package static func payload(_ id: UUID128, bytes: Int = 0) -> [UInt8] {
        let head = """
            {"stardust_id":"\(id)","entity_type":"clips",\
            "entity_id":"c11b0000-0000-4000-8000-00000000c11b","lineage":{\
            "trace_id":"7d3f0a52-6f0d-4f6e-8c1b-1a2b3c4d5e6f","_meta_parents":[],"why":"
            """
        let tail = "\"},\"created_at\":\"2026-09-14T10:42:07.311Z\"}"
        let filler = String(
            repeating: "x", count: max(0, bytes - head.utf8.count - tail.utf8.count))
        return Array((head + filler + tail).utf8)
    }

    package mutating func newID() -> UUID128 { .random(using: &generator) }

    /// Appends packets as one batch or, where a segment ends, several. Returns when durable.
    package mutating func append(_ payloads: [[UInt8]]) throws {
        var staged: [Acknowledged] = []
        for payload in payloads {
            if !writer.hasRoom(payloadBytes: payload.count) {
                try commit(&staged)
                try writer.roll(into: PreparedSegment(volume, bytes: segmentBytes))
            }
            var reader = PacketReader()
            let facts = try reader.read(payload.span)
            let draft = LedgerWriter.Draft(
                stardustID: facts.stardustID, createdAt: facts.createdAt,
                payloadDigest: .sha256(payload), peer: Entry.Peer(uid: 1000, gid: 1000))
            switch try writer.stage(draft, payload: payload.span, now: now, using: &generator) {
            case .appended(let entry, let hash):
                staged.append(
                    Acknowledged(
                        id: entry.stardustID, position: entry.position, hash: hash,
                        payload: payload))
            case .present: break
            }
        }
        try commit(&staged)
    }

    private mutating func commit(_ staged: inout [Acknowledged]) throws {
        try writer.commit()
        acknowledged += staged
        staged = []
    }

    /// Appends a batch of `count` packets of random sizes.
    package mutating func appendRandom(_ count: Int) throws {
        var payloads: [[UInt8]] = []
        for _ in 0..<count {
            payloads.append(
                Self.payload(newID(), bytes: Int.random(in: 0...1500, using: &generator)))
        }
        try append(payloads)
    }

    /// What acknowledged packets the ledger has lost, changed or doubled; and what `verify` finds.
    package func problems() throws -> [String] {
        var problems: [String] = []
        for packet in acknowledged {
            guard let record = try map.read(packet.position) else {
                problems.append("position \(packet.position) is gone")
                continue
            }
            if record.payload != packet.payload || record.entryHash != packet.hash {
                problems.append("position \(packet.position) has changed")
            }
            if try map.position(of: packet.id) != packet.position {
                problems.append("\(packet.id) is not found at \(packet.position)")
            }
        }
        let verification = try Verifier(volume, isBeingWritten: true).run()
        return problems + verification.findings.map(\.description)
    }
}

extension LedgerFixture {
    /// A sound ledger of several segments, closed, as files.
    package static func closedLedger(
        seed: UInt64 = 7, packets: Int = 24, segmentBytes: Int = 8192
    ) throws -> SimulatedVolume {
        var fixture = try make(seed: seed, segmentBytes: segmentBytes)
        for _ in 0..<packets / 4 { try fixture.appendRandom(4) }
        try fixture.writer.writeCloseMarker()
        return fixture.volume
    }
}

/// A ledger with its checkpoints, and the keys that sign them.
package struct SignedLedger {
    package let volume: SimulatedVolume
    /// The key that is the ledger's in the end.
    package let key: NoteSigner
    /// Those before it.
    package let oldKeys: [NoteSigner]
    package let origin: String

    /// Appends batches and signs after each. Where `overlap` is given, the key changes in the
    /// middle. `changed` is a batch that is another than it would be.
    package static func make(
        seed: UInt64 = 7, batches: Int = 6, perBatch: Int = 4, segmentBytes: Int = 8192,
        overlap: Duration? = nil, changed: Int? = nil
    ) throws -> SignedLedger {
        var fixture = try LedgerFixture.make(seed: seed, segmentBytes: segmentBytes)
        let (volume, identity) = (fixture.volume, try Ledger.identity(fixture.volume))
        var publisher = try TreePublisher.open(fixture.map, identity)
        var keys = [try key(volume, identity.verifierKey, LedgerLayout.key)]
        for batch in 0..<batches {
            if batch == batches / 2, let overlap {
                var generator = SeededGenerator(seed: seed + 1)
                let rotation = try KeyChange.perform(
                    on: volume, keys: volume, overlap: overlap, now: fixture.now,
                    using: &generator)
                keys.append(
                    try key(volume, rotation.newKey, LedgerLayout.key(rotation.newKey)))
                let now = fixture.now
                fixture = try LedgerFixture(
                    opening: volume, acknowledged: [], segmentBytes,
                    SeededGenerator(seed: seed + 2))
                fixture.now = now
                publisher = try TreePublisher.open(fixture.map, identity)
            }
            if batch == changed { _ = fixture.newID() }
            try fixture.appendRandom(perBatch)
            fixture.now.microseconds += 1_000_000
            try publisher.catchUp(atMost: .max)
            _ = try publisher.sign(lastReceivedAt: fixture.map.head.lastReceivedAt!)
        }
        try publisher.close()
        try fixture.writer.writeCloseMarker()
        return SignedLedger(
            volume: volume, key: keys.removeLast(), oldKeys: keys, origin: identity.origin)
    }

    private static func key(
        _ volume: any Volume, _ verifier: NoteVerifier, _ path: String
    ) throws -> NoteSigner {
        NoteSigner(String(decoding: try volume.content(of: path), as: UTF8.self))!
    }

    /// The checkpoints in order.
    package func checkpoints() throws -> [SignedCheckpoint] {
        var cursor = try CheckpointCursor(volume.open(LedgerLayout.checkpoints, .read))
        var found: [SignedCheckpoint] = []
        while case .record(let record) = try cursor.next() { found.append(record.published) }
        return found
    }

    /// Puts other checkpoints in their place, the newest beside them.
    package func put(_ checkpoints: [SignedCheckpoint]) {
        volume.put(
            LedgerLayout.checkpoints,
            checkpoints.reduce([]) { $0 + CheckpointCursor.record($1.note.bytes) })
        volume.put(LedgerLayout.checkpoint, checkpoints.last?.note.bytes)
    }
}
