import LedgerFormat
import LedgerStorage
import LedgerTestSupport
import PipelineWorkload
import TestSupport
import Testing

/// A ledger is made whole, or made again.
@Suite struct CreationTests {
    private static func create(_ volume: SimulatedVolume, seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        if try Ledger.isUnfinishedCreation(volume) { try Ledger.removeUnfinishedCreation(volume) }
        _ = try Ledger.create(
            in: volume, origin: "test.example/ledger", segmentBytes: 8192,
            now: Timestamp(microseconds: 1_780_000_000_000_000), using: &generator)
    }

    @Test(arguments: 0..<20)
    func `wherever the power fails, the folder is a ledger or can be made one`(seed: Int) throws {
        let whole = SimulatedVolume(seed: UInt64(seed))
        try Self.create(whole, seed: 1)
        for calls in 1...whole.calls {
            let volume = SimulatedVolume(seed: UInt64(seed))
            volume.cutPower(after: calls)
            try? Self.create(volume, seed: 1)
            let after = volume.afterPowerCut()
            if after.bytes(of: "identity") == nil {
                let isMine = try Ledger.isUnfinishedCreation(after)
                #expect(isMine || after.paths.isEmpty, "call \(calls): \(after.paths)")
                try Self.create(after, seed: 2)
            }
            let opened = try Ledger.open(after)
            #expect(opened.damage == nil, "call \(calls)")
            #expect(after.bytes(of: "key") != nil, "call \(calls)")
        }
    }
}
