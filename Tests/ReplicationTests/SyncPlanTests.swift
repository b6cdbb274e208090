import ReadModel
import Replication
import Testing

/// How to go on, for what stands here and at the source.
@Suite struct SyncPlanTests {
    static func state(_ change: (inout ModelState) -> Void = { _ in }) -> ModelState {
        var state = ModelState(.postgres, .live, lsn: LSN(1000))
        (state.slot, state.publication) = ("stardust", "stardust")
        (state.systemID, state.timeline) = ("7", 1)
        change(&state)
        return state
    }

    static func plan(
        _ state: ModelState?, _ slot: SlotFacts?, unfinished: Bool = false, creates: Bool = true,
        resyncs: Bool = false, systemID: String = "7", timeline: Int64 = 1,
        name: String = "stardust"
    ) -> String {
        let plan = SyncPlan(
            SyncPlan.Facts(
                state: state, hasUnfinishedCopy: unfinished, slotName: name, slot: slot,
                systemID: systemID, timeline: timeline, creates: creates, resyncs: resyncs))
        return switch plan {
        case .stream: "stream"
        case .copy(let dropsSlot, _): dropsSlot ? "copy, dropping" : "copy"
        case .refuse(let reason): "refuse: \(reason)"
        case .outdated(let reason): "outdated: \(reason)"
        }
    }

    static let slot = SlotFacts(isOurKind: true, confirmed: LSN(1000))

    @Test func `what is sound goes on`() {
        #expect(Self.plan(Self.state(), Self.slot) == "stream")
        #expect(Self.plan(Self.state(), Self.slot, creates: false) == "stream")
        #expect(Self.plan(Self.state(), SlotFacts(isOurKind: true, confirmed: LSN(10))) == "stream")
        #expect(Self.plan(Self.state(), SlotFacts(isOurKind: true, confirmed: nil)) == "stream")
        #expect(
            Self.plan(
                Self.state(), SlotFacts(isOurKind: true, confirmed: LSN(1), walStatus: "unreserved")
            )
                == "stream")
    }

    @Test func `what is new, or lost for reasons that are known, is copied`() {
        #expect(Self.plan(nil, nil) == "copy")
        #expect(Self.plan(nil, Self.slot, unfinished: true) == "copy, dropping")
        #expect(Self.plan(nil, nil, unfinished: true) == "copy")
        #expect(Self.plan(Self.state(), nil) == "copy")
        #expect(
            Self.plan(
                Self.state(), SlotFacts(isOurKind: true, confirmed: LSN(1), walStatus: "lost"))
                == "copy, dropping")
        #expect(Self.plan(Self.state(), Self.slot, timeline: 2) == "copy, dropping")
        // Another server: a slot of this name there is not ours.
        #expect(Self.plan(Self.state(), nil, systemID: "8") == "copy")
        #expect(Self.plan(Self.state(), Self.slot, resyncs: true) == "copy, dropping")
        #expect(
            Self.plan(Self.state { $0.phase = .needsResync }, Self.slot, resyncs: true)
                == "copy, dropping")
        #expect(Self.plan(ModelState(.feed, .live), nil, resyncs: true) == "copy")
    }

    @Test func `what somebody has to decide is refused, and says how`() {
        for (plan, words) in [
            (Self.plan(nil, nil, creates: false), "--create"),
            (Self.plan(Self.state(), nil, creates: false), "--create"),
            (Self.plan(nil, Self.slot), "did not create it"),
            (Self.plan(Self.state(), Self.slot, systemID: "8"), "did not create it"),
            (Self.plan(Self.state(), SlotFacts(isOurKind: false, confirmed: nil)), "--slot"),
            (
                Self.plan(Self.state(), SlotFacts(isOurKind: true, confirmed: LSN(1001))),
                "older file"
            ),
            (
                Self.plan(
                    Self.state {
                        $0.phase = .needsResync
                        $0.lastError = "x is gone."
                    }, Self.slot), "x is gone."
            ),
            (Self.plan(ModelState(.feed, .live), nil), "change feed"),
            (Self.plan(Self.state(), nil, name: "other"), "--resync"),
        ] {
            #expect(!plan.hasPrefix("copy") && plan != "stream" && plan.contains(words), "\(plan)")
        }
    }

    @Test func `positions are read and written as PostgreSQL does`() {
        for text in ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            #expect(LSN(text).map { "\($0)" } == text)
        }
        for text in [
            "", "/", "1", "1/", "/1", "1/2/3", "+1/2", "100000000/0", "g/0", "0x1/2", "-1/2",
            " 1/2",
        ] {
            #expect(LSN(text) == nil, "\(text)")
        }
    }
}
