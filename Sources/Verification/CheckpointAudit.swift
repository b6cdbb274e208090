internal import LedgerFormat
internal import LedgerStorage
internal import Platform

/// Checks a ledger's checkpoints, and those an auditor supplied, against the entries.
///
/// Create it before the segments are read: then the entries under every checkpoint it knows are
/// already on disk. It then receives, segment by segment, the tree at each size in `sizes`.
struct CheckpointAudit {
    private let volume: any Volume
    private let anchors: [Anchor]
    private let trust: Trust
    private var cursor: CheckpointCursor?
    /// Where the file ended when the audit began; a daemon may add to it.
    private let end: Int
    /// The content of `checkpoint` before that.
    private let copy: [UInt8]?
    private var recordsAfterCopy: Int?
    private var history: KeyHistory?
    /// The record that comes next.
    private var pending: CheckpointCursor.Record?
    private var newest: SignedCheckpoint?
    private var findings: [Finding] = []
    /// A later version wrote an entry so far, which may have changed the key.
    private var keysMayBeUnknown = false
    /// The last epoch that began.
    private var epoch: UInt64 = 0
    /// Names of the supplied checkpoints that were compared.
    private var compared: Set<String> = []
    /// Bytes behind the last record, and what was found of them.
    private var ending: (offset: Int, finding: Finding)?
    /// The last record that was read.
    private var newestRead: SignedCheckpoint?
    private(set) var summary = Summary()

    /// Sizes at which the tree is needed, ascending.
    let sizes: [UInt64]
    /// Everything up to here was once durable, according to the checkpoints.
    let durable: LedgerSize

    struct Anchor: Sendable {
        var published: SignedCheckpoint
        var name: String
    }

    /// What an auditor knows from another source: the ledger's keys, and whose cosignatures a
    /// checkpoint needs.
    struct Trust: Sendable {
        var keys: [NoteVerifier] = []
        var policy: WitnessPolicy?
    }

    /// The tree at a size, and when its last entry was received.
    struct Moment: Sendable {
        var root: Digest
        var lastReceivedAt: Timestamp

        /// Before the first entry.
        static let nothing = Moment(
            root: Merkle.emptyRoot, lastReceivedAt: Timestamp(microseconds: .min))
    }

    /// A summary of the valid checkpoints.
    struct Summary: Sendable {
        /// The newest valid one, and the key that signed it.
        var checkpoint: (checkpoint: Checkpoint, key: NoteVerifier)?
        /// The size of the largest valid checkpoint that the auditor supplied.
        var anchoredSize: LedgerSize?
        var count = 0
    }

    init(
        _ volume: any Volume, _ identity: LedgerIdentity?, _ anchors: [Anchor], _ trust: Trust
    ) throws(FileFailure) {
        (self.volume, self.anchors, self.trust) = (volume, anchors, trust)
        history = identity.map { KeyHistory(first: $0.verifierKey) }
        copy = try CheckpointCursor.copy(volume)
        var sizes = anchors.map(\.published.checkpoint.size.entries)
        var durable = LedgerSize.empty
        let file: (any VolumeFile)?
        do throws(FileFailure) { file = try volume.open(LedgerLayout.checkpoints, .read) } catch {
            guard error.isMissing else { throw error }
            file = nil
        }
        guard let file else {
            (end, self.sizes, self.durable) = (0, sizes.sorted(), durable)
            return
        }
        end = try file.size()
        var scan = try CheckpointCursor(file)
        scan: while scan.offset < end {
            switch try scan.next() {
            case .end: break scan
            case .damage: guard try scan.skipToRecord() else { break scan }
            case .record(let record):
                let size = record.published.checkpoint.size
                if sizes.last != size.entries { sizes.append(size.entries) }
                durable = max(durable, size)
            }
        }
        self.sizes = sizes.sorted()
        self.durable = durable
        cursor = try CheckpointCursor(file)
        try advance()
    }

    // MARK: The records

    /// Advances to the next record. Each damaged stretch before it is a finding.
    private mutating func advance() throws(FileFailure) {
        pending = nil
        while pending == nil, cursor != nil, cursor!.offset < end {
            switch try cursor!.next() {
            case .end: cursor = nil
            case .record(let record):
                pending = record
                newestRead = record.published
            case .damage(let damage):
                let offset = cursor!.offset
                let goesOn = try cursor!.skipToRecord()
                let isLast = !goesOn || cursor!.offset >= end
                var finding = damage.finding(at: offset)
                if isLast, CheckpointCursor.isUnfinished(damage, after: newestRead, copy: copy) {
                    finding.code = .checkpointUnfinished
                }
                findings.append(finding)
                if isLast { ending = (offset, finding) }
                if !goesOn { cursor = nil }
            }
        }
    }

