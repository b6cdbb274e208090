internal import LedgerFormat
internal import Platform

/// Opens a ledger for writing: follows the segments, repairs what a crash leaves, and changes
/// nothing once it has found other damage. The caller holds the lock. If a crash interrupts a
/// repair, the next opening repairs again from what it finds.
struct LedgerOpening {
    private let volume: any Volume
    private let identity: LedgerIdentity
    private var state: LedgerMap.State
    private var repairs: [OpenedLedger.Repair] = []
    /// The first damage found. Whatever is sound is still shown to readers.
    private var damage: Finding?
    /// The state after the last record.
    private var checker: RecordChecker
    /// The newest segment, locked; nil if the file system takes no changes.
    private var newest: (any VolumeFile)?
    private var tail: (file: any VolumeFile, header: SegmentHeader, scan: SegmentScan)?
    /// An unfinished write for which there was no room to keep it.
    private var torn: TornTail?
    private var marker: CloseMarker?
    /// Nothing is changed, whether or not it could be.
    private let isReadOnly: Bool
    /// It may be taken over although it came out of an archive.
    private let takesOver: Bool
    /// Why nothing in it is changed, if a mark says so.
    private var mark: OpenedLedger.Mark?
    /// Size of the newest checkpoint: everything below it was durable.
    private var signedSize = LedgerSize.empty

    /// Told how many segments were followed, of how many.
    private let progress: @Sendable (Int, Int) -> Void

