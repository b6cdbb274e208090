package import LedgerFormat
package import Packets

/// Packets from one peer that are to be appended in this order. They were parsed and validated.
package struct Submission: Sendable {
    /// The payloads, back to back.
    package var bytes: [UInt8] = []
    package var packets: [Packet] = []
    package var peer: Entry.Peer
    /// Called once with an outcome for each packet, in order, on the sequencer's thread. It must
    /// not block.
    package var completion: @Sendable ([AppendOutcome]) -> Void

    package struct Packet: Sendable {
        package var facts: PacketFacts
        package var digest: Digest
        /// In the submission's bytes.
        package var range: Range<Int>
    }

    package init(
        peer: Entry.Peer, completion: @escaping @Sendable ([AppendOutcome]) -> Void
    ) {
        self.peer = peer
        self.completion = completion
    }

    /// Adds an admitted packet; its digest is computed here, off the sequencer.
    package mutating func append(_ payload: Span<UInt8>, _ facts: PacketFacts) {
        let start = bytes.count
        bytes.append(payload)
        packets.append(
            Packet(facts: facts, digest: .sha256(payload), range: start..<bytes.count))
    }

    func payload(_ packet: Packet) -> ArraySlice<UInt8> { bytes[packet.range] }
}

/// What became of one packet.
package enum AppendOutcome: Sendable {
    /// Durable.
    case appended(Receipt)
    /// The id stands at this position, durably. Whether it says the same is for `resolve` to find.
    case present(Position)
    case refused(AppendRefusal)
}

/// What a worker gets for a durable packet.
package struct Receipt: Hashable, Sendable {
    package var position: Position
    package var stardustID: UUID128
    package var entryHash: Digest
    package var payloadDigest: Digest
    package var receivedAt: Timestamp

    package init(_ entry: Entry, hash: Digest) {
        position = entry.position
        stardustID = entry.stardustID
        entryHash = hash
        payloadDigest = entry.payloadDigest
        receivedAt = entry.receivedAt
    }
}

/// Why a packet was not taken, through no fault of its own.
package enum AppendRefusal: Error, Hashable, Sendable {
    case tooMuchInFlight
    case recovering
    case stopping
    /// The files are damaged; the finding says where.
    case readOnly(String)
    case noSpace(String)
    /// Whether it is durable is unknown: after a restart, sending it again tells.
    case outcomeUnknown(String)
    case failed(String)
}