    /// Adds the next segment's changes of key, epochs and trees. The segment ends before `end`.
    mutating func take(
        _ others: [(entry: Entry, payload: [UInt8])], _ moments: [UInt64: Moment],
        upTo end: LedgerSize, keysMayBeUnknown: Bool = false
    ) throws(FileFailure) {
        self.keysMayBeUnknown = keysMayBeUnknown
        for (entry, payload) in others {
            if entry.kind == .epoch {
                if let problem = history?.checkEpoch(entry, payload: payload, after: &epoch) {
                    findings.append(Finding(.epochInvalid, position: entry.position, problem))
                }
            } else if let problem = history?.follow(entry, payload: payload) {
                findings.append(
                    Finding(.keyRotationInvalid, position: entry.position, problem))
            }
        }
        while let record = pending, record.published.checkpoint.size <= end {
            judge(record, moments[record.published.checkpoint.size.entries])
            try advance()
        }
        for anchor in anchors {
            if let moment = moments[anchor.published.checkpoint.size.entries] {
                judge(anchor, moment)
            }
        }
    }

    private mutating func judge(_ record: CheckpointCursor.Record, _ moment: Moment?) {
        let published = record.published
        noteOrder(record)
        func problem(_ code: Finding.Code, _ detail: String) -> Finding {
            Finding(
                code, file: LedgerLayout.checkpoints,
                position: published.checkpoint.size.nextPosition,
                offset: ByteOffset(record.offset), detail)
        }
        let before = findings.count
        if let first = history?.first, !published.checkpoint.isOf(first) {
            findings.append(
                problem(.checkpointForeign, "it belongs to \(published.checkpoint.origin)"))
        }
        if !published.checkpoint.extensions.isEmpty {
            findings.append(
                problem(.checkpointDamaged, "it has more lines than a ledger writes"))
        }
        if let moment, moment.root != published.checkpoint.root {
            findings.append(
                problem(
                    .checkpointRootMismatch,
                    "it was signed over \(published.checkpoint.root.tagged), but the entries yield "
                        + moment.root.tagged))
        }
        if let (code, detail) = signatureProblem(published, moment) {
            findings.append(problem(code, detail))
        }
        guard findings.count == before, moment != nil, let history else { return }
        summary.checkpoint = (
            published.checkpoint, history.required(at: published.checkpoint.size)
        )
    }

    private mutating func noteOrder(_ record: CheckpointCursor.Record) {
        let published = record.published
        if let newest, published.checkpoint.size < newest.checkpoint.size {
            findings.append(
                Finding(
                    .checkpointSizeReversed, file: LedgerLayout.checkpoints,
                    offset: ByteOffset(record.offset),
                    "size \(published.checkpoint.size) follows \(newest.checkpoint.size)"))
        }
        newest = published
        summary.count += 1
        if published.note.bytes == copy { recordsAfterCopy = 0 } else { recordsAfterCopy? += 1 }
    }

    /// Why its signatures are not the ones required of the ledger's keys; nil if they are.
    private func signatureProblem(
        _ published: SignedCheckpoint, _ moment: Moment?
    ) -> (Finding.Code, String)? {
        guard let history else { return nil }
        let size = published.checkpoint.size
        let signers: [NoteVerifier]
        do throws(SignedNote.Failure) {
            signers = try published.note.signers(among: history.known(at: size))
        } catch {
            return switch error {
            case .badSignature: (.checkpointSignatureBad, error.description)
            case .noKnownKey where keysMayBeUnknown: nil
            case .noKnownKey: (.checkpointUnsigned, "no key of this ledger has signed it")
            }
        }
        let required = history.required(at: size)
        if let moment {
            let permitted = history.permitted(at: size, lastReceivedAt: moment.lastReceivedAt)
            if let revoked = signers.first(where: { !permitted.contains($0) }) {
                return (
                    .checkpointKeyRevoked,
                    "\(revoked.keyName) signed it, but was not the ledger's key at that size"
                )
            }
        }
        return signers.contains(required) || keysMayBeUnknown
            ? nil
            : (.checkpointUnsigned, "\(required.keyName), the ledger's key, has not signed it")
    }

    // MARK: Supplied checkpoints

    private mutating func judge(_ anchor: Anchor, _ moment: Moment) {
        guard isOurs(anchor) else { return }
        compared.insert(anchor.name)
        if let (code, detail) = signatureProblem(anchor.published, moment),
            code == .checkpointKeyRevoked
        {
            findings.append(Finding(.anchorUnsigned, "\(anchor.name): \(detail)"))
            return
        }
        guard moment.root == anchor.published.checkpoint.root else {
            findings.append(
                Finding(
                    .anchorMismatch, position: anchor.published.checkpoint.size.nextPosition,
                    "\(anchor.name) was signed over \(anchor.published.checkpoint.root.tagged), "
                        + "but the ledger's root is \(moment.root.tagged): it is not the ledger "
                        + "that was signed"
                ))
            return
        }
        summary.anchoredSize = max(
            summary.anchoredSize ?? .empty, anchor.published.checkpoint.size)
    }

