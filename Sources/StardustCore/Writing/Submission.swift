package import LedgerFormat
package import Packets

/// Packets from one peer to append in this order. They are already parsed and validated.
package struct Submission: Sendable {
    /// The payloads, back to back.
    package var bytes: [UInt8] = []
    package var packets: [Packet] = []
    package var peer: Entry.Peer
    /// Called once on the sequencer's thread, with an outcome for each packet in order. It must not
    /// block.
    package var completion: @Sendable ([AppendOutcome]) -> Void

    package struct Packet: Sendable {
        package var facts: PacketFacts
        package var digest: Digest
        /// The payload's range in the submission's bytes.
        package var range: Range<Int>
    }

    package init(
        peer: Entry.Peer, completion: @escaping @Sendable ([AppendOutcome]) -> Void
    ) {
        self.peer = peer
        self.completion = completion
    }

    /// Adds an admitted packet. Its digest is computed here, not on the sequencer's thread.
    package mutating func append(_ payload: Span<UInt8>, _ facts: PacketFacts) {
        let start = bytes.count
        bytes.append(payload)
        packets.append(
            Packet(facts: facts, digest: .sha256(payload), range: start..<bytes.count))
    }

    func payload(_ packet: Packet) -> ArraySlice<UInt8> { bytes[packet.range] }
}

/// The outcome of appending one packet.
package enum AppendOutcome: Sendable {
    /// Durable.
    case appended(Receipt)
    /// The id is already durable at this position. `resolve` finds out whether the content matches.
    case present(Position)
    case refused(AppendRefusal)
}

/// What a worker receives for a durable packet.
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

/// Why a valid packet was not accepted.
package enum AppendRefusal: Error, Hashable, Sendable {
    case tooMuchInFlight
    case recovering
    case stopping
    /// The files are damaged; the finding says where.
    case readOnly(String)
    /// Another machine writes the ledger.
    case superseded(String)
    /// Nothing could be shipped to the archive for longer than the settings allow.
    case archiveBehind(String)
    /// The clock is so far ahead of the last entry that it cannot be right.
    case clockAhead(String)
    case noSpace(String)
    /// It is unknown whether the packet is durable. Sending it again after a restart finds out.
    case outcomeUnknown(String)
    case failed(String)
}
