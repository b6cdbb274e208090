package import LedgerFormat
package import Platform

/// An opened ledger.
package struct OpenedLedger: ~Copyable {
    package let identity: LedgerIdentity
    package let map: LedgerMap
    /// Nil if the files are damaged. Entries before the damage can still be read.
    package var writer: LedgerWriter?
    package let damage: Finding?
    /// What was repaired, for the log.
    package let repairs: [Repair]

    package enum Repair: Hashable, Sendable, CustomStringConvertible {
        /// The tail of a batch whose sync never completed was cut from its segment and kept.
        case tornTailCut(segment: String, offset: ByteOffset, bytes: Int, kept: String, Digest)
        case rollFinished(segment: String)
        case idsRebuilt(segment: String)

        package var description: String {
            switch self {
            case .tornTailCut(let segment, let offset, let bytes, let kept, let digest):
                "cut \(bytes) bytes of an unfinished write from \(segment) at byte \(offset), "
                    + "kept in \(kept), \(digest.tagged)"
            case .rollFinished(let segment): "trimmed \(segment) to its records after a crash"
            case .idsRebuilt(let segment): "rebuilt the ids of \(segment)"
            }
        }
    }
}

package enum OpenFailure: Error, Sendable, CustomStringConvertible {
    case file(FileFailure)
    case notALedger(path: String)
    case damaged(Finding)

    package init(_ failure: ReadFailure) {
        switch failure {
        case .file(let failure): self = .file(failure)
        case .damaged(let finding): self = .damaged(finding)
        }
    }

    package var description: String {
        switch self {
        case .file(let failure): failure.description
        case .notALedger(let path): "\(path) is not a ledger; `stardust init` creates one"
        case .damaged(let finding): finding.description
        }
    }
}

/// Opens a ledger for writing: follows the segments, repairs what a crash leaves, and stops at any
/// other damage. The caller holds the lock. If a crash interrupts a repair, the next opening
/// repairs again from what it finds.
struct LedgerOpening {
    private let volume: any Volume
    private let identity: LedgerIdentity
    private var state: LedgerMap.State
    private var repairs: [OpenedLedger.Repair] = []
    /// The state after the last sound record.
    private var checker: RecordChecker
    private var tail: (file: any VolumeFile, header: SegmentHeader, scan: SegmentScan)?
    private var marker: CloseMarker?
    /// Size of the newest checkpoint: everything below it was durable.
    private var signedSize = LedgerSize.empty

    init(_ volume: any Volume) throws(OpenFailure) {
        self.volume = volume
        identity = try Self.identity(volume)
        checker = RecordChecker(next: Position(0), lastHash: identity.digest)
        state = LedgerMap.State(
            ids: IDTable(), head: LedgerMap.Head(size: .empty, lastHash: identity.digest))
    }

    static func identity(_ volume: any Volume) throws(OpenFailure) -> LedgerIdentity {
        let content: [UInt8]
        do throws(FileFailure) { content = try volume.content(of: LedgerLayout.identity) } catch {
            if error.isMissing { throw .notALedger(path: error.path.folder) }
            throw .file(error)
        }
        do throws(LedgerIdentity.DecodeError) {
            return try LedgerIdentity(fileContent: content)
        } catch {
            throw .damaged(
                Finding(.identityDamaged, file: LedgerLayout.identity, error.description))
        }
    }

    consuming func open() throws(OpenFailure) -> OpenedLedger {
        let damage: Finding?
        do throws(FileFailure) {
            damage = try followSegments()
            state.head = LedgerMap.Head(
                size: LedgerSize(checker.next.value), lastHash: checker.lastHash,
                lastReceivedAt: checker.lastReceivedAt)
        } catch { throw .file(error) }
        let map = LedgerMap(volume: volume, ledgerID: identity.ledgerID, state)
        var writer: LedgerWriter?
        if damage == nil, let tail {
            writer = LedgerWriter(
                map: map, segment: tail.file, header: tail.header, scan: tail.scan)
        }
        return OpenedLedger(
            identity: identity, map: map, writer: writer, damage: damage, repairs: repairs)
    }

