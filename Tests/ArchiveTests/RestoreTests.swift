import Archive
import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import ObjectStore
import PipelineWorkload
import Platform
import Publishing
import TestSupport
import Testing
import Verification

/// What comes back from a folder as a store.
struct RestoreTests {
    @Test func `any checkpoint brings back what it covers, byte by byte`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let settings = StoreSettings(try StoreURL("file://\(folder.path)"))
        let store = try settings.open { _ in nil }
        let (volume, checkpoints) = try Self.ship(to: store)
        var generator = SeededGenerator(seed: 5)
        let ledger = try ShippedLedger([store], nil, Shipping.once)
        for number in 0..<1000 {
            let wanted = checkpoints.randomElement(using: &generator)!.checkpoint
            let restored = SimulatedVolume(seed: 1)
            let (size, findings) = try Restoration(
                ledger, to: restored, .size(wanted.size), Shipping.once
            ).run { _, _ in }
            let verification = try Verifier(restored, isBeingWritten: false).run()
            #expect(
                size == wanted.size && findings.isEmpty && verification.isSound
                    && verification.root == wanted.root,
                "restore \(number), of \(wanted.size) entries: \(verification.findings)")
            for path in restored.paths where path.hasPrefix("segments/") {
                let (ours, whole) = (restored.bytes(of: path)!, volume.bytes(of: path)!)
                #expect(whole.starts(with: ours), "restore \(number): \(path)")
            }
        }
    }

    /// Ships a ledger of more than twenty segments. Returns it, and what it published.
    private static func ship(
        to store: any ObjectStore
    ) throws -> (SimulatedVolume, [SignedCheckpoint]) {
        var fixture = try LedgerFixture.make(seed: 3, segmentBytes: 8192)
        let volume = fixture.volume
        var publisher = try TreePublisher.open(fixture.map, Ledger.identity(volume))
        let source = try FixtureSource(volume, fixture.map)
        let place = try ArchivePlace(store, source, Shipping.once)
        try place.claim(Shipping.once)
        var parts = PartShipper(place, source, Shipping.once)
        var segments = SegmentShipper(place, source, Shipping.once)
        try segments.resume(source.state())
        for _ in 0..<120 {
            try fixture.appendRandom(2)
            fixture.now.microseconds += 1_000_000
            try publisher.catchUp(atMost: .max)
            _ = try publisher.sign(lastReceivedAt: fixture.map.head.lastReceivedAt!)
            source.set(fixture.map, checkpointBytes: publisher.checkpointBytes)
            if parts.next == nil { try parts.resume(source.state()) }
            while try parts.ship(source.state()) {}
            while try segments.ship(source.state()) != nil {}
        }
        #expect(fixture.map.extents.count > 20)
        var cursor = try CheckpointCursor(volume.open(LedgerLayout.checkpoints, .read))
        var checkpoints: [SignedCheckpoint] = []
        while case .record(let record) = try cursor.next() { checkpoints.append(record.published) }
        #expect(checkpoints.count > 100)
        return (volume, checkpoints)
    }
}
