package import LedgerFormat
package import LedgerStorage
package import Platform

/// What a check of a ledger's files found.
package struct Verification: Sendable {
    package var findings: [Finding] = []
    /// What is unusual but no damage, such as a tail that is being written.
    package var notes: [String] = []
    package var size = LedgerSize.empty
    /// Nil where the entries do not follow each other, so that there is no tree over them.
    package var root: Digest?
    /// How far the close marker vouches.
    package var closedAt: LedgerSize?
    /// The newest checkpoint that holds, and the key that signed it.
    package var checkpoint: (checkpoint: Checkpoint, key: NoteVerifier)?
    package var checkpointCount = 0
    /// How far a checkpoint from outside vouches.
    package var anchoredSize: LedgerSize?

    package init() {}

    package var isSound: Bool { findings.isEmpty }
}

/// Checks a ledger's files without trusting or changing any: every record, every payload, every
/// link. Works beside a daemon that writes; never takes its lock.
package struct Verifier: Sendable {
    private let volume: any Volume
    private let options: Options
    /// Whether a process may be writing: then a tail that is not whole is no damage.
    private let isBeingWritten: @Sendable () -> Bool

    package struct Options: Sendable {
        /// Threads that hash.
        package var threads = 2
        /// Parse and validate each payload as when it was admitted.
        package var checksPackets = false
        /// Where duplicates are sorted that do not fit in memory.
        package var temporaryFolder = "/tmp"
        /// Ids that are kept in memory.
        package var idsInMemory = 1 << 20
        /// Checkpoints that were kept elsewhere, each with a name for what is found.
        package var anchors: [(published: SignedCheckpoint, name: String)] = []
        /// Keys that are known from elsewhere to be the ledger's.
        package var keys: [NoteVerifier] = []
        /// Whose cosignatures the anchors must have.
        package var policy: WitnessPolicy?

        package init() {}
    }

    /// `isBeingWritten` is asked each time that a tail is judged: a daemon may start meanwhile.
    package init(
        _ volume: any Volume, _ options: Options = Options(),
        isBeingWritten: @autoclosure @escaping @Sendable () -> Bool
    ) {
        self.volume = volume
        self.options = options
        self.isBeingWritten = isBeingWritten
    }

    /// Reads everything once. Throws only where something cannot be read at all; memory does not
    /// grow with the ledger. `progress` is told the share of segments done.
    package func run(
        progress: @escaping @Sendable (_ done: Int, _ all: Int) -> Void = { _, _ in }
    ) throws(OpenFailure) -> Verification {
        var result = Verification()
        do throws(FileFailure) {
            let identityBytes = try volume.content(of: LedgerLayout.identity)
            let identity = identity(identityBytes, &result)
            let marker = try closeMarker(&result)
            let audit = try CheckpointAudit(
                volume, identity,
                options.anchors.map { .init(published: $0.published, name: $0.name) },
                .init(keys: options.keys, policy: options.policy))
            let tree = treeState(&result)
            noteAlarm(&result)
            try inspect(identityBytes, identity, marker, audit, tree, &result, progress)
        } catch { throw .file(error) }
        return result
    }

    private func identity(_ bytes: [UInt8], _ result: inout Verification) -> LedgerIdentity? {
        do throws(LedgerIdentity.DecodeError) {
            return try LedgerIdentity(fileContent: bytes)
        } catch {
            result.findings.append(
                Finding(.identityDamaged, file: LedgerLayout.identity, error.description))
            return nil
        }
    }

    /// How far the tree's files are to be compared: derived, so that not to be able to read them is
    /// no finding.
    private func treeState(_ result: inout Verification) -> TreeState {
        do throws(FileFailure) { return try TreeState.read(volume) } catch {
            result.notes.append("the tree is not compared: \(error)")
            return TreeState(size: .empty)
        }
    }

    private func noteAlarm(_ result: inout Verification) {
        // Where there is none, there is nothing to say.
        guard let alarm = try? volume.content(of: LedgerLayout.forkAlarm) else { return }
        result.notes.append(
            "\(LedgerLayout.forkAlarm): \(String(decoding: alarm.prefix(500), as: UTF8.self))")
    }

    private func closeMarker(_ result: inout Verification) throws(FileFailure) -> CloseMarker? {
        let content: [UInt8]
        do throws(FileFailure) {
            content = try volume.content(of: LedgerLayout.closeMarker)
        } catch {
            if error.isMissing { return nil }
            throw error
        }
        let marker = CloseMarker(fileContent: content)
        if marker == nil {
            result.findings.append(
                Finding(
                    .closeMarkerDamaged, file: LedgerLayout.closeMarker,
                    "the close marker is not as it was written"))
        }
        result.closedAt = marker?.size
        return marker
    }

    // MARK: Segments

    private func inspect(
        _ identityBytes: [UInt8], _ identity: LedgerIdentity?, _ marker: CloseMarker?,
        _ audit: CheckpointAudit, _ tree: TreeState, _ result: inout Verification,
        _ progress: @escaping @Sendable (Int, Int) -> Void
    ) throws(FileFailure) {
        let firsts = try volume.list(LedgerLayout.segments)
            .compactMap(LedgerLayout.firstPosition(inName:)).sorted()
        let seal = LedgerSeal(
            closedAt: marker?.size ?? .empty, signedAt: audit.durable,
            isBeingWritten: isBeingWritten, checksPackets: options.checksPackets,
            treeFiles: TreeFiles(volume), treeSize: tree.size, sizes: audit.sizes)
        let volume = volume
        var audit = audit
        var duplicates = DuplicateFinder(
            idsInMemory: options.idsInMemory, folder: options.temporaryFolder)
        var chain = SegmentChain(
            ledgerID: identity?.ledgerID, start: Digest.sha256(identityBytes), marker: marker,
            tree: TreeComparison(seal.treeFiles, tree.size))
        try audit.take([], [0: .nothing], upTo: .empty)
        let inspections = OrderedWork(count: firsts.count, threads: options.threads) { ordinal in
            let segment = SegmentInspection.Place(
                first: firsts[ordinal], isNewest: ordinal == firsts.count - 1,
                follower: ordinal + 1 < firsts.count ? firsts[ordinal + 1] : nil,
                isSecondNewest: ordinal == firsts.count - 2)
            return Result { () throws(FileFailure) in
                try SegmentInspection(volume, segment, seal)
            }
        }
        defer { inspections.abandon() }
        for ordinal in firsts.indices {
            let inspection = try inspections.next().get()
            result.findings += inspection.findings
            result.notes += inspection.notes
            let moments = chain.add(inspection, firsts[ordinal], &result)
            try audit.take(inspection.rotations, moments, upTo: chain.size)
            try duplicates.add(inspection.idHashes)
            progress(ordinal + 1, firsts.count)
        }
        if firsts.isEmpty {
            result.findings.append(
                Finding(.segmentMissing, file: LedgerLayout.segments, "there is no segment"))
        }
        chain.finish(&result)
        try audit.finish(
            result.size, isBeingWritten: isBeingWritten(), &result)
        try report(duplicates.finish(), firsts, &result)
    }

    /// Reads the ids again where two had the same hash, to tell which positions share one.
    private func report(
        _ candidates: Set<UInt64>, _ firsts: [Position], _ result: inout Verification
    ) throws(FileFailure) {
        guard !candidates.isEmpty else { return }
        var seen: [UUID128: Position] = [:]
        for first in firsts {
            let path = LedgerLayout.segment(first)
            let file = try volume.open(path, .read)
            guard case .success(let header) = try SegmentCursor.open(file, name: path) else {
                continue
            }
            var cursor = try SegmentCursor(file, header: header)
            walk: while true {
                switch try cursor.next() {
                case .end: break walk
                case .damage: guard try cursor.skipDamage() else { break walk }
                case .record(let record):
                    let (id, position) = (record.entry.stardustID, record.entry.position)
                    guard candidates.contains(DuplicateFinder.hash(id)) else { continue }
                    guard let earlier = seen[id] else {
                        seen[id] = position
                        continue
                    }
                    result.findings.append(
                        Finding(
                            .stardustIDDuplicate, file: path, position: position,
                            offset: ByteOffset(record.offset),
                            "the stardust_id \(id) stands at position \(earlier) already"))
                }
            }
        }
    }
}