    private mutating func followSegments() throws(FileFailure) -> Finding? {
        switch try volume.closeMarker() {
        case .success(let found): marker = found
        case .failure(let damage): return damage
        }
        if let damage = try readCheckpoints() { return damage }
        // Left by a crash or never used. If a power cut restores it, the next opening removes it.
        try PreparedSegment.discard(volume)
        let firsts = try volume.list(LedgerLayout.segments)
            .compactMap(LedgerLayout.firstPosition(inName:)).sorted()
        for (ordinal, first) in firsts.enumerated() {
            let isNewest = ordinal == firsts.count - 1
            let path = LedgerLayout.segment(first)
            let file = try volume.open(path, isNewest ? .update : .read)
            if isNewest {
                // A killed process may have left writes only in the page cache. Sync and drop them:
                // the scan must see the disk, and a power cut must not undo what it accepts.
                try file.syncData()
                try file.dropCache()
            }
            switch try SegmentCursor.open(file, name: path) {
            case .failure(let problem): return problem
            case .success(let header):
                if let damage = link(header, named: first, path) { return damage }
                let damage =
                    isNewest
                    ? try openNewest(file, header)
                    : try follow(
                        header, file, next: firsts[ordinal + 1], isLast: ordinal == firsts.count - 2
                    )
                if let damage { return damage }
            }
        }
        if firsts.isEmpty {
            return Finding(.segmentMissing, file: LedgerLayout.segments, "there is no segment")
        }
        if let damage = try compareWithMarker() { return damage }
        return compareWithCheckpoint()
    }

    private func link(_ header: SegmentHeader, named first: Position, _ path: String) -> Finding? {
        SegmentLink.problem(
            header, name: first, path: path, ledgerID: identity.ledgerID, expected: checker)
    }

    // MARK: Sealed segments

    private mutating func follow(
        _ header: SegmentHeader, _ file: any VolumeFile, next: Position, isLast: Bool
    ) throws(FileFailure) -> Finding? {
        let idsPath = LedgerLayout.ids(header.firstPosition)
        // A missing or unreadable ids file is rebuilt from the segment.
        if let content = try? volume.content(of: idsPath),
            let ids = IDsFile(fileContent: content),
            ids.describes(header, segmentBytes: try file.size())
        {
            seal(header, ids)
            return nil
        }
        let path = LedgerLayout.segment(header.firstPosition)
        let scan = try SegmentScan(file, header, checker)
        if let damage = scan.damage {
            show(scan, header, file)
            return damage
        }
        if scan.end < scan.fileBytes {
            guard isLast, scan.checker.next == next, try isEmptySegment(next) else {
                return Finding(
                    .longerThanRecords, file: path, offset: ByteOffset(scan.end),
                    "the file continues for \(scan.fileBytes - scan.end) bytes after its records")
            }
            // A crash interrupted a roll before it cut this segment. Another crash here leaves the
            // zeros, and the next opening cuts them.
            let writable = try volume.open(path, .update)
            try writable.truncate(to: scan.end)
            try writable.sync()
            repairs.append(.rollFinished(segment: path))
        }
        let ids = IDsFile(
            header: header, segmentBytes: scan.end, last: scan.checker, slots: scan.slots)
        // Derived and not synced: if it cannot be written, or a crash loses or damages it, the next
        // opening reads the segment again.
        try? volume.replaceDerived(idsPath, with: ids.fileContent)
        repairs.append(.idsRebuilt(segment: path))
        seal(header, ids)
        return nil
    }

    private func isEmptySegment(_ first: Position) throws(FileFailure) -> Bool {
        let path = LedgerLayout.segment(first)
        let file = try volume.open(path, .read)
        guard case .success(let header) = try SegmentCursor.open(file, name: path) else {
            return false
        }
        var cursor = try SegmentCursor(file, header: header)
        return try cursor.endOfContent() == SegmentHeader.byteCount
    }

    private mutating func seal(_ header: SegmentHeader, _ ids: IDsFile) {
        note(ids.slots, from: header.firstPosition)
        state.sealed.append(LedgerMap.SealedSegment(header: header, count: ids.slots.count))
        checker = RecordChecker(
            next: Position(header.firstPosition.value + UInt64(ids.slots.count)),
            lastHash: ids.lastHash, lastReceivedAt: ids.lastReceivedAt)
    }

    private mutating func note(_ slots: [IDsFile.Slot], from first: Position) {
        for (ordinal, slot) in slots.enumerated() {
            let position = Position(first.value + UInt64(ordinal))
            state.ids.insert(slot.stardustID, at: position)
            if !slot.isPacket { state.otherEntries.append(position) }
        }
    }

    /// Shows readers the sound records of the last segment that was followed.
    private mutating func show(
        _ scan: SegmentScan, _ header: SegmentHeader, _ file: any VolumeFile
    ) {
        checker = scan.checker
        note(scan.slots, from: header.firstPosition)
        state.open = LedgerMap.OpenSegment(header: header, file: file, slots: scan.slots)
    }

    // MARK: The newest segment

    private mutating func openNewest(
        _ file: any VolumeFile, _ header: SegmentHeader
    ) throws(FileFailure) -> Finding? {
        var scan = try SegmentScan(file, header, checker)
        if let damage = scan.damage {
            let bound = max(marker?.size ?? .empty, signedSize)
            guard try TornTail.isTorn(damage, file, header, end: scan.end, durable: bound) else {
                show(scan, header, file)
                return damage
            }
            switch try TornTail(volume, file, header, start: scan.end).cut(file) {
            case .failure(let problem):
                show(scan, header, file)
                return problem
            case .success(let repair): repairs.append(repair)
            }
            scan.damage = nil
        }
        show(scan, header, file)
        tail = (file, header, scan)
        return nil
    }

