import ArgumentParser
internal import LedgerFormat
internal import Packets
internal import Platform

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the daemon's status: first what needs attention.",
        discussion: "Needs the role admin. `stardust doctor` also checks the machine.")

    @OptionGroup var options: ClientOptions

    func run() async throws {
        let bytes = try await options.client.get("/v1/status")
        if options.json { return try Output.foreign(bytes + [0x0A]) }
        let answer = AnswerTree(try JSONDocument(answer: bytes))
        guard answer["phase"].text != nil, answer["origin"].text != nil else {
            throw Failure(
                .inputOutput, "\(options.socket): whoever answers is no daemon of Stardust's")
        }
        var report = StatusReport(answer, now: .systemNow())
        report.add(model: await model())
        let terminal = Terminal()
        try Output.line(Output.safe(report.title))
        for text in report.attention {
            try Output.line(terminal.red("! ") + terminal.bold(Output.safe(text)))
        }
        for (name, text) in report.rows {
            try Output.line(terminal.dim(name.padded(to: 12)) + Output.safe(text))
        }
    }

    /// What the read model says of itself; nil if there is none, or it cannot be asked.
    private func model() async -> AnswerTree? {
        guard let bytes = try? await options.client.get("/v1/model/status"),
            let document = try? JSONDocument(bytes)
        else { return nil }
        return AnswerTree(document)
    }
}

/// The daemon's status for people: from an answer and the time, without asking anybody.
struct StatusReport {
    /// Which daemon it is, and since when it runs.
    let title: String
    /// What somebody should look at, the most urgent first.
    private(set) var attention: [String] = []
    private(set) var rows: [(name: String, text: String)] = []

    private let status: AnswerTree
    private let now: Timestamp

    init(_ status: AnswerTree, now: Timestamp) {
        (self.status, self.now) = (status, now)
        let since = status["started_at"].text ?? "?"
        title =
            "stardust \(status["version"].text ?? "?"), \(status["origin"].text ?? "?"): "
            + "\((status["phase"].text ?? "?").replacing("_", with: "-")) since \(since.prefix(16).replacing("T", with: " ")) UTC"
        attention = status["reasons"].elements.compactMap(\.text)
        addLedger()
        addDisk()
        addPublishing()
        addIndex()
        addWitnesses()
        addArchive()
        addSettings()
        addRecords()
        rows.append(("connections", Words.count(status["connections"].number ?? 0)))
    }

    private mutating func add(_ name: String, _ text: String) { rows.append((name, text)) }

    private func age(_ time: String?) -> Double? {
        time.flatMap { Timestamp(rfc3339: $0) }.map {
            max(0, Double(now.microseconds - $0.microseconds) / 1e6)
        }
    }

    private func ago(_ time: String?) -> String? {
        age(time).map { Words.time(seconds: $0) + " ago" }
    }

    private mutating func addLedger() {
        let entries = status["ledger_size"].number ?? 0
        var text = Words.count(entries, "entry", "entries")
        text += ", \(Words.bytes(status["ledger_bytes"].number ?? 0)) in "
        text += Words.count(status["segments"].number ?? 0, "segment", "segments")
        if let last = ago(status["last_received_at"].text) { text += "; the last one \(last)" }
        add("ledger", text)
    }

    private mutating func addDisk() {
        guard let free = status["disk"]["free_bytes"].number else {
            return add("disk", "not looked at yet")
        }
        let left = "\(Words.bytes(free)) left"
        guard let seconds = status["disk"]["full_in_seconds"].number else {
            return add("disk", left + "; nothing tells yet how the ledger grows")
        }
        let growth = Words.bytes(status["disk"]["bytes_per_day"].number ?? 0)
        let text = "\(left), for \(Words.time(seconds: Double(seconds))) at \(growth) a day"
        add("disk", text)
        if seconds < 7 * 86_400 { attention.append("the disk will be full: \(text)") }
    }