/// What is known before a segment is read.
struct LedgerSeal: Sendable {
    /// What the close marker and the newest checkpoint say was synced once.
    var closedAt: LedgerSize
    var signedAt: LedgerSize
    var isBeingWritten: @Sendable () -> Bool
    var checksPackets: Bool
    var treeFiles: TreeFiles
    /// As far as the tree's files are to be compared.
    var treeSize: LedgerSize
    /// Sizes at which the tree is wanted, ascending.
    var sizes: [UInt64]

    /// Up to here everything was synced once.
    var durable: LedgerSize { max(closedAt, signedAt) }

    func wants(_ size: UInt64) -> Bool {
        var (low, high) = (0, sizes.count)
        while low < high {
            let middle = (low + high) / 2
            if sizes[middle] < size { low = middle + 1 } else { high = middle }
        }
        return low < sizes.count && sizes[low] == size
    }
}

/// Puts the inspected segments together, in order.
private struct SegmentChain: ~Copyable {
    private let ledgerID: UUID128?
    private let marker: CloseMarker?
    private var expected: RecordChecker
    private var tree: CompactRange? = CompactRange()
    private var files: TreeComparison
    /// Where the tree's files differ first: one place is enough to know that they must be made again.
    private var treeFinding: Finding?
    private var markerHash: Digest?