    // MARK: The close marker

    private mutating func compareWithMarker() throws(FileFailure) -> Finding? {
        guard let marker else { return nil }
        let size = LedgerSize(checker.next.value)
        guard marker.size <= size else {
            return Finding(
                .truncated, file: LedgerLayout.closeMarker, position: size.nextPosition,
                "the ledger was closed with \(marker.size) entries and now has \(size)")
        }
        guard let found = try hash(before: marker.size) else {
            return Finding(
                .recordDamaged, position: marker.size.nextPosition,
                "the entry after the close marker cannot be read")
        }
        guard found != marker.lastHash else { return nil }
        return Finding(
            .closeMarkerMismatch, file: LedgerLayout.closeMarker,
            position: Position(marker.size.entries),
            "closed after \(marker.lastHash.tagged), but the segments have \(found.tagged)")
    }

    // MARK: Checkpoints

    private mutating func readCheckpoints() throws(FileFailure) -> Finding? {
        do throws(OpenFailure) {
            signedSize = try CheckpointCursor.tail(volume).newest?.checkpoint.size ?? .empty
            return nil
        } catch {
            switch error {
            case .damaged(let finding): return finding
            case .file(let failure): throw failure
            case .notALedger: preconditionFailure("reading checkpoints never fails with notALedger")
            }
        }
    }

    /// A ledger shorter than its newest checkpoint was rolled back. Only the tree can show whether
    /// its entries are the signed ones.
    private func compareWithCheckpoint() -> Finding? {
        let size = LedgerSize(checker.next.value)
        guard signedSize > size else { return nil }
        return Finding(
            .rolledBack, file: LedgerLayout.checkpoints, position: size.nextPosition,
            "a checkpoint was signed for \(signedSize) entries, but the ledger has \(size)")
    }

    /// The hash that the entry at position `size` links to.
    private func hash(before size: LedgerSize) throws(FileFailure) -> Digest? {
        if size.entries == checker.next.value { return checker.lastHash }
        let place: LedgerMap.Place? = state.place(of: size.nextPosition)
        switch place {
        case nil: return nil
        case .open(let slot, let file, _): return try previous(in: file, at: Int(slot.offset))
        case .sealed(let header, let position):
            if position == header.firstPosition { return header.previous }
            let ids = try volume.open(LedgerLayout.ids(header.firstPosition), .read)
            let ordinal = Int(position.value - header.firstPosition.value)
            var window = ReadWindow(firstBytes: IDsFile.slotBytes)
            guard let slot = try IDsFile.Reader(ids)?.slot(ordinal, &window, .blocking) else {
                return nil
            }
            let file = try volume.open(LedgerLayout.segment(header.firstPosition), .read)
            return try previous(in: file, at: Int(slot.offset))
        }
    }

    private func previous(
        in file: any VolumeFile, at offset: Int
    ) throws(FileFailure) -> Digest? {
        var bytes = [UInt8](repeating: 0, count: Entry.byteCount)
        let start = offset + RecordFrame.byteCount
        guard try file.read(into: &bytes, 0..<bytes.count, at: start) == bytes.count else {
            return nil
        }
        // The walk over the segment has already reported an entry that cannot be read.
        return try? Entry(bytes.span, at: 0).previous
    }
}

/// Checks that a segment is the one that must come next. Used by opening and by verification.
package enum SegmentLink {
    package static func problem(
        _ header: SegmentHeader, name: Position, path: String, ledgerID: UUID128,
        expected: RecordChecker
    ) -> Finding? {
        if header.ledgerID != ledgerID {
            return Finding(
                .segmentForeign, file: path, "the segment belongs to ledger \(header.ledgerID)")
        }
        if header.firstPosition != name {
            return Finding(
                .segmentMisnamed, file: path, position: name,
                "the header says that the segment begins at position \(header.firstPosition)")
        }
        if header.firstPosition != expected.next {
            return Finding(
                .segmentMissing, file: path, position: expected.next,
                "the previous segment ends at position \(expected.next), this one begins at "
                    + "\(header.firstPosition)")
        }
        if header.previous != expected.lastHash {
            let isFirst = header.firstPosition == Position(0)
            return Finding(
                isFirst ? .identityMismatch : .segmentUnlinked, file: path,
                position: header.firstPosition,
                "the header links to \(header.previous.tagged), but "
                    + (isFirst ? "the identity file has " : "the previous segment ends with ")
                    + expected.lastHash.tagged)
        }
        return nil
    }
}
