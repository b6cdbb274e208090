/// A read model's progress: one row of its file, updated in the same transaction as the rows.
package struct ModelState: Hashable, Sendable {
    package var source: Source
    package var phase: Phase
    /// Everything up to here is applied and durable.
    package var lsn: LSN
    /// The source's position when we last heard of it.
    package var sourceLSN: LSN
    package var slot: String?
    package var publication: String?
    package var systemID: String?
    package var timeline: Int64?
    /// When the newest applied transaction was committed at the source.
    package var committedAt: String?
    /// Where that transaction ends in the source's log; zero if there is none since the copy.
    package var committedLSN = LSN.zero
    /// Since when the source has been ahead of `lsn`; nil if it is not known to be ahead.
    package var behindSince: String?
    /// When this was written.
    package var updatedAt: String?
    /// Bytes of write-ahead log that the slot retains at the source.
    package var retainedBytes: Int64?
    package var lastError: String?
    package var warnings: [String] = []
    /// Our columns that the source lacked when it was copied, as `table.column`.
    package var absentColumns: [String] = []
    /// LSNs of refused feed lines: a corrected line must not be skipped as already applied.
    package var refusedLSNs: Set<LSN> = []

    package static let schemaVersion: Int64 = 4

    package enum Source: String, Sendable { case feed, postgres }

    package enum Phase: String, Sendable {
        /// Rows are being copied; the file is not in use yet.
        case copying
        case live
        /// The source has changed in a way that only a new copy can follow.
        case needsResync = "needs_resync"
    }

    package init(_ source: Source, _ phase: Phase, lsn: LSN = .zero) {
        (self.source, self.phase, self.lsn, sourceLSN) = (source, phase, lsn, lsn)
    }
}

/// A position in PostgreSQL's write-ahead log.
package struct LSN: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var value: UInt64

    package static let zero = LSN(0)

    package init(_ value: UInt64) { self.value = value }

    /// Reads `16/B374D848`.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ (1...8).contains($0.utf8.count) }),
            let high = UInt32(parts[0], radix: 16), let low = UInt32(parts[1], radix: 16),
            !text.utf8.contains(UInt8(ascii: "+"))
        else { return nil }
        value = UInt64(high) << 32 | UInt64(low)
    }

    package static func < (left: LSN, right: LSN) -> Bool { left.value < right.value }

    package var description: String {
        let low = UInt32(truncatingIfNeeded: value)
        return "\(String(value >> 32, radix: 16))/\(String(low, radix: 16))".uppercased()
    }
}

extension ModelState {
    private static let columns = """
        schema_version, source, phase, lsn, source_lsn, slot, publication, system_id, timeline, \
        committed_at, behind_since, updated_at, retained_bytes, last_error, warnings, absent_columns, refused_lsns, \
        committed_lsn
        """

    /// Reads a file's row; nil if there is none, or if it has another version.
    package init?(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        guard
            try connection.integer(
                "SELECT count(*) FROM sqlite_schema WHERE name = 'model_state'") == 1,
            try connection.integer("SELECT schema_version FROM model_state") == Self.schemaVersion,
            let row = try connection.rows("SELECT \(Self.columns) FROM model_state").first,
            let source = row[1].string.flatMap(Source.init),
            let phase = row[2].string.flatMap(Phase.init),
            let lsn = row[3].integer, let sourceLSN = row[4].integer
        else { return nil }
        self.init(source, phase, lsn: LSN(UInt64(bitPattern: lsn)))
        self.sourceLSN = LSN(UInt64(bitPattern: sourceLSN))
        (slot, publication, systemID) = (row[5].string, row[6].string, row[7].string)
        (timeline, committedAt, behindSince) = (row[8].integer, row[9].string, row[10].string)
        (updatedAt, retainedBytes) = (row[11].string, row[12].integer)
        lastError = row[13].string
        warnings = row[14].string?.split(separator: "\n").map(String.init) ?? []
        absentColumns = row[15].string?.split(separator: "\n").map(String.init) ?? []
        refusedLSNs = Set(row[16].string?.split(separator: "\n").compactMap { LSN($0) } ?? [])
        committedLSN = LSN(UInt64(bitPattern: row[17].integer ?? 0))
    }

    package func save(_ connection: SQLiteConnection) throws(SQLiteFailure) {
        let places = (0..<19).map { _ in "?" }.joined(separator: ", ")
        _ = try connection.rows(
            "INSERT OR REPLACE INTO model_state (id, \(Self.columns)) VALUES (\(places))",
            [
                .integer(1), .integer(Self.schemaVersion), .string(source.rawValue),
                .string(phase.rawValue), .integer(Int64(bitPattern: lsn.value)),
                .integer(Int64(bitPattern: sourceLSN.value)), .optional(slot),
                .optional(publication), .optional(systemID),
                timeline.map(ModelValue.integer) ?? .null, .optional(committedAt),
                .optional(behindSince),
                .optional(updatedAt), retainedBytes.map(ModelValue.integer) ?? .null,
                .optional(lastError),
                Self.lines(warnings), Self.lines(absentColumns),
                Self.lines(refusedLSNs.sorted().map(\.description)),
                .integer(Int64(bitPattern: committedLSN.value)),
            ])
    }

    private static func lines(_ texts: [String]) -> ModelValue {
        texts.isEmpty ? .null : .string(texts.joined(separator: "\n"))
    }
}
