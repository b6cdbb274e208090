internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform

/// The result of reading one segment from start to end, whatever it contains.
struct SegmentInspection: Sendable {
    var findings: [Finding] = []
    var notes: [String] = []
    /// Nil if the header cannot be read.
    var header: SegmentHeader?
    /// The checker's state after the last record.
    var last: RecordChecker?
    var firstReceivedAt: Timestamp?
    /// The entry hashes; nil if records between them are missing.
    var leaves: CompactRange?
    /// Hash of the last entry below the close marker's size, if this segment contains it.
    var markerHash: Digest?
    var idHashes: [UInt64] = []
    /// The entry hashes up to each requested size, and when the last entry was received.
    var prefixes: [(size: UInt64, leaves: CompactRange, lastReceivedAt: Timestamp)] = []
    /// The first difference in the tree's files.
    var treeFinding: Finding?
    /// Entries that change the ledger's key.
    var others: [(entry: Entry, payload: [UInt8])] = []

    private let place: Place
    private let seal: LedgerSeal
    private var reader = OptionalReader()

    struct Place: Sendable {
        var first: Position
        var isNewest: Bool
        /// The first position of the next segment, according to its name.
        var follower: Position?
        var isSecondNewest: Bool

        var path: String { LedgerLayout.segment(first) }
    }

    private init(_ place: Place, _ seal: LedgerSeal) { (self.place, self.seal) = (place, seal) }

    /// Reads a whole segment. Blocks on the disk, and waits for a writer at the end of the newest.
    static func inspect(
        _ volume: any Volume, _ place: Place, _ seal: LedgerSeal
    ) throws(FileFailure) -> SegmentInspection {
        var inspection = SegmentInspection(place, seal)
        try inspection.read(volume)
        return inspection
    }

    private mutating func read(_ volume: any Volume) throws(FileFailure) {
        let file: any VolumeFile
        do throws(FileFailure) { file = try volume.open(place.path, .read) } catch {
            if error.path.folder == LedgerLayout.archived {
                findings.append(
                    Finding(
                        .segmentHeaderDamaged, file: error.path, error.detail ?? "\(error)"))
                return
            }
            guard error.isNoFile || error.isMissing else { throw error }
            findings.append(
                Finding(.segmentHeaderDamaged, file: place.path, "this is not a regular file"))
            return
        }
        if let archived = file as? ArchivedSegmentFile {
            header = archived.entries.header.segment
            return try walk(archived.entries)
        }
        switch try SegmentCursor.open(file, name: place.path) {
        case .failure(let problem): findings.append(problem)
        case .success(let header):
            self.header = header
            try walk(file, header, volume)
        }
        if !place.isNewest, findings.last?.code == .unfinishedRoll, seal.isBeingWritten() {
            notes.append("\(place.path): a roll to the next segment was under way")
            findings.removeLast()
        }
    }

    // MARK: Records

    private mutating func walk(
        _ file: any VolumeFile, _ header: SegmentHeader, _ volume: any Volume
    ) throws(FileFailure) {
        var checker = RecordChecker(next: header.firstPosition, lastHash: header.previous)
        var range: CompactRange? = CompactRange(from: header.firstPosition)
        var tree = TreeComparison(seal.treeFiles, seal.treeSize)
        defer { treeFinding = tree.finding }
        var cursor = try SegmentCursor(file, header: header)
        var retries = place.isNewest && seal.isBeingWritten() ? Self.retriesMax : 0
        var hasSkipped = false
        if seal.closedAt.entries > 0, seal.closedAt.nextPosition == header.firstPosition {
            markerHash = header.previous
        }
        walk: while true {
            let problem: Finding
            var isWritten = false
            switch try cursor.next() {
            case .end:
                try judgeEnd(cursor, checker, file, volume)
                break walk
            case .damage(let damage):
                isWritten = damage.isWritten
                problem = finding(damage.code, cursor.offset, checker.next, damage.detail)
            case .record(let record):
                if hasSkipped { checker.resume(at: record) }
                let before = checker
                let problems = check(record, cursor, &checker)
                guard let torn = problems.first, Self.codesOfTornRecords.contains(torn.code) else {
                    hasSkipped = false
                    take(record.entry, record.entryHash, problems, &range, &tree)
                    continue
                }
                if try !isUnfinished(torn, isWritten, file, header, retries) {
                    hasSkipped = false
                    take(record.entry, record.entryHash, problems, &range, &tree)
                    continue
                }
                checker = before
                problem = torn
            }
            let offset = Int(problem.offset!.bytes)
            if try isUnfinished(problem, isWritten, file, header, retries) {
                guard retries > 0 else {
                    noteTail(problem)
                    break walk
                }
                // A record that is being written may be complete in a moment.
                retries -= 1
                usleep(20_000)
                cursor = try SegmentCursor(file, header: header, from: offset)
                continue
            }
            findings.append(problem)
            range = nil
            hasSkipped = true
            guard try cursor.skipDamage() else { break walk }
        }
        last = checker
        leaves = range
    }