    private func isOurs(_ anchor: Anchor) -> Bool {
        history.map { anchor.published.checkpoint.isOf($0.first) } ?? false
    }

    // MARK: The end

    /// Adds the findings to `result`.
    mutating func finish(
        _ size: LedgerSize, isBeingWritten: Bool, _ result: inout Verification
    ) throws(FileFailure) {
        // Checkpoints beyond the last segment.
        while let record = pending {
            judge(record, nil)
            try advance()
        }
        if let newest, newest.checkpoint.size > size, !result.hasUnknownEntries {
            findings.append(
                Finding(
                    .rolledBack, file: LedgerLayout.checkpoints, position: size.nextPosition,
                    "a checkpoint was signed for \(newest.checkpoint.size) entries, but the ledger "
                        + "has \(size)"))
        }
        if end == 0, copy == nil, size > .empty {
            result.notes.append(
                "there is no checkpoint: none was published, or the files were removed; nothing here "
                    + "shows what others were promised")
        }
        judgeCopy(isBeingWritten, &result)
        judgeAnchors(size, &result)
        if isBeingWritten, let ending, try isWriting(from: ending.offset) {
            findings.removeAll { $0 == ending.finding }
            result.notes.append("\(LedgerLayout.checkpoints): a checkpoint is being written")
        }
        result.findings += findings
        result.checkpoint = summary.checkpoint
        result.anchoredSize = summary.anchoredSize
        result.checkpointCount = summary.count
    }

    /// Whether a daemon was writing a record: by now it is whole, or it still looks unfinished.
    private func isWriting(from offset: Int) throws(FileFailure) -> Bool {
        let file = try volume.open(LedgerLayout.checkpoints, .read)
        var cursor = try CheckpointCursor(file, from: offset)
        switch try cursor.next() {
        case .end, .record: return true
        case .damage(let damage):
            let copy = try CheckpointCursor.copy(volume)
            return CheckpointCursor.isUnfinished(damage, after: newestRead, copy: copy)
        }
    }

    private mutating func judgeCopy(_ isBeingWritten: Bool, _ result: inout Verification) {
        let name = LedgerLayout.checkpoint
        switch (copy, recordsAfterCopy) {
        case (nil, _):
            if newest != nil {
                result.notes.append("\(name) is missing; starting the daemon restores it")
            }
        case (_, 0?): break
        case (_, let after?):
            if !isBeingWritten {
                result.notes.append(
                    "\(name) is \(after) behind; starting the daemon updates it")
            }
        case (let copy?, nil): findings.append(CheckpointCursor.damage(ofCopy: copy, newest))
        }
    }

    private mutating func judgeAnchors(_ size: LedgerSize, _ result: inout Verification) {
        let own = history?.all ?? []
        for key in trust.keys where !own.contains(key) {
            findings.append(
                Finding(.anchorKeyUnknown, "the ledger has never had the key \(key.keyName)"))
        }
        // Each change of key is signed by the old key and the new one, so one known key vouches for
        // all.
        let isKnown = trust.keys.isEmpty || trust.keys.contains { own.contains($0) }
        for anchor in anchors {
            guard isOurs(anchor) else {
                findings.append(
                    Finding(
                        .anchorMismatch,
                        "\(anchor.name) belongs to \(anchor.published.checkpoint.origin), not to "
                            + "this ledger"))
                continue
            }
            if let problem = unsigned(anchor.published, isKnown ? own : trust.keys) {
                findings.append(Finding(.anchorUnsigned, "\(anchor.name): \(problem)"))
            }
            if anchor.published.checkpoint.size > size {
                findings.append(
                    Finding(
                        .anchorMismatch, position: size.nextPosition,
                        "\(anchor.name) was signed over \(anchor.published.checkpoint.size) "
                            + "entries, but the ledger has \(size)"))
            } else if !compared.contains(anchor.name) {
                result.notes.append(
                    "\(anchor.name) was not compared: not all entries that it covers can be read")
            }
        }
        if findings.contains(where: { $0.code == .anchorUnsigned }) { summary.anchoredSize = nil }
    }

    /// Why a checkpoint lacks the signatures that the auditor requires; nil if it has them.
    private func unsigned(_ published: SignedCheckpoint, _ keys: [NoteVerifier]) -> String? {
        do throws(SignedNote.Failure) {
            _ = try published.note.signers(among: keys)
            guard let policy = trust.policy else { return nil }
            return try policy.isSatisfied(by: published.note)
                ? nil : "it lacks the cosignatures that the policy requires"
        } catch { return error.description }
    }
}
