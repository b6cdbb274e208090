package import LedgerFormat

/// A ledger that was opened.
package struct OpenedLedger: ~Copyable {
    package let identity: LedgerIdentity
    package let map: LedgerMap
    /// Nil where the files are damaged: then what lies before the damage can be read.
    package var writer: LedgerWriter?
    package let damage: Finding?
    /// What was mended, for the log.
    package let repairs: [Repair]

    package enum Repair: Hashable, Sendable, CustomStringConvertible {
        /// A tail that no sync had completed was cut and kept.
        case tornTailCut(segment: String, offset: ByteOffset, bytes: Int, kept: String, Digest)
        case rollFinished(segment: String)
        case idsRebuilt(segment: String)

        package var description: String {
            switch self {
            case .tornTailCut(let segment, let offset, let bytes, let kept, let digest):
                "cut \(bytes) bytes of unfinished writing from \(segment) at byte \(offset), "
                    + "kept in \(kept), \(digest.tagged)"
            case .rollFinished(let segment): "cut \(segment) to its records after a crash"
            case .idsRebuilt(let segment): "read \(segment) to know its ids"
            }
        }
    }
}

package enum OpenFailure: Error, Sendable, CustomStringConvertible {
    case file(FileFailure)
    case notALedger(path: String)
    case damaged(Finding)

    package var description: String {
        switch self {
        case .file(let failure): failure.description
        case .notALedger(let path): "\(path) is not a ledger; `stardust init` makes one"
        case .damaged(let finding): finding.description
        }
    }
}

/// Opens a ledger for writing: follows the segments, mends what a crash leaves, and stops at
/// anything else. The caller holds the lock.
struct LedgerOpening {
    private let volume: any Volume
    private let identity: LedgerIdentity
    private var state: LedgerMap.State
    private var repairs: [OpenedLedger.Repair] = []
    /// Stands behind the last record that was found sound.
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
        if let damage = try readCloseMarker() { return damage }
        if let damage = try readCheckpoints() { return damage }
        try PreparedSegment.discard(volume)
        let firsts = try volume.list(LedgerLayout.segments)
            .compactMap(LedgerLayout.firstPosition(inName:)).sorted()
        for (ordinal, first) in firsts.enumerated() {
            let isNewest = ordinal == firsts.count - 1
            let path = LedgerLayout.segment(first)
            let file = try volume.open(path, isNewest ? .update : .read)
            if isNewest {
                // What a dying process wrote is still only in memory; what counts is the disk.
                try file.syncData()
                try file.dropCache()
            }
            switch try SegmentCursor.open(file, name: path) {
            case .failure(let problem): return problem.finding
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
        // A missing or unreadable ids file is made again from the segment.
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
                    "the file goes on for \(scan.fileBytes - scan.end) bytes after its records")
            }
            let writable = try volume.open(path, .update)
            try writable.truncate(to: scan.end)
            try writable.sync()
            repairs.append(.rollFinished(segment: path))
        }
        let ids = IDsFile(
            header: header, segmentBytes: scan.end, last: scan.checker, slots: scan.slots)
        // Derived: where it cannot be written, the next opening reads the segment again.
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

    /// Lets readers see what was found sound of the last segment that is followed.
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
                return problem.finding
            case .success(let repair): repairs.append(repair)
            }
            scan.damage = nil
        }
        show(scan, header, file)
        tail = (file, header, scan)
        return nil
    }

    // MARK: The close marker

    private mutating func readCloseMarker() throws(FileFailure) -> Finding? {
        let content: [UInt8]
        do throws(FileFailure) {
            content = try volume.content(of: LedgerLayout.closeMarker)
        } catch {
            if error.isMissing { return nil }
            throw error
        }
        marker = CloseMarker(fileContent: content)
        return marker != nil
            ? nil
            : Finding(
                .closeMarkerDamaged, file: LedgerLayout.closeMarker,
                "the close marker is not as it was written")
    }

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
            "closed after \(marker.lastHash.tagged), the segments have \(found.tagged)")
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
            case .notALedger: preconditionFailure("a file is no ledger")
            }
        }
    }

    /// A ledger that is shorter than what was signed has been put back. Whether it is the same is
    /// for the tree to say.
    private func compareWithCheckpoint() -> Finding? {
        let size = LedgerSize(checker.next.value)
        guard signedSize > size else { return nil }
        return Finding(
            .rolledBack, file: LedgerLayout.checkpoints, position: size.nextPosition,
            "a checkpoint was signed for \(signedSize) entries, and the ledger has \(size)")
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
        // An entry that cannot be read was reported where the segment was walked.
        return try? Entry(bytes.span, at: 0).previous
    }
}

/// Whether a segment is the one that must come next. Asked by opening and by verification.
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
                "the segment before ends at position \(expected.next), this one begins at "
                    + "\(header.firstPosition)")
        }
        if header.previous != expected.lastHash {
            let isFirst = header.firstPosition == Position(0)
            return Finding(
                isFirst ? .identityMismatch : .segmentUnlinked, file: path,
                position: header.firstPosition,
                "the header links to \(header.previous.tagged), "
                    + (isFirst ? "the identity file has " : "the segment before ends with ")
                    + expected.lastHash.tagged)
        }
        return nil
    }
}
