internal import Archive
internal import LedgerFormat
internal import Packets
internal import Platform
internal import StardustCore

/// What works for the ledger beside it, and when it was last tried.
extension Examination {
    /// Index, witnesses and read model, as the daemon says.
    mutating func checkFollowers() {
        guard let status else { return }
        let lacking = max(
            0, (status["ledger_size"].number ?? 0) - (status["index"]["size"].number ?? 0))
        add(
            lacking > 100_000
                ? .warning(
                    .index, "lacks \(Words.count(lacking)) entries",
                    "searches wait for it; see whether it gets fewer")
                : .ok(.index, lacking == 0 ? "has every entry" : "lacks \(lacking) entries"))
        checkWitnesses(status["publishing"]["witnesses"].elements)
        let model = status["model"]
        if let reason = model["error"].text ?? model["waiting_for"].text {
            add(
                .failure(
                    .model, "does not follow PostgreSQL: \(reason)",
                    "/usr/share/doc/stardust/Replication.md"))
        } else if model.isObject {
            add(.ok(.model, "follows PostgreSQL"))
        }
    }

    private mutating func checkWitnesses(_ witnesses: [AnswerTree]) {
        let silent = witnesses.filter { $0["error"].text != nil }
        if let first = silent.first {
            add(
                .warning(
                    .witnesses,
                    "\(silent.count) of \(witnesses.count) do not cosign; "
                        + "\(first["name"].text ?? "?"): \(first["error"].text ?? "?")",
                    "tell whoever runs them; below the quorum nothing is published"))
        } else if !witnesses.isEmpty {
            add(.ok(.witnesses, "\(witnesses.count) cosign"))
        }
    }

    mutating func checkArchive() {
        guard let archive = configuration?.archive else { return }
        if let obstacle = status?["archive"]["obstacle"].text {
            add(
                .warning(
                    .archive, "no segment leaves the disk: \(obstacle)",
                    "see `stardust archive status`"))
        }
        guard let access = archive.access else {
            return add(
                .ok(.archive, "\(archive.stores.count) stores; `stardust archive status` asks them")
            )
        }
        let failed: String
        switch access.transport("/v1/archive", .seconds(1)) {
        case .failure(let failure): failed = failure.detail
        case .success(let answer):
            let lag = (try? JSONDocument(answer.body)).flatMap {
                AnswerTree($0)["lag_seconds"].number
            }
            guard let lag else {
                failed = "its answer is not what this version knows"
                break
            }
            let text = "\(archive.stores.count) stores; one has what was durable \(lag) s ago"
            return add(
                lag <= 60
                    ? .ok(.archive, text)
                    : .warning(.archive, text, "see `stardust archive status` and its log"))
        }
        add(
            .failure(
                .archive, "the archive process does not answer: \(failed)",
                "systemctl status stardust-archive"))
    }

    // MARK: Now and then

    mutating func checkRecords() {
        let folder = configuration?.settings.recordsFolder
        check(
            .verified,
            folder.map { RunRecord(.verify, of: $0 + "/verify", ledger: identity?.ledgerID) },
            days: 15,
            "`stardust verify \(ledger)`, and enable stardust-verify.timer")
        guard let archive = configuration?.archive else {
            return add(
                .warning(
                    .backup, "no archive is set, so this machine has the only copy",
                    "/usr/share/doc/stardust/Backup.md"))
        }
        check(
            .backup,
            folder.map { RunRecord(.backup, of: $0 + "/backup", ledger: identity?.ledgerID) },
            days: 3,
            "`stardust backup`, and enable stardust-backup.timer")
        check(
            .drill,
            archive.shipping.drill.map { RunRecord(.drill, of: $0, ledger: identity?.ledgerID) },
            days: 35,
            "`stardust restore --drill`, and enable stardust-drill.timer")
    }

    /// The outer optional is nil if no setting says where the record is.
    private mutating func check(
        _ code: Diagnosis.Code, _ record: RunRecord??, days: Int, _ advice: String
    ) {
        guard let record else {
            let setting = code == .drill ? "archive.drill" : "records"
            return add(
                .warning(
                    code, "nobody can tell when: \(setting) is not set", "set it (Configuration.md)"
                ))
        }
        guard let record else {
            // A new ledger has time.
            let age = identity.map { Self.days(since: $0.createdAt) } ?? 0
            return add(
                age < Double(days)
                    ? .ok(code, "not yet") : .warning(code, "never", advice))
        }
        let age = Self.days(since: record.time)
        let ago = "\(Words.time(seconds: age * 86_400)) ago"
        guard record.isPassed else {
            return add(
                .failure(code, "failed \(ago)", "run it by hand, and read what it finds: \(advice)")
            )
        }
        add(age <= Double(days) ? .ok(code, ago) : .warning(code, ago, advice))
    }

    private static func days(since time: Timestamp) -> Double {
        max(0, Double(Timestamp.systemNow().microseconds - time.microseconds) / 86_400e6)
    }
}
