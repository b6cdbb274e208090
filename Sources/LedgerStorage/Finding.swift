package import LedgerFormat

/// Damage or a contradiction in the files. A value, not an error: verification reports it and
/// continues, while opening for writing refuses.
package struct Finding: Error, Hashable, Sendable, CustomStringConvertible {
    package var code: Code
    /// Path in the ledger's folder.
    package var file: String?
    package var position: Position?
    package var offset: ByteOffset?
    package var detail: String

    package init(
        _ code: Code, file: String? = nil, position: Position? = nil, offset: ByteOffset? = nil,
        _ detail: String
    ) {
        self.code = code
        self.file = file
        self.position = position
        self.offset = offset
        self.detail = detail
    }

    package enum Code: String, CaseIterable, Sendable {
        // The files beside the segments.
        case identityDamaged = "identity_damaged"
        case identityMismatch = "identity_mismatch"
        case closeMarkerDamaged = "close_marker_damaged"
        case closeMarkerMismatch = "close_marker_mismatch"
        case truncated = "truncated"
        /// A later version wrote it.
        case formatUnknown = "format_unknown"
        // A segment as a whole.
        case segmentHeaderDamaged = "segment_header_damaged"
        case segmentVersion = "segment_version"
        case segmentForeign = "segment_foreign"
        case segmentMisnamed = "segment_misnamed"
        case segmentMissing = "segment_missing"
        case segmentUnlinked = "segment_unlinked"
        case longerThanRecords = "longer_than_records"
        case tornTail = "torn_tail"
        case unfinishedRoll = "unfinished_roll"
        // A record.
        case recordDamaged = "record_damaged"
        case recordTooLong = "record_too_long"
        case recordIncomplete = "record_incomplete"
        case batchStartWrong = "batch_start_wrong"
        case paddingNotZero = "padding_not_zero"
        case entryVersion = "entry_version"
        case entryReservedBits = "entry_reserved_bits"
        case entryKindUnknown = "entry_kind_unknown"
        case positionMismatch = "position_mismatch"
        case chainBroken = "chain_broken"
        case timeReversed = "time_reversed"
        case payloadLengthMismatch = "payload_length_mismatch"
        case payloadDigestMismatch = "payload_digest_mismatch"
        // A record that contradicts its payload or another record.
        case payloadNotAPacket = "payload_not_a_packet"
        case stardustIDMismatch = "stardust_id_mismatch"
        case createdAtMismatch = "created_at_mismatch"
        case stardustIDDuplicate = "stardust_id_duplicate"
        // Signed data.
        case keyRotationInvalid = "key_rotation_invalid"
        case epochInvalid = "epoch_invalid"
        case checkpointDamaged = "checkpoint_damaged"
        case checkpointUnfinished = "checkpoint_unfinished"
        case checkpointForeign = "checkpoint_foreign"
        case checkpointSizeReversed = "checkpoint_size_reversed"
        case checkpointStale = "checkpoint_stale"
        case checkpointsCut = "checkpoints_cut"
        case checkpointRootMismatch = "checkpoint_root_mismatch"
        case checkpointUnsigned = "checkpoint_unsigned"
        case checkpointSignatureBad = "checkpoint_signature_bad"
        case checkpointKeyRevoked = "checkpoint_key_revoked"
        case rolledBack = "rolled_back"
        // Checkpoints that an auditor supplied.
        case anchorUnsigned = "anchor_unsigned"
        case anchorMismatch = "anchor_mismatch"
        case anchorKeyUnknown = "anchor_key_unknown"
        // Objects in an archive.
        case archiveMissing = "archive_missing"
        case archiveDamaged = "archive_damaged"
        case archiveGap = "archive_gap"
        case archiveForeign = "archive_foreign"
        case archiveFork = "archive_fork"
        // Derived files.
        case treeDisagrees = "tree_disagrees"
        case indexDisagrees = "index_disagrees"
        case idsDisagree = "ids_disagree"
    }

    package var description: String {
        let place = [
            file, position.map { "position \($0)" }, offset.map { "byte \($0)" },
        ].compactMap { $0 }.joined(separator: ", ")
        return place.isEmpty
            ? "\(code.rawValue): \(detail)" : "\(code.rawValue): \(place): \(detail)"
    }
}

extension Finding.Code {
    /// A later version of the format may explain it, so nothing behind it can be judged.
    package var isUnknownFormat: Bool {
        switch self {
        case .formatUnknown, .segmentVersion, .entryVersion, .entryReservedBits, .entryKindUnknown:
            true
        default: false
        }
    }

    /// The same, of an entry or of the segment that it is in.
    package var isUnknownEntry: Bool { isUnknownFormat && self != .formatUnknown }

    /// What an entry that cannot be decoded is: of another version, or not as one is written.
    init(_ error: Entry.DecodeError) {
        self = if case .formatVersion = error { .entryVersion } else { .entryReservedBits }
    }
}

extension Finding {
    /// A file whose first line names another version of its format; nil if it does not.
    static func unknownFormat(_ content: [UInt8], _ known: String, file: String) -> Finding? {
        let first = content.prefix { $0 != 0x0A }
        let name = known.utf8.prefix { $0 != UInt8(ascii: "/") }
        let version = first.dropFirst(name.count + 1)
        guard first.count < content.count, first.starts(with: name),
            first.dropFirst(name.count).first == UInt8(ascii: "/"), isVersion(version),
            !first.elementsEqual(known.utf8)
        else { return nil }
        return Finding(
            .formatUnknown, file: file,
            "cannot judge: it says \(String(decoding: first, as: UTF8.self)), and this program "
                + "knows \(known)")
    }

    /// Whether this can be the number of a version: one to five digits, the first not zero.
    static func isVersion(_ text: some Collection<UInt8>) -> Bool {
        text.count <= 5 && (UInt64(canonical: text) ?? 0) > 0
    }

    /// Why an identity cannot be used.
    package static func identity(
        _ content: [UInt8], _ error: LedgerIdentity.DecodeError
    ) -> Finding {
        unknownFormat(content, LedgerIdentity.firstLine, file: LedgerLayout.identity)
            ?? Finding(.identityDamaged, file: LedgerLayout.identity, error.description)
    }
}