    /// Follows the entries of a segment whose payloads are in the archive only.
    private mutating func walk(_ entries: EntriesFile) throws(FileFailure) {
        let header = entries.header.segment
        var range: CompactRange? = CompactRange(from: header.firstPosition)
        var tree = TreeComparison(seal.treeFiles, seal.treeSize)
        if seal.closedAt.entries > 0, seal.closedAt.nextPosition == header.firstPosition {
            markerHash = header.previous
        }
        var kept: [(Int, Entry)] = []
        let scan = try entries.follow(
            RecordChecker(next: header.firstPosition, lastHash: header.previous)
        ) { entry, hash in
            take(entry, hash, [], &range, &tree)
            if entry.kind != .packet {
                kept.append((Int(entry.position.value - header.firstPosition.value), entry))
            }
        }
        for (ordinal, entry) in kept {
            let payload = try entries.keptPayload(ordinal)
            guard Digest.sha256(payload) == entry.payloadDigest else {
                findings.append(
                    Finding(
                        .payloadDigestMismatch, file: entries.path, position: entry.position,
                        "the payload that was kept does not match its entry"))
                continue
            }
            others.append((entry, payload))
        }
        if let (code, detail) = scan.problem {
            findings.append(
                Finding(code, file: entries.path, position: scan.checker.next, detail))
        }
        treeFinding = tree.finding
        (last, leaves) = (scan.checker, scan.problem == nil ? range : nil)
    }

    /// How often a place in the newest segment is read again while a daemon writes: 2 s in all.
    private static let retriesMax = 100

    private func finding(
        _ code: Finding.Code, _ offset: Int, _ position: Position, _ detail: String
    ) -> Finding {
        Finding(
            code, file: place.path, position: position, offset: ByteOffset(offset), detail)
    }

    /// What is wrong with a record. The checker continues after it either way.
    private mutating func check(
        _ record: SegmentCursor.Record, _ cursor: borrowing SegmentCursor,
        _ checker: inout RecordChecker
    ) -> [Finding] {
        var problems: [(Finding.Code, String)] = []
        let expected = checker.next
        cursor.withPayload(of: record) { payload in
            checker.check(record, payload: payload) { problems.append(($0, $1)) }
            compare(record.entry, payload, &problems)
        }
        return problems.map { finding($0, record.offset, expected, $1) }
    }

    /// Adds a record and its problems to the result.
    private mutating func take(
        _ entry: Entry, _ hash: Digest, _ problems: [Finding], _ range: inout CompactRange?,
        _ tree: inout TreeComparison
    ) {
        findings += problems
        firstReceivedAt = firstReceivedAt ?? entry.receivedAt
        idHashes.append(DuplicateFinder.hash(entry.stardustID))
        if entry.position.next == seal.closedAt.nextPosition { markerHash = hash }
        guard range?.end == entry.position else {
            range = nil
            return
        }
        range?.append(hash) { tree.compare($0, $1) }
        tree.compareLeaf(entry.position, hash)
        let size = entry.position.next.value
        if seal.wants(size), let range {
            prefixes.append((size, range, entry.receivedAt))
        }
    }

