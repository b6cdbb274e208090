package import LedgerFormat
package import LedgerStorage
package import ObjectStore
package import Platform

/// Writes a ledger's folder from what stores have of it. Every segment must be what was sealed, and
/// every record behind the sealed ones must continue the chain; the caller verifies the whole.
package struct Restoration: ~Copyable {
    private let ledger: ShippedLedger
    private let volume: any Volume
    private let target: Target
    /// Payloads of sealed segments stay in the archive.
    private let isLazy: Bool
    private var objects: ShippedObjects
    /// The state after the last record that was written.
    private var checker: RecordChecker
    /// Written at the places of the original's file.
    private var checkpoints: (any VolumeFile)?
    /// Of the segment that was written last.
    private var epoch: UInt64?

    /// How far to restore.
    package enum Target: Hashable, Sendable {
        /// Everything that was shipped.
        case all
        case size(LedgerSize)
        /// The entries that were received until then.
        case time(Timestamp)
    }

    /// `volume` is an empty folder. With `isLazy`, of each sealed segment only the entries are fetched,
    /// but for the newest one, which a ledger always has whole.
    package init(
        _ ledger: ShippedLedger, to volume: any Volume, _ target: Target, isLazy: Bool = false,
        _ patience: Patience
    ) {
        self.isLazy = isLazy
        (self.ledger, self.volume, self.target) = (ledger, volume, target)
        objects = ShippedObjects(ledger, patience)
        checker = RecordChecker(next: Position(0), lastHash: ledger.identity.digest)
    }

    /// Restores, and makes all files durable. Returns the size, and what was wrong in a store and was
    /// had from elsewhere. `progress` is told of each segment.
    package consuming func run(
        progress: (_ done: Int, _ all: Int) -> Void
    ) throws(ArchiveFailure) -> (size: LedgerSize, findings: [Finding]) {
        if case .all = target, let epoch = ledger.unknownEpochs.min() {
            throw .ledger(
                "\(ledger.layout.epoch(epoch)): there are objects of epoch \(epoch), but no note that the "
                    + "ledger's key signed, so nobody can tell what counts; another store may have it. "
                    + "`--at SIZE` restores what an earlier epoch has")
        }
        do throws(FileFailure) {
            try volume.replace(LedgerLayout.identity, with: ledger.identityBytes)
            let folders = [LedgerLayout.segments, LedgerLayout.ids]
            for folder in isLazy ? folders + [LedgerLayout.archived] : folders {
                try volume.makeFolder(folder)
            }
            checkpoints = try volume.open(LedgerLayout.checkpoints, .create())
        } catch { throw .file(error) }
        for (ordinal, segment) in ledger.segments.enumerated() where !isReached {
            guard segment.first == checker.next else { throw gap }
            switch segment {
            case .sealed(let mark, let epoch):
                if stays(mark, isLast: ordinal == ledger.segments.count - 1) {
                    try copyEntries(mark, epoch)
                } else {
                    try copy(mark, epoch)
                }
            case .inParts(let first, let epoch): try copyParts(of: first, epoch)
            }
            progress(ordinal + 1, ledger.segments.count)
        }
        if !isReached, ledger.findings.contains(where: { $0.code == .archiveGap }) { throw gap }
        if case .size(let size) = target, checker.next.value < size.entries {
            throw .ledger(
                "the archive has \(checker.next) entries, and not the \(size) that were asked for")
        }
        do throws(FileFailure) { try finish() } catch { throw .file(error) }
        return (LedgerSize(checker.next.value), objects.findings)
    }

    private var gap: ArchiveFailure {
        .ledger(
            "the archive has later segments, but nothing at position \(checker.next) yet; "
                + "`--at \(checker.next)` restores what is before it")
    }

    /// Whether nothing more belongs to what is asked for.
    private var isReached: Bool {
        switch target {
        case .all: ledger.end.map { checker.next >= $0 } ?? false
        case .size(let size): checker.next.value >= size.entries
        case .time(let time): checker.lastReceivedAt.map { $0 > time } ?? false
        }
    }

    // MARK: Whole segments

    private mutating func copy(_ mark: SealedMark, _ epoch: UInt64) throws(ArchiveFailure) {
        let file = try create(mark.first)
        try objects.copy(
            ledger.layout.segment(mark.first, epoch, .segment), mark.segmentDigest,
            bytes: mark.bytes, to: file, at: 0)
        if case .time = target {
            checker = try Self.followed(file, from: 0, checker, ledger) {
                ArchiveFailure.ledger("\(LedgerLayout.segment(mark.first)): \($0)")
            }
        } else {
            // Its bytes are those that were sealed, and the caller verifies what they say.
            checker = RecordChecker(next: mark.end, lastHash: mark.lastHash)
        }
        try copyCheckpoints(mark, epoch)
    }

    /// Whether a segment's payloads stay in the archive: it is not the last one, and wanted whole.
    private func stays(_ mark: SealedMark, isLast: Bool) -> Bool {
        guard isLazy, !isLast else { return false }
        return switch target {
        case .all: true
        case .size(let size): mark.end.value < size.entries
        case .time: false
        }
    }

    private mutating func copyEntries(_ mark: SealedMark, _ epoch: UInt64) throws(ArchiveFailure) {
        let path = LedgerLayout.archived(mark.first)
        let file: any VolumeFile
        do throws(FileFailure) { file = try volume.open(path, .create()) } catch {
            throw .file(error)
        }
        let key = ledger.layout.segment(mark.first, epoch, .entries)
        try objects.copy(key, mark.entriesDigest, bytes: nil, to: file, at: 0)
        do throws(FileFailure) {
            try file.sync()
            guard let entries = try EntriesFile(file),
                entries.header.segment.ledgerID == ledger.identity.ledgerID,
                entries.header.segment.firstPosition == checker.next,
                entries.header.segment.previous == checker.lastHash,
                entries.header.segmentDigest == mark.segmentDigest
            else { throw .broken("its entries are not what was sealed") }
            let scan = try entries.follow(checker)
            if let problem = scan.problem { throw .broken(problem.detail) }
            checker = scan.checker
        } catch {
            guard let detail = error.brokenDetail else { throw .file(error) }
            throw .ledger("\(path): \(detail)")
        }
        try copyCheckpoints(mark, epoch)
    }

    private mutating func copyCheckpoints(
        _ mark: SealedMark, _ epoch: UInt64
    ) throws(ArchiveFailure) {
        guard let checkpoints else { return }
        self.epoch = epoch
        try objects.copy(
            ledger.layout.segment(mark.first, epoch, .checkpoints), mark.checkpointsDigest,
            bytes: mark.checkpoints.count, to: checkpoints, at: mark.checkpoints.lowerBound)
    }

    private func create(_ first: Position) throws(ArchiveFailure) -> any VolumeFile {
        do throws(FileFailure) {
            return try volume.open(LedgerLayout.segment(first), .create())
        } catch { throw .file(error) }
    }

    /// The state after the records of a segment's file from an offset on. Fails where they do not
    /// continue what came before.
    private static func followed(
        _ file: any VolumeFile, from offset: Int, _ before: RecordChecker,
        _ ledger: ShippedLedger, _ failure: (String) -> ArchiveFailure
    ) throws(ArchiveFailure) -> RecordChecker {
        let name = LedgerLayout.segment(before.next)
        do throws(FileFailure) {
            let header: SegmentHeader
            switch try SegmentCursor.open(file, name: name) {
            case .failure(let finding): throw .broken(finding.description)
            case .success(let found): header = found
            }
            if offset == 0 {
                let problem = SegmentLink.problem(
                    header, name: before.next, path: name, ledgerID: ledger.identity.ledgerID,
                    expected: before)
                if let problem { throw .broken(problem.description) }
            }
            var checker = before
            var cursor = try SegmentCursor(
                file, header: header, from: max(offset, SegmentHeader.byteCount))
            while true {
                switch try cursor.next() {
                case .end:
                    guard cursor.offset == cursor.fileBytes else {
                        throw .broken("its records end before the file does")
                    }
                    return checker
                case .damage(let damage):
                    throw .broken("byte \(cursor.offset): \(damage.detail)")
                case .record(let record):
                    var problem: String?
                    cursor.withPayload(of: record) { payload in
                        checker.check(record, payload: payload) { problem = problem ?? $1 }
                    }
                    if let problem {
                        throw .broken("position \(record.entry.position): \(problem)")
                    }
                }
            }
        } catch {
            guard let detail = error.brokenDetail else { throw .file(error) }
            throw failure(detail)
        }
    }

    // MARK: Parts

    /// How far a segment was put together.
    private struct Reached {
        var bytes = 0
        /// Nil until the first part says where the segment's checkpoints begin.
        var checkpoints: Int?
    }

    /// Puts a segment together from parts of any store, whose borders may differ.
    private mutating func copyParts(
        of first: Position, _ epoch: UInt64
    ) throws(ArchiveFailure) {
        var candidates: [(store: Int, part: ArchivedParts.Part, next: ArchivedParts.Part?)] = []
        for (store, parts) in ledger.parts(of: epoch).enumerated() {
            let all = parts.all(first).sorted { Self.isBefore($0, $1) }
            for (index, part) in all.enumerated() {
                candidates.append((store, part, index + 1 < all.count ? all[index + 1] : nil))
            }
        }
        candidates.sort { Self.isBefore($0.part, $1.part) }
        var reached = try begin(candidates[0].part, epoch)
        var failure: ArchiveFailure?
        let file = try create(first)
        for (store, part, next) in candidates {
            guard part.offset <= reached.bytes, part.checkpointOffset <= reached.checkpoints ?? .max
            else { throw failure ?? gap }
            // The next one of its store begins within what is there already.
            if let next, next.offset <= reached.bytes,
                next.checkpointOffset <= reached.checkpoints ?? -1
            {
                continue
            }
            do throws(ArchiveFailure) { try copy(part, in: store, to: file, &reached) } catch {
                // Another store may have what follows.
                guard case .store = error else { throw error }
                failure = error
            }
        }
        // What no store has right would have gone on.
        if let failure, !isReached, !isCovered(candidates.last!.part, reached) { throw failure }
        // What came after the epoch's end is not of this ledger.
        guard let end = ledger.epochs.end(of: epoch), checker.next > end else { return }
        do throws(FileFailure) {
            try cut(file, first) { $0.entry.position < end }
        } catch { throw .file(error) }
    }

    /// What there is of a segment before its first part. The checkpoints of one epoch go on from segment to
    /// segment; another epoch has its own from some place on.
    private mutating func begin(
        _ part: ArchivedParts.Part, _ epoch: UInt64
    ) throws(ArchiveFailure) -> Reached {
        defer { self.epoch = epoch }
        guard epoch == self.epoch, let checkpoints else { return Reached() }
        do throws(FileFailure) {
            let size = try checkpoints.size()
            return Reached(checkpoints: size >= part.checkpointOffset ? size : nil)
        } catch { throw .file(error) }
    }

    private static func isBefore(_ one: ArchivedParts.Part, _ other: ArchivedParts.Part) -> Bool {
        (one.offset, one.checkpointOffset) < (other.offset, other.checkpointOffset)
    }

    /// Whether all that the part can have is there.
    private func isCovered(_ part: ArchivedParts.Part, _ reached: Reached) -> Bool {
        let most = part.offset + part.checkpointOffset + part.objectBytes
        return reached.bytes + (reached.checkpoints ?? 0) >= most - ArchivePart.lineBytesMax
            && reached.bytes >= part.offset
    }

    private mutating func copy(
        _ part: ArchivedParts.Part, in store: Int, to file: any VolumeFile,
        _ reached: inout Reached
    ) throws(ArchiveFailure) {
        let (before, checkpoints, ledger) = (checker, checkpoints!, ledger)
        let from = (reached.bytes, reached.checkpoints ?? part.checkpointOffset)
        var writer = PartWriter(part, file, checkpoints, from)
        var after = before
        try objects.read(part.key, in: store) { () throws(ArchiveFailure) in
            do throws(FileFailure) {
                try file.truncate(to: from.0)
                try checkpoints.truncate(to: from.1)
            } catch { throw .file(error) }
            writer = PartWriter(part, file, checkpoints, from)
        } take: { (piece) throws(ArchiveFailure) in
            try writer.take(piece)
        } isRight: { () throws(ArchiveFailure) in
            if let problem = writer.problem { return problem }
            if writer.hasBytes {
                after = try Self.followed(file, from: from.0, before, ledger) {
                    .store(StoreFailure(.damaged, part.key, $0))
                }
            }
            return try Self.problem(in: checkpoints, from: from.1)
        }
        checker = after
        let found = writer.part!
        reached.bytes = max(reached.bytes, found.offset + found.bytes)
        reached.checkpoints = max(from.1, found.checkpointOffset + found.checkpointBytes)
    }

    /// Why what was added to the checkpoints is not whole records; nil if it is.
    private static func problem(
        in checkpoints: any VolumeFile, from start: Int
    ) throws(ArchiveFailure) -> String? {
        do throws(FileFailure) {
            var cursor = try CheckpointCursor(checkpoints, from: start)
            while true {
                switch try cursor.next() {
                case .end: return nil
                case .damage(let damage): return "its checkpoints: \(damage.detail)"
                case .record: break
                }
            }
        } catch { throw .file(error) }
    }

    // MARK: The end

    /// Cuts what is beyond the target, and makes everything durable.
    private mutating func finish() throws(FileFailure) {
        let names = LedgerLayout.SegmentNames(try volume.list(LedgerLayout.segments))
        for first in names.firsts {
            let file = try volume.open(LedgerLayout.segment(first), .update)
            if first == names.firsts.last {
                switch target {
                case .all: break
                case .size(let size):
                    try cut(file, first) { size.contains($0.entry.position) }
                case .time(let time): try cut(file, first) { $0.entry.receivedAt <= time }
                }
            }
            try file.sync()
        }
        try volume.syncFolder(LedgerLayout.segments)
        if isLazy { try volume.syncFolder(LedgerLayout.archived) }
        guard let checkpoints else { return }
        var (cursor, newest) = (try CheckpointCursor(checkpoints), [UInt8]())
        var end = 0
        while case .record(let record) = try cursor.next() {
            guard record.published.checkpoint.size.entries <= checker.next.value else { break }
            (newest, end) = (record.published.note.bytes, cursor.offset)
        }
        if try checkpoints.size() > end { try checkpoints.truncate(to: end) }
        try checkpoints.sync()
        if newest.isEmpty {
            try volume.remove(LedgerLayout.checkpoints)
        } else {
            try volume.replace(LedgerLayout.checkpoint, with: newest)
        }
        try volume.syncFolder("")
    }

    /// Cuts a segment behind the records that are wanted.
    private mutating func cut(
        _ file: any VolumeFile, _ first: Position, _ isWanted: (SegmentCursor.Record) -> Bool
    ) throws(FileFailure) {
        guard
            case .success(let header) = try SegmentCursor.open(
                file, name: LedgerLayout.segment(first))
        else { return }
        var cursor = try SegmentCursor(file, header: header)
        var end = RecordChecker(next: header.firstPosition, lastHash: header.previous)
        var offset = cursor.offset
        while case .record(let record) = try cursor.next(), isWanted(record) {
            end = RecordChecker(
                next: record.entry.position.next, lastHash: record.entryHash,
                lastReceivedAt: record.entry.receivedAt)
            offset = cursor.offset
        }
        try file.truncate(to: offset)
        checker = end
    }
}
