import LedgerFormat
import LedgerStorage
import LedgerTestSupport

/// One way to damage a sound ledger for each code of a finding.
enum DamageKinds {
    // MARK: One code for each kind
    // I-02, E-04, E-05, R-03, R-04, S-02, S-03, C-02

    typealias Damage = @Sendable (SimulatedVolume) throws -> Void

    static let all: [(Finding.Code, Damage)] = [
        (.identityDamaged, { $0.damage("identity") { $0[3] = 0x21 } }),
        (
            .identityMismatch,
            {
                $0.damage("identity") { bytes in
                    let text = String(decoding: bytes, as: UTF8.self).replacing(
                        "test.example", with: "evil.example")
                    bytes = Array(text.utf8)
                }
            }
        ),
        (
            .formatUnknown,
            { $0.put("closed", Array("stardust-close/2\nsomething else\n".utf8)) }
        ),
        (.closeMarkerDamaged, { $0.damage("closed") { $0[20] ^= 1 } }),
        (
            .closeMarkerMismatch,
            { volume in
                volume.put(
                    "closed", CloseMarker(size: LedgerSize(20), lastHash: .sha256([1])).fileContent)
            }
        ),
        (
            .truncated,
            { volume in
                volume.put(
                    "closed", CloseMarker(size: LedgerSize(30), lastHash: .sha256([1])).fileContent)
            }
        ),
        (
            .segmentHeaderDamaged,
            { volume in volume.damage(try volume.segments()[1]) { $0[40] ^= 1 } }
        ),
        (
            .segmentVersion,
            { volume in
                volume.damage(try volume.segments()[1]) { bytes in
                    bytes[8] = 2
                    let sum = CRC32C().continued(over: bytes.span.extracting(0..<124)).value
                    var span = bytes.mutableSpan
                    span.store(sum, at: 124)
                }
            }
        ),
        (
            .segmentForeign,
            { volume in
                let other = try LedgerFixture.closedLedger(seed: 99)
                volume.put(try volume.segments()[0], other.bytes(of: try other.segments()[0]))
            }
        ),
        (
            .segmentMisnamed,
            { volume in
                let paths = try volume.segments()
                let (first, second) = (volume.bytes(of: paths[0]), volume.bytes(of: paths[1]))
                volume.put(paths[0], second)
                volume.put(paths[1], first)
            }
        ),
        (.segmentMissing, { volume in volume.put(try volume.segments()[1], nil) }),
        (
            .segmentUnlinked,
            { volume in
                let path = try volume.segments()[1]
                let file = try volume.open(path, .read)
                guard case .success(var header) = try SegmentCursor.open(file, name: path) else {
                    return
                }
                header.previous = .sha256([9])
                volume.damage(path) { $0.replaceSubrange(0..<128, with: header.bytes) }
            }
        ),
        (
            .longerThanRecords,
            { volume in
                volume.damage(try volume.segments()[0]) { $0 += [UInt8](repeating: 0, count: 64) }
            }
        ),
        (
            .tornTail,
            { volume in
                volume.put("closed", nil)
                let path = try volume.segments().last!
                let end = try volume.records(path).last.map {
                    $0.offset + RecordFrame.recordBytes(payloadBytes: $0.payloadBytes)
                }!
                volume.damage(path) { $0[end + 20] = 1 }
            }
        ),
        (
            .unfinishedRoll,
            { volume in
                // The newest segment is empty, and the one before has not been cut.
                volume.put("closed", nil)
                let paths = try volume.segments()
                let last = try volume.records(paths.last!).last!
                let header = SegmentHeader(
                    ledgerID: try Ledger.identity(volume).ledgerID,
                    firstPosition: last.entry.position.next, previous: last.entryHash)
                volume.put(
                    LedgerLayout.segment(header.firstPosition),
                    header.bytes + [UInt8](repeating: 0, count: 1024))
            }
        ),
        (
            .recordDamaged,
            { volume in volume.damage(try volume.segments()[0]) { $0[128 + 30] ^= 1 } }
        ),
        (
            .recordTooLong,
            { volume in
                volume.damage(try volume.segments()[0]) {
                    $0.replaceSubrange(136..<140, with: [255, 255, 255, 127])
                }
            }
        ),
        (
            .recordIncomplete,
            { volume in
                let path = try volume.segments()[0]
                let last = try volume.records(path).last!
                volume.damage(path) { $0.removeLast($0.count - last.offset - 200) }
            }
        ),
        (
            .batchStartWrong,
            { volume in
                let path = try volume.segments()[0]
                volume.damage(path) { bytes in
                    let seed = CRC32C(bytes.span.littleEndian(UInt32.self, at: 124))
                    var span = bytes.mutableSpan
                    span.store(UInt64(64), at: 128)
                    let sum = seed.continued(over: bytes.span.extracting(128..<140))
                        .continued(over: bytes.span.extracting(144..<304)).value
                    var again = bytes.mutableSpan
                    again.store(sum, at: 140)
                }
            }
        ),
        (
            .paddingNotZero,
            { volume in
                let path = try volume.segments()[0]
                for record in try volume.records(path) where record.payloadBytes % 8 != 0 {
                    let end =
                        record.offset + RecordFrame.recordBytes(payloadBytes: record.payloadBytes)
                    return volume.damage(path) { $0[end - 1] = 1 }
                }
            }
        ),
        (
            .entryVersion,
            { volume in
                try volume.rewrite(try volume.segments()[0], record: 1) { entry, _ in
                    entry.formatVersion = 2
                }
            }
        ),
        (
            .entryReservedBits,
            { volume in
                try volume.rewrite(try volume.segments()[0], record: 1) { entry, _ in
                    entry.flags = Entry.Flags(rawValue: 1 << 9)
                }
            }
        ),
        (
            .entryKindUnknown,
            { volume in
                try volume.rewrite(try volume.segments()[0], record: 1) { entry, _ in
                    entry.kind = Entry.Kind(rawValue: 7)
                }
            }
        ),
        (
            .positionMismatch,
            { volume in
                try volume.rewrite(try volume.segments()[0], record: 1) { entry, _ in
                    entry.position = Position(0)
                }
            }
        ),
        (
            .chainBroken,
            { volume in
                try volume.rewrite(try volume.segments()[0], record: 1) { entry, _ in
                    entry.peer.uid += 1
                }
            }
        ),
        (
            .timeReversed,
            { volume in
                try volume.rewrite(try volume.segments()[0], record: 2) { entry, _ in
                    entry.receivedAt.microseconds -= 1
                }
            }
        ),
        (
            .payloadLengthMismatch,
            { volume in
                try volume.rewrite(try volume.segments()[0], record: 1) { entry, _ in
                    entry.payloadBytes += 1
                }
            }
        ),
        (
            .payloadDigestMismatch,
            { volume in volume.damage(try volume.segments()[0]) { $0[128 + 300] ^= 1 } }
        ),
        (
            .payloadNotAPacket,
            { volume in
                try volume.rewrite(try volume.segments()[0], record: 1) { entry, payload in
                    payload[payload.count - 1] = UInt8(ascii: "]")
                    entry.payloadDigest = .sha256(payload)
                }
            }
        ),
        (
            .stardustIDMismatch,
            { volume in
                try volume.rewrite(try volume.segments()[0], record: 1) { entry, _ in
                    entry.stardustID.low ^= 1
                }
            }
        ),
        (
            .createdAtMismatch,
            { volume in
                try volume.rewrite(try volume.segments()[0], record: 1) { entry, _ in
                    entry.createdAt.microseconds += 1
                }
            }
        ),
        (
            .stardustIDDuplicate,
            { volume in
                let path = try volume.segments()[0]
                let first = try volume.records(path)[0]
                let bytes = volume.bytes(of: path)!
                let id = Array(bytes[(first.offset + 176 + 16)..<(first.offset + 176 + 52)])
                try volume.rewrite(path, record: 1) { entry, payload in
                    entry.stardustID = first.entry.stardustID
                    payload.replaceSubrange(16..<52, with: id)
                    entry.payloadDigest = .sha256(payload)
                }
            }
        ),
    ]
}
