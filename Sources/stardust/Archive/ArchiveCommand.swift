internal import Archive
import ArgumentParser
internal import LedgerFormat
internal import ObjectStore
internal import Packets

struct ArchiveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "archive",
        abstract: "Keep copies of the ledger in other places.",
        discussion: "See Docs/Backup.md.",
        subcommands: [
            ArchiveRunCommand.self, ArchiveCheckCommand.self, ArchiveStatusCommand.self,
            ArchiveRecallCommand.self, ArchiveRelinkCommand.self, ArchiveSupersededCommand.self,
        ])
}

/// What every archive command reads.
struct ArchiveOptions: ParsableArguments {
    @Option(help: "Configuration file; its `archive` names the stores.", completion: .file())
    var config = ConfigOptions.usual

    @Option(help: "The daemon's Unix socket. Default: the configuration's.", completion: .file())
    var socket: String?

    @OptionGroup var silence: TimeoutOption

    /// The group that may use this daemon's sockets.
    var socketGroup: UInt32? { (try? Configuration(path: config))?.socketGroup }

    func settings() throws(Failure) -> (archive: ArchiveSettings, source: SocketSource) {
        let configuration = try Configuration(path: config)
        guard let archive = configuration.archive else {
            throw Failure(
                .badConfiguration, "\(config): archive is missing; Docs/Backup.md describes it")
        }
        let path = socket ?? configuration.socket ?? .defaultSocketPath
        return (archive, SocketSource(socket: path, silence: .seconds(SilenceGuard.seconds)))
    }
}

struct ArchiveCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check whether the stores keep the promises that an archive rests on.",
        discussion: """
            Writes a few small objects below probe/ in each store, which remain. Exit codes: 0 all \
            hold, 69 a store cannot be reached, 78 a store fails.
            """)

    @OptionGroup var options: ArchiveOptions

    @OptionGroup var result: ResultOptions

    func run() throws {
        var probed: [(name: String, findings: [StoreProbe.Finding])] = []
        for settings in try options.settings().archive.stores {
            let store = try settings.open()
            do throws(StoreFailure) {
                let probe = StoreProbe(store, isLocked: settings.objectLock != nil, .ofCommand)
                probed.append((store.name, try probe.run()))
            } catch { throw Failure(error) }
            if !result.json { try Self.show(probed.last!.name, probed.last!.findings) }
        }
        if result.json { try result.show { json in Self.write(probed, to: &json) } }
        if probed.contains(where: { $0.findings.contains { $0.verdict == .fails } }) {
            throw ExitCode.badConfiguration
        }
    }

    private static func write(
        _ probed: [(name: String, findings: [StoreProbe.Finding])], to json: inout JSONWriter
    ) {
        json.key("stores")
        json.array(probed) { store, json in
            json.beginObject()
            json.member("name", store.name)
            json.key("promises")
            json.array(store.findings) { finding, json in
                json.beginObject()
                json.member("promise", finding.promise)
                json.member("verdict", "\(finding.verdict)")
                json.member("advice", finding.advice)
                json.endObject()
            }
            json.endObject()
        }
    }

    /// Whether a store keeps its promises. What does not hold goes to standard error.
    static func holds(
        _ store: any ObjectStore, isLocked: Bool, _ patience: Patience
    ) throws(StoreFailure) -> Bool {
        let findings = try StoreProbe(store, isLocked: isLocked, patience).run()
        for finding in findings where finding.verdict != .holds {
            Output.error("\(store.name):\(line(finding))")
        }
        return !findings.contains { $0.verdict == .fails }
    }

    private static func show(
        _ store: String, _ findings: [StoreProbe.Finding]
    ) throws(Failure) {
        try Output.line(store)
        for finding in findings { try Output.line(line(finding)) }
    }

    private static func line(_ finding: StoreProbe.Finding) -> String {
        switch finding.verdict {
        case .holds: "  holds    \(finding.promise)"
        case .warning: "  warning  not so: \(finding.promise). \(finding.advice)"
        case .fails: "  FAILS    not so: \(finding.promise). \(finding.advice)"
        }
    }
}

struct ArchiveStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how much of the ledger is in each store.")

    @OptionGroup var options: ArchiveOptions

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let (archive, source) = try options.settings()
        var writer = JSONWriter()
        writer.beginArray()
        for settings in archive.stores {
            let store = try settings.open()
            let status: ArchiveStatus
            do throws(ArchiveFailure) {
                let place = try ArchivePlace(store, source, .ofCommand)
                status = try ArchiveStatus(place, source, .ofCommand)
            } catch { throw Failure(error) }
            writer.add(status, store.name)
            if !json { try Output.line(Self.line(status, store.name)) }
        }
        writer.endArray()
        if json { try Output.data(writer.bytes + [0x0A]) }
    }

    private static func line(_ status: ArchiveStatus, _ name: String) -> String {
        let pending =
            status.oldestPending.map {
                "\(status.pendingBytes) bytes wait, the oldest entry since \($0)"
            }
            ?? (status.segments < status.segmentsInAll
                ? "sealed segments wait"
                : status.pendingBytes > 0 ? "only checkpoints wait" : "nothing waits")
        return "\(name): \(status.segments) of \(status.segmentsInAll) sealed segments; \(pending)"
    }
}

extension JSONWriter {
    fileprivate mutating func add(_ status: ArchiveStatus, _ name: String) {
        beginObject()
        member("store", name)
        member("segments", status.segments)
        member("segments_in_all", status.segmentsInAll)
        member("pending_bytes", status.pendingBytes)
        key("oldest_pending_received_at")
        if let time = status.oldestPending { string("\(time)") } else { null() }
        endObject()
    }
}