    init(
        _ volume: any Volume, isReadOnly: Bool, takesOver: Bool,
        _ progress: @escaping @Sendable (Int, Int) -> Void
    ) throws(OpenFailure) {
        self.progress = progress
        (self.volume, self.isReadOnly, self.takesOver) = (volume, isReadOnly, takesOver)
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
            throw .damaged(.identity(content, error))
        }
    }

    consuming func open() throws(OpenFailure) -> OpenedLedger {
        let firsts: [Position]
        do throws(FileFailure) { firsts = try claim() } catch {
            throw error.isInUse ? .inUse(path: error.path) : .file(error)
        }
        try refuseShared()
        try readCheckpoints()
        do throws(FileFailure) {
            // Left by a crash or never used. If a power cut restores it, the next opening removes it.
            if damage == nil, newest != nil { try PreparedSegment.discard(volume) }
            try follow(firsts)
        } catch { throw .file(error) }
        state.head = LedgerMap.Head(
            size: LedgerSize(checker.next.value), lastHash: checker.lastHash,
            lastReceivedAt: checker.lastReceivedAt)
        let map = LedgerMap(volume: volume, ledgerID: identity.ledgerID, damage: damage, state)
        var writer: LedgerWriter?
        if damage == nil, newest != nil, let tail {
            writer = LedgerWriter(
                map: map, segment: tail.file, header: tail.header, scan: tail.scan, torn: torn)
        }
        return OpenedLedger(
            identity: identity, map: map, writer: writer, damage: damage, repairs: repairs,
            mark: mark)
    }

    private mutating func note(_ finding: Finding?) { damage = damage ?? finding }

    // MARK: Sole writer

    /// Makes the newest segment this process's own, and opens it on what the disk holds. Returns
    /// where the segments begin.
    private mutating func claim() throws(FileFailure) -> [Position] {
        let names = LedgerLayout.SegmentNames(try volume.list(LedgerLayout.segments))
        let firsts = names.firsts
        guard let last = firsts.last else {
            note(names.problem)
            return firsts
        }
        let marks = try volume.list("")
        if marks.contains(LedgerLayout.superseded) {
            mark = .superseded
        } else if marks.contains(LedgerLayout.restored), !takesOver {
            mark = .restored
        }
        if mark != nil || isReadOnly {
            note(names.problem)
            return firsts
        }
        let file: any VolumeFile
        do throws(FileFailure) {
            file = try volume.open(LedgerLayout.segment(last), .update)
        } catch {
            // Without a writer the ledger can still be read.
            if error.isReadOnlyVolume {
                note(names.problem)
                return firsts
            }
            throw error
        }
        try file.lock()
        // Until the file was locked, a process with another folder of these segments might go on in
        // a new one.
        let again = LedgerLayout.SegmentNames(try volume.list(LedgerLayout.segments))
        guard again.firsts == firsts else {
            throw FileFailure(.lock, file.path, errorNumber: FileFailure.inUseNumber)
        }
        note(again.problem)
        // A killed process may have left writes only in the page cache. Sync and drop them: the
        // scan must see the disk, and a power cut must not undo what it accepts.
        try file.syncData()
        try file.dropCache()
        newest = file
        return firsts
    }

    /// Refuses a newest segment that a copy by hard links shares. Other files that grow are given
    /// their own inodes before they are written.
    private func refuseShared() throws(OpenFailure) {
        guard let newest else { return }
        let links: Int
        do throws(FileFailure) { links = try newest.linkCount() } catch { throw .file(error) }
        if links > 1 { throw .shared(path: newest.path, links: links) }
    }

    // MARK: Following the segments

    private mutating func follow(_ firsts: [Position]) throws(FileFailure) {
        for (ordinal, first) in firsts.enumerated() {
            progress(ordinal, firsts.count)
            let isNewest = ordinal == firsts.count - 1
            let path = LedgerLayout.segment(first)
            let next = isNewest ? nil : firsts[ordinal + 1]
            let file: any VolumeFile
            if isNewest, let newest { file = newest } else { file = try volume.open(path, .read) }
            try follow(
                first, next: next, file, path, isLastSealed: ordinal == firsts.count - 2)
        }
        if firsts.isEmpty {
            note(Finding(.segmentMissing, file: LedgerLayout.segments, "there is no segment"))
        }
        if damage == nil { note(try compareWithMarker()) }
        if damage == nil { note(compareWithCheckpoint()) }
    }

    private mutating func follow(
        _ first: Position, next: Position?, _ file: any VolumeFile, _ path: String,
        isLastSealed: Bool
    ) throws(FileFailure) {
        switch try SegmentCursor.open(file, name: path) {
        case .failure(let problem):
            note(problem)
            // Its entries cannot be read, but what follows can.
            if let next, next > checker.next { skip(to: next) }
        case .success(let header):
            let problem = SegmentLink.problem(
                header, name: first, path: path, ledgerID: identity.ledgerID, expected: checker)
            if let problem {
                note(problem)
                // What is not behind the entries before has no place in the ledger.
                guard header.firstPosition == first, first >= checker.next,
                    header.ledgerID == identity.ledgerID, skip(to: first)
                else { return }
                checker = RecordChecker(next: first, lastHash: header.previous)
            }
            if let next {
                try followSealed(header, file, next: next, isLast: isLastSealed)
            } else {
                try followNewest(file, header)
            }
        }
    }

    /// Counts positions as entries that cannot be read. False if they are more than any lost
    /// segments had: then what follows has no place.
    @discardableResult
    private mutating func skip(to position: Position) -> Bool {
        let missing = position.value - checker.next.value
        guard missing > 0 else { return true }
        guard missing <= StorageLimits.missingEntriesMax else { return false }
        let header = SegmentHeader(
            ledgerID: identity.ledgerID, firstPosition: checker.next, previous: checker.lastHash)
        state.sealed.append(
            LedgerMap.SealedSegment(header: header, count: Int(missing), bytes: 0, slots: []))
        checker = RecordChecker(next: position, lastHash: checker.lastHash)
        return true
    }

    private mutating func note(_ slots: [IDsFile.Slot], from first: Position) {
        for (ordinal, slot) in slots.enumerated() where slot.isReadable {
            let position = Position(first.value + UInt64(ordinal))
            state.ids.insert(slot.stardustID, at: position)
            if !slot.isPacket { state.otherEntries.append(position) }
        }
    }

    // MARK: Sealed segments

    private mutating func followSealed(
        _ header: SegmentHeader, _ file: any VolumeFile, next: Position, isLast: Bool
    ) throws(FileFailure) {
        let idsPath = LedgerLayout.ids(header.firstPosition)
        // A missing or unreadable ids file is rebuilt from the segment.
        if let content = try? volume.content(of: idsPath, atMost: IDsFile.bytesMax),
            let ids = IDsFile(fileContent: content),
            ids.describes(header, segmentBytes: try file.size())
        {
            return seal(header, ids, file, isStored: true)
        }
        let path = LedgerLayout.segment(header.firstPosition)
        var scan = try SegmentScan(file, header, checker)
        if let problem = scan.damage {
            note(problem)
            try scan.readPastDamage(file, header)
            return sealDamaged(header, scan, next: next)
        }
        if scan.end < scan.fileBytes {
            guard isLast, scan.checker.next == next, try volume.isEmptySegment(next) else {
                note(
                    Finding(
                        .longerThanRecords, file: path, offset: ByteOffset(scan.end),
                        "the file continues for \(scan.fileBytes - scan.end) bytes after its "
                            + "records"))
                return sealDamaged(header, scan, next: next)
            }
            if damage == nil, newest != nil {
                // A crash interrupted a roll before it cut this segment. Another crash here leaves
                // the zeros, and the next opening cuts them.
                let writable = try volume.open(path, .update)
                try writable.truncate(to: scan.end)
                try writable.sync()
                repairs.append(.rollFinished(segment: path))
            }
        }
        let ids = IDsFile(
            header: header, segmentBytes: scan.end, last: scan.checker, slots: scan.slots)
        seal(header, ids, file, isStored: keep(ids, header, path))
    }

    /// Stores what was derived of a sealed segment. Not synced: if it cannot be written it is kept in
    /// memory, and if a crash loses or damages it, the next opening reads the segment again.
    private mutating func keep(
        _ ids: IDsFile, _ header: SegmentHeader, _ segment: String
    ) -> Bool {
        guard damage == nil, newest != nil else { return false }
        do throws(FileFailure) {
            if try volume.list(LedgerLayout.ids).isEmpty,
                try !volume.list("").contains(LedgerLayout.ids)
            {
                try volume.makeFolder(LedgerLayout.ids)
            }
            try volume.replaceDerived(
                LedgerLayout.ids(header.firstPosition), with: ids.fileContent)
        } catch { return false }
        repairs.append(.idsRebuilt(segment: segment))
        return true
    }

    private mutating func seal(
        _ header: SegmentHeader, _ ids: IDsFile, _ file: any VolumeFile, isStored: Bool
    ) {
        note(ids.slots, from: header.firstPosition)
        state.sealed.append(
            LedgerMap.SealedSegment(
                header: header, count: ids.slots.count, bytes: Int(ids.segmentBytes),
                slots: isStored ? nil : ids.slots, isArchived: file is ArchivedSegmentFile))
        checker = RecordChecker(
            next: Position(header.firstPosition.value + UInt64(ids.slots.count)),
            lastHash: ids.lastHash, lastReceivedAt: ids.lastReceivedAt)
    }

    /// Keeps the places of a damaged segment's records in memory. Nothing is stored: the ids file
    /// may be all that is left of an intact one.
    private mutating func sealDamaged(_ header: SegmentHeader, _ scan: SegmentScan, next: Position)
    {
        let room = Int(clamping: next.value - header.firstPosition.value)
        let slots = Array(scan.slots.prefix(room))
        checker = scan.checker
        if slots.count < scan.slots.count || checker.next > next {
            checker = RecordChecker(next: next, lastHash: scan.checker.lastHash)
        }
        guard !slots.isEmpty else {
            skip(to: next)
            return
        }
        note(slots, from: header.firstPosition)
        state.sealed.append(
            LedgerMap.SealedSegment(
                header: header, count: slots.count, bytes: scan.fileBytes, slots: slots))
        skip(to: next)
    }

    // MARK: The newest segment

    private mutating func followNewest(
        _ file: any VolumeFile, _ header: SegmentHeader
    ) throws(FileFailure) {
        var scan = try SegmentScan(file, header, checker)
        if let problem = scan.damage {
            let bound = max(marker?.size ?? .empty, signedSize)
            let isTorn = try TornTail.isTorn(
                at: scan.end, expecting: scan.checker.next, isWritten: scan.isDamageWritten, file,
                header, durable: bound)
            if isTorn {
                // Without a repair the records before it are all there is to show.
                if damage == nil, newest != nil { try cut(file, header, start: scan.end) }
            } else {
                note(problem)
                try scan.readPastDamage(file, header)
            }
            scan.damage = nil
        }
        checker = scan.checker
        note(scan.slots, from: header.firstPosition)
        state.open = LedgerMap.OpenSegment(
            header: header, file: file, slots: scan.slots, bytes: scan.end)
        tail = (file, header, scan)
    }

    /// Cuts a torn tail, or leaves that to the writer until there is room to keep the bytes.
    private mutating func cut(
        _ file: any VolumeFile, _ header: SegmentHeader, start: Int
    ) throws(FileFailure) {
        let tail = try TornTail(volume, file, header, start: start)
        do throws(FileFailure) { repairs.append(try tail.cut(file)) } catch {
            guard error.isNoSpace else { throw error }
            torn = tail
        }
    }

    // MARK: The close marker

    private func compareWithMarker() throws(FileFailure) -> Finding? {
        guard let marker else { return nil }
        let size = LedgerSize(checker.next.value)
        guard marker.size <= size else {
            return Finding(
                .truncated, file: LedgerLayout.closeMarker, position: size.nextPosition,
                "the ledger was closed with \(marker.size) entries and now has \(size)")
        }
        guard let found = try hash(before: marker.size.nextPosition) else {
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

    private func hash(before position: Position) throws(FileFailure) -> Digest? {
        position == checker.next ? checker.lastHash : try state.previous(of: position, volume)
    }

    // MARK: Checkpoints

    /// Reads what says how far the ledger once went: checkpoints and close marker.
    private mutating func readCheckpoints() throws(OpenFailure) {
        do throws(FileFailure) {
            switch try volume.closeMarker() {
            case .success(let found): marker = found
            case .failure(let problem): note(problem)
            }
        } catch { throw .file(error) }
        do throws(OpenFailure) {
            signedSize = try CheckpointCursor.tail(volume).newest?.checkpoint.size ?? .empty
        } catch .damaged(let finding) { note(finding) }
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
}