    init(
        ledgerID: UUID128?, start: Digest, marker: CloseMarker?, tree: consuming TreeComparison
    ) {
        files = tree
        self.ledgerID = ledgerID
        self.marker = marker
        expected = RecordChecker(next: Position(0), lastHash: start)
        if marker?.size == .empty { markerHash = start }
    }

    var size: LedgerSize { LedgerSize(expected.next.value) }

    /// Gives the trees at the sizes that were asked for.
    mutating func add(
        _ inspection: SegmentInspection, _ name: Position, _ result: inout Verification
    ) -> [UInt64: CheckpointAudit.Moment] {
        guard let header = inspection.header, let last = inspection.last else {
            tree = nil
            return [:]
        }
        let moments = moments(inspection, header)
        treeFinding = treeFinding ?? inspection.treeFinding
        if let finding = SegmentLink.problem(
            header, name: name, path: LedgerLayout.segment(name),
            ledgerID: ledgerID ?? header.ledgerID, expected: expected)
        {
            result.findings.append(finding)
        }
        if let earlier = expected.lastReceivedAt, let first = inspection.firstReceivedAt,
            first < earlier
        {
            result.findings.append(
                Finding(
                    .timeReversed, file: LedgerLayout.segment(name),
                    position: header.firstPosition,
                    "received at \(first), after one at \(earlier)"))
        }
        if let range = inspection.leaves, tree?.end == header.firstPosition {
            tree?.append(range) { files.compare($0, $1) }
        } else {
            tree = nil
        }
        markerHash = markerHash ?? inspection.markerHash
        expected = RecordChecker(
            next: last.next, lastHash: last.lastHash,
            lastReceivedAt: last.lastReceivedAt ?? expected.lastReceivedAt)
        return moments
    }

    private func moments(
        _ inspection: SegmentInspection, _ header: SegmentHeader
    ) -> [UInt64: CheckpointAudit.Moment] {
        guard let tree, tree.end == header.firstPosition else { return [:] }
        var moments: [UInt64: CheckpointAudit.Moment] = [:]
        for (size, leaves, time) in inspection.prefixes {
            var whole = tree
            whole.append(leaves)
            moments[size] = CheckpointAudit.Moment(root: whole.root, lastReceivedAt: time)
        }
        return moments
    }

    func finish(_ result: inout Verification) {
        result.size = LedgerSize(expected.next.value)
        result.root = tree?.root
        if let finding = treeFinding ?? files.finding { result.findings.append(finding) }
        guard let marker else { return }
        if marker.size > result.size {
            result.findings.append(
                Finding(
                    .truncated, file: LedgerLayout.closeMarker, position: expected.next,
                    "the ledger was closed with \(marker.size) entries and now has \(result.size)"))
        } else if let markerHash, markerHash != marker.lastHash {
            result.findings.append(
                Finding(
                    .closeMarkerMismatch, file: LedgerLayout.closeMarker,
                    position: marker.size.nextPosition,
                    "closed after \(marker.lastHash.tagged), the segments have "
                        + markerHash.tagged))
        }
    }
}
