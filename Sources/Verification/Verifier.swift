package import LedgerFormat
package import LedgerStorage
package import Platform

/// Checks every record, payload and link in a ledger's files, without trusting or changing any of
/// them. Works while a daemon writes, and never takes its lock.
package struct Verifier: Sendable {
    private let volume: any Volume
    private let options: Options
    /// Whether a process may be writing. If so, an incomplete tail is not damage.
    private let isBeingWritten: @Sendable () -> Bool

    package struct Options: Sendable {
        /// The number of threads that hash.
        package var threads = 2
        /// Parse and validate each payload as when it was admitted.
        package var checksPackets = false
        /// Compare the index and the ids with the segments they are derived from.
        package var comparesDerived = false
        /// The folder for sorting ids that do not fit in memory, to find duplicates.
        package var temporaryFolder = "/tmp"
        /// How many ids are kept in memory.
        package var idsInMemory = 1 << 20
        /// Checkpoints stored elsewhere, each with a name for use in findings.
        package var anchors: [(published: SignedCheckpoint, name: String)] = []
        /// Keys known from another source to be the ledger's.
        package var keys: [NoteVerifier] = []
        /// Whose cosignatures the anchors must have.
        package var policy: WitnessPolicy?

        package init() {}
    }

    /// `isBeingWritten` is evaluated now and each time a tail is judged, because a daemon may start
    /// or stop meanwhile.
    package init(
        _ volume: any Volume, _ options: Options = Options(),
        isBeingWritten: @autoclosure @escaping @Sendable () -> Bool
    ) {
        self.volume = ArchivedVolume(volume, nil)
        self.options = options
        let wasBeingWritten = isBeingWritten()
        self.isBeingWritten = { wasBeingWritten || isBeingWritten() }
    }

    /// Reads everything once. Throws only if something cannot be read at all. Memory does not grow
    /// with the ledger. `progress` receives the number of segments done and the total.
    package func run(
        progress: @escaping @Sendable (_ done: Int, _ all: Int) -> Void = { _, _ in }
    ) throws(OpenFailure) -> Verification {
        var result = Verification()
        do throws(FileFailure) {
            let identityBytes = try volume.content(of: LedgerLayout.identity)
            let identity = identity(identityBytes, &result)
            result.identity = identity
            let marker = try closeMarker(&result)
            let audit = try CheckpointAudit(
                volume, identity,
                options.anchors.map { .init(published: $0.published, name: $0.name) },
                .init(keys: options.keys, policy: options.policy))
            let tree = treeState(&result)
            noteAlarm(&result)
            try inspect(identityBytes, identity, marker, audit, tree, &result, progress)
            if options.comparesDerived { try DerivedComparison(volume).run(&result) }
            result.noteCopy()
        } catch { throw .file(error) }
        return result
    }

    private func identity(_ bytes: [UInt8], _ result: inout Verification) -> LedgerIdentity? {
        do throws(LedgerIdentity.DecodeError) {
            return try LedgerIdentity(fileContent: bytes)
        } catch {
            result.findings.append(.identity(bytes, error))
            return nil
        }
    }

    /// The size up to which to compare the tree's files. Being unable to read it is not a finding,
    /// because the tree is derived.
    private func treeState(_ result: inout Verification) -> TreeState {
        do throws(FileFailure) { return try TreeState.read(volume) } catch {
            result.notes.append("the tree was not compared: \(error)")
            return TreeState(size: .empty)
        }
    }

    private func noteAlarm(_ result: inout Verification) {
        // Without an alarm there is nothing to report.
        guard let alarm = try? volume.content(of: LedgerLayout.forkAlarm) else { return }
        result.notes.append(
            "\(LedgerLayout.forkAlarm): \(String(decoding: alarm.prefix(500), as: UTF8.self))")
    }

    private func closeMarker(_ result: inout Verification) throws(FileFailure) -> CloseMarker? {
        switch try volume.closeMarker() {
        case .success(let marker):
            result.closedAt = marker?.size
            return marker
        case .failure(let finding):
            result.findings.append(finding)
            return nil
        }
    }

    // MARK: Segments

    private func inspect(
        _ identityBytes: [UInt8], _ identity: LedgerIdentity?, _ marker: CloseMarker?,
        _ audit: CheckpointAudit, _ tree: TreeState, _ result: inout Verification,
        _ progress: @escaping @Sendable (Int, Int) -> Void
    ) throws(FileFailure) {
        let names = LedgerLayout.SegmentNames(try volume.list(LedgerLayout.segments))
        if let problem = names.problem { result.findings.append(problem) }
        let firsts = names.firsts
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
                try SegmentInspection.inspect(volume, segment, seal)
            }
        }
        defer { inspections.abandon() }
        for ordinal in firsts.indices {
            let inspection = try inspections.next().get()
            result.findings += inspection.findings
            result.notes += inspection.notes
            let moments = chain.add(inspection, firsts[ordinal], &result)
            try audit.take(
                inspection.others, moments, upTo: chain.size,
                keysMayBeUnknown: result.hasUnknownEntries)
            try duplicates.add(inspection.idHashes)
            progress(ordinal + 1, firsts.count)
        }
        if firsts.isEmpty {
            result.findings.append(
                Finding(.segmentMissing, file: LedgerLayout.segments, "there is no segment"))
        }
        let archived = try volume.list(LedgerLayout.archived).count
        if archived > 0 {
            result.notes.append(
                "segments whose payloads are in the archive only: \(archived); "
                    + "`stardust verify --archive` reads them there")
        }
        chain.finish(&result)
        try audit.finish(
            result.size, isBeingWritten: isBeingWritten(), &result)
        try report(duplicates.finish(), firsts, &result)
    }

    /// If two ids had the same hash, reads the ids again to find the positions that share an id.
    private func report(
        _ candidates: Set<UInt64>, _ firsts: [Position], _ result: inout Verification
    ) throws(FileFailure) {
        guard !candidates.isEmpty else { return }
        var seen: [UUID128: Position] = [:]
        for first in firsts {
            let path = LedgerLayout.segment(first)
            let file = try volume.open(path, .read)
            func compare(_ id: UUID128, _ position: Position, _ offset: Int?) {
                guard candidates.contains(DuplicateFinder.hash(id)) else { return }
                guard let earlier = seen[id] else {
                    seen[id] = position
                    return
                }
                result.findings.append(
                    Finding(
                        .stardustIDDuplicate, file: path, position: position,
                        offset: offset.map { ByteOffset($0) },
                        "the stardust_id \(id) already exists at position \(earlier)"))
            }
            if let archived = file as? ArchivedSegmentFile {
                _ = try archived.entries.follow(
                    RecordChecker(next: first, lastHash: archived.entries.header.segment.previous)
                ) { entry, _ in compare(entry.stardustID, entry.position, nil) }
                continue
            }
            guard case .success(let header) = try SegmentCursor.open(file, name: path) else {
                continue
            }
            var cursor = try SegmentCursor(file, header: header)
            walk: while true {
                switch try cursor.next() {
                case .end: break walk
                case .damage: guard try cursor.skipDamage() else { break walk }
                case .record(let record):
                    compare(record.entry.stardustID, record.entry.position, record.offset)
                }
            }
        }
    }
}