    /// Checks that the entry agrees with its packet: invariant 4 of `Entry`.
    private mutating func compare(
        _ entry: Entry, _ payload: Span<UInt8>, _ problems: inout [(Finding.Code, String)]
    ) {
        if entry.kind != .packet { return others.append((entry, [UInt8](payload))) }
        if entry.flags.contains(.createdAtAssigned), entry.createdAt != entry.receivedAt {
            problems.append((.createdAtMismatch, "an assigned created_at is not received_at"))
        }
        if !seal.checksPackets, Self.isBare(payload), let ends = PayloadEnds.read(payload) {
            compare(entry, ends.stardustID, ends.createdAt, &problems)
            return
        }
        do throws(PacketError) {
            let facts = try reader.read(payload)
            if !Self.isBare(payload) {
                problems.append((.payloadNotAPacket, "there is white space around the payload"))
            }
            compare(entry, facts.stardustID, facts.createdAt, &problems)
        } catch {
            problems.append((.payloadNotAPacket, "the payload would not be admitted: \(error)"))
        }
    }

    /// Whether no white space surrounds the object, as in every packet that was admitted.
    private static func isBare(_ payload: Span<UInt8>) -> Bool {
        payload.count >= 2 && payload[0] == UInt8(ascii: "{")
            && payload[payload.count - 1] == UInt8(ascii: "}")
    }

    private func compare(
        _ entry: Entry, _ id: UUID128?, _ time: Timestamp?,
        _ problems: inout [(Finding.Code, String)]
    ) {
        if (id == nil) != entry.flags.contains(.idAssigned)
            || (id ?? entry.stardustID) != entry.stardustID
        {
            problems.append(
                (
                    .stardustIDMismatch,
                    "the entry says \(entry.stardustID), but the packet "
                        + "\(id?.description ?? "none")"
                ))
        }
        if (time == nil) != entry.flags.contains(.createdAtAssigned)
            || (time ?? entry.createdAt) != entry.createdAt
        {
            problems.append(
                (
                    .createdAtMismatch,
                    "the entry says \(entry.createdAt), but the packet "
                        + "\(time?.description ?? "none")"
                ))
        }
    }

    // MARK: The end

    /// Findings that a torn record can cause, if its frame is intact but its payload is not.
    private static let codesOfTornRecords: Set<Finding.Code> = [
        .positionMismatch, .chainBroken, .timeReversed, .payloadLengthMismatch,
        .payloadDigestMismatch,
    ]

    /// Whether the problem lies in a batch that was never synced, or is not synced yet.
    private func isUnfinished(
        _ problem: Finding, _ isWritten: Bool, _ file: any VolumeFile, _ header: SegmentHeader,
        _ retries: Int
    ) throws(FileFailure) -> Bool {
        guard place.isNewest else { return false }
        // While a daemon writes, further batches may follow what was just read.
        if retries > 0 { return true }
        return try TornTail.isTorn(
            at: Int(problem.offset!.bytes), expecting: problem.position!, isWritten: isWritten,
            file, header, durable: seal.durable)
    }

    private mutating func noteTail(_ problem: Finding) {
        if seal.isBeingWritten() {
            notes.append("\(place.path): the tail from byte \(problem.offset!) on is being written")
        } else {
            findings.append(
                finding(
                    .tornTail, Int(problem.offset!.bytes), problem.position!,
                    "an unfinished write follows the last record; starting the daemon cuts it"))
        }
    }

    private mutating func judgeEnd(
        _ cursor: borrowing SegmentCursor, _ checker: RecordChecker, _ file: any VolumeFile,
        _ volume: any Volume
    ) throws(FileFailure) {
        guard let follower = place.follower, cursor.offset < (try file.size()) else { return }
        var isRoll = place.isSecondNewest && follower == checker.next
        if isRoll { isRoll = try volume.isEmptySegment(follower) }
        findings.append(
            finding(
                isRoll ? .unfinishedRoll : .longerThanRecords, cursor.offset, checker.next,
                isRoll
                    ? "the segment was not truncated after its records; starting the daemon does so"
                    : "the file continues after its records"))
    }
}

/// A packet reader that is created only when a payload must be parsed.
private struct OptionalReader: Sendable {
    private final class Box: @unchecked Sendable {
        // Unchecked: one thread makes an inspection, and only that thread uses its reader.
        var reader = PacketReader()
    }
    private var box: Box?

    mutating func read(_ payload: Span<UInt8>) throws(PacketError) -> PacketFacts {
        let box = self.box ?? Box()
        self.box = box
        return try box.reader.read(payload)
    }
}
