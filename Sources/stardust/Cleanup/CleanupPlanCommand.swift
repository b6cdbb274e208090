import ArgumentParser
internal import Cleanup
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Packets
internal import Platform
internal import ReadModel
internal import StardustCore

struct CleanupPlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "List every asset and write down which of them may go, and why.",
        discussion: """
            Compares the listings of the stores with every row of the read model and every packet of the \
            ledger; deletes nothing, and emits a packet with the plan's digest. Needs the stores' \
            credentials, the role append, and a user who may read the ledger's folder. Exit codes: 65 the listing or the plan looks like a mistake in the \
            settings, 66 there is no read model, 69 a store or the daemon cannot be reached, 73 the plan exists, 78 \
            assets and archive overlap.
            """)

    @Argument(help: "The ledger's folder.", completion: .directory)
    var ledger: String

    @Option(help: "Configuration file; its `cleanup` names the assets.", completion: .file())
    var config: String

    @Option(
        help: ArgumentHelp(
            "The plan to write, which must not exist, or a folder for it.", valueName: "file"),
        completion: .file())
    var out: String

    @Option(
        name: .customLong("asset"),
        help: ArgumentHelp(
            "A derived asset that goes whatever its age, unless it is in use; repeatable.",
            valueName: "uri"))
    var assets: [String] = []

    @OptionGroup var connection: SocketOptions

    @OptionGroup var result: ResultOptions

    @Flag(help: "Accept a plan over more than a fifth of all assets or bytes.")
    var allowLarge = false

    func run() async throws {
        let configuration = try Configuration(path: config)
        let cleanup = try CleanupSettings.required(configuration, config)
        let out = file
        guard unsafe access(out, F_OK) != 0 else {
            throw Failure(
                .cannotCreate, "\(out) exists, and a plan replaces nothing; choose another --out")
        }
        var wanted: [AssetURI] = []
        for text in assets {
            guard let uri = AssetURI(text, endpoints: cleanup.endpoints) else {
                throw Failure(
                    .usage, "--asset: \(text) is not the name of an asset, as in gs://bucket/name")
            }
            wanted.append(uri)
        }
        try cleanup.requireApart(from: ledger, configuration, [config, out])
        let map = try Self.map(of: ledger, configuration.archive?.access?.reading)
        var planner = CleanupPlanner(
            cleanup.classes, map, cleanup.rules, endpoints: cleanup.endpoints, now: .systemNow())
        let judged = try judge(&planner, cleanup, map, wanted)
        for uri in wanted {
            guard let obstacle = planner.obstacle(to: uri) else { continue }
            Output.error("--asset \(uri) does not go: \(obstacle)")
        }
        guard judged.assets > 0 else {
            return try result.show(
                "None of \(judged.plan.objects) assets may go; no plan was written."
            ) { json in
                json.member("assets", 0)
                json.member("objects", judged.plan.objects)
            }
        }
        let digest = try write(judged, planner, to: out)
        try await announce(judged, digest, out)
        guard !result.json else {
            return try result.show { json in
                json.member("plan", out)
                json.member("assets", judged.assets)
                json.member("objects", judged.plan.objects)
            }
        }
        try Output.line(
            "\(judged.assets) of \(judged.plan.objects) assets may go: `stardust cleanup show \(out)` "
                + "explains them. Nothing was deleted.")
        for finding in RetentionRules.Finding.allCases {
            guard let found = judged.findings[finding] else { continue }
            try Output.line(
                "  \(finding.rawValue.padded(to: 16)) \(found.assets) assets, "
                    + CleanupShowCommand.size(found.bytes))
        }
    }

    /// In a folder, a name that tells the time.
    private var file: String {
        var status = stat()
        guard unsafe stat(out, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return out }
        let name = "plan-\("\(Timestamp.systemNow())".prefix(19)).ndjson"
        return "\(out)/\(name.replacing(":", with: "-"))"
    }

    static func map(
        of ledger: String, _ archive: (any ArchivedBytes)?
    ) throws(Failure) -> LedgerMap {
        do throws(OpenFailure) {
            let volume: PosixVolume
            do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
                throw .file(error)
            }
            return try Ledger.open(volume, isReadOnly: true, archive: archive).map
        } catch { throw Failure(error) }
    }

    private func judge(
        _ planner: inout CleanupPlanner, _ cleanup: CleanupSettings, _ map: LedgerMap,
        _ wanted: [AssetURI]
    ) throws(Failure) -> CleanupPlanner.Judged {
        do throws(CleanupPlanner.Failure) {
            for (number, settings) in cleanup.stores.enumerated() {
                let store: any AssetStore
                do throws(StoreFailure) {
                    store = try settings.openAssets { String.environment($0) }
                } catch { throw .store(error) }
                for name in try leftovers(of: store) {
                    Output.error(
                        "\(store.name)/\(name) was hidden by a deletion that was cut short; run its plan again, "
                            + "or give the file its name back")
                }
                try planner.list(store, number, .ofCommand)
            }
        } catch { throw Failure(error) }
        let folder = ModelFolder(self.ledger)
        let model = folder.current
        let snapshot: ModelSnapshot
        do throws(ModelFailure) {
            snapshot = try ModelReaders(folder).snapshot(until: .now + .seconds(3600))
        } catch { throw Failure(error) }
        guard snapshot.state.phase == .live, let model else {
            throw Failure(
                .badInput,
                "the read model is \(snapshot.state.phase.rawValue), so it may lack rows that name an "
                    + "asset; `stardust model status` says what to do")
        }
        do throws(CleanupPlanner.Failure) {
            try planner.read(snapshot.connection)
            return try planner.judge(
                ledgerID: map.ledgerID, lsn: "\(snapshot.state.lsn)", model: model, wanted: wanted,
                allowsLarge: allowLarge)
        } catch { throw Failure(error) }
    }

    private func leftovers(
        of store: any AssetStore
    ) throws(CleanupPlanner.Failure) -> [String] {
        do throws(StoreFailure) { return try store.leftovers(.ofCommand) } catch {
            throw .store(error)
        }
    }

    /// Returns the digest of the plan's file.
    private func write(
        _ judged: CleanupPlanner.Judged, _ planner: borrowing CleanupPlanner, to out: String
    ) throws(Failure) -> Digest {
        var hasher = SHA256Hasher()
        var generator = SystemRandomNumberGenerator()
        var piece: [UInt8] = []
        try OutputFile.make(out) { (write) throws(Failure) in
            func flush() throws(Failure) {
                hasher.update(piece.span)
                try write(piece)
                piece.removeAll(keepingCapacity: true)
            }
            piece += judged.plan.headLine(assets: judged.assets)
            try planner.items(of: judged, using: &generator) { (item) throws(Failure) in
                piece += item.line
                if piece.count > 1 << 16 { try flush() }
            }
            try flush()
        }
        return hasher.finish()
    }

    /// Tells the ledger of the plan: who made it is what the entry says, and only such plans can be approved.
    private func announce(
        _ judged: CleanupPlanner.Judged, _ digest: Digest, _ out: String
    ) async throws(Failure) {
        var generator = SystemRandomNumberGenerator()
        let packet = CleanupPacket(plan: digest, version: CleanupLedger.program).planned(
            judged.plan, assets: judged.assets, bytes: judged.bytes,
            id: .random(using: &generator))
        do throws(Failure) {
            _ = try await CleanupLedger(client: connection.client).emit(packet)
        } catch {
            unsafe unlink(out)
            throw Failure(
                error.exit, "no plan was made, since the ledger must know of it: \(error.message)")
        }
    }
}

extension Failure {
    init(_ failure: CleanupPlanner.Failure) {
        switch failure {
        case .store(let failure): self.init(failure)
        case .model(let failure): self.init(.inputOutput, "\(failure)")
        case .packets(let failure): self.init(.inputOutput, "\(failure)")
        case .unlikely(let detail): self.init(.badInput, detail)
        case .settings(let detail): self.init(.badConfiguration, "cleanup: \(detail)")
        }
    }
}