    private mutating func addPublishing() {
        let publishing = status["publishing"]
        let (size, entries) = (
            publishing["checkpoint_size"].number ?? 0, status["ledger_size"].number ?? 0
        )
        let time = ago(publishing["published_at"].text) ?? "never"
        guard publishing["phase"].text != "closed" else {
            return add(
                "checkpoint",
                "nothing is published while the ledger is \(status["phase"].text ?? "?")")
        }
        guard size < entries else {
            return add("checkpoint", entries == 0 ? "none yet" : "covers every entry; \(time)")
        }
        let waiting = Words.count(entries - size, "entry waits", "entries wait")
        add(
            "checkpoint", "covers \(Words.count(size, "entry", "entries")), and \(waiting); \(time)"
        )
    }

    private mutating func addIndex() {
        let index = status["index"]
        let lacking = max(0, (status["ledger_size"].number ?? 0) - (index["size"].number ?? 0))
        let bytes = Words.bytes(index["file_bytes"].number ?? 0)
        add(
            "index",
            lacking == 0
                ? "has every entry; \(bytes)"
                : "lacks \(Words.count(lacking, "entry", "entries")); \(bytes)")
    }

    private mutating func addWitnesses() {
        let witnesses = status["publishing"]["witnesses"].elements
        guard !witnesses.isEmpty else { return add("witnesses", "none") }
        let silent = witnesses.filter { $0["error"].text != nil }
        add("witnesses", "\(witnesses.count - silent.count) of \(witnesses.count) cosign")
        for witness in silent {
            let since = ago(witness["since"].text).map { ", first \($0)" } ?? ""
            attention.append(
                "the witness \(witness["name"].text ?? "?") does not cosign: "
                    + "\(witness["error"].text ?? "?")\(since)")
        }
    }

    private mutating func addArchive() {
        let archive = status["archive"]
        guard status["settings"]["archive"]["value"].isObject else { return add("archive", "none") }
        let left = archive["segments"].number ?? 0
        var text = "\(left) of \(status["segments"].number ?? 0) segments have left the disk"
        if let epoch = archive["epoch"].number { text += "; epoch \(epoch)" }
        add("archive", text + " (more: stardust archive status)")
        if archive["answers"].flag == false {
            attention.append(
                "the archive process does not answer, and nothing is shipped without it: systemctl "
                    + "status stardust-archive")
        }
        if let obstacle = archive["obstacle"].text {
            attention.append("no segment leaves the disk: \(obstacle)")
        }
    }

    private mutating func addSettings() {
        let reload = status["reload"]
        if let error = reload["error"].text {
            attention.append("the settings on the disk were not taken: \(error)")
        }
        let waiting = reload["waiting_for_restart"].elements.compactMap(\.text)
        if !waiting.isEmpty {
            attention.append("settings wait for a restart: \(waiting.joined(separator: ", "))")
        }
        add("settings", "read " + (ago(reload["at"].text) ?? "at the start"))
    }

    private mutating func addRecords() {
        guard status["settings"]["records"]["value"].text != nil else { return }
        let verified = status["verified"]
        let time = ago(verified["at"].text) ?? "never"
        add("verified", verified["passed"].flag == false ? "FAILED \(time)" : time)
        if verified["passed"].flag == false {
            attention.insert("the last verification of the files found something", at: 0)
        }
        guard status["settings"]["archive"]["value"].isObject else {
            return add("backup", "none: no archive is set")
        }
        add("backup", ago(status["backup"]["at"].text) ?? "never")
    }

    /// Adds what the read model says of itself; nil if it could not be asked.
    mutating func add(model: AnswerTree?) {
        let place = rows.firstIndex { $0.name == "archive" } ?? rows.count
        func insert(_ text: String) { rows.insert(("read model", text), at: place) }
        guard let model, let seconds = age(model["updated_at"].text) else {
            return insert(status["model"].isObject ? "not there yet" : "none")
        }
        guard status["model"].isObject else {
            return insert("by the change feed; \(Words.time(seconds: seconds)) ago")
        }
        if let error = status["model"]["error"].text {
            attention.append("the read model does not follow PostgreSQL: \(error)")
        }
        let lag = Double(model["lag_ms"].number ?? 0) / 1000
        insert(
            status["model"]["following"].flag == true
                ? "follows PostgreSQL, \(Words.time(seconds: lag)) behind"
                : "does not follow PostgreSQL; \(Words.time(seconds: lag)) behind")
    }
}
