import ArgumentParser
internal import Cleanup
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Platform
internal import ReadModel
internal import StardustCore

struct CleanupPlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "List every asset and write down which of them may go, and why.",
        discussion: """
            Compares the listings of the stores with every row of the read model and every packet of the \
            ledger; deletes and emits nothing. Needs the stores' credentials and a user who may read \
            the ledger's folder. Exit codes: 65 the listing or the plan looks like a mistake in the \
            settings, 66 there is no read model, 69 a store cannot be reached, 73 the plan exists, 78 \
            assets and archive overlap.
            """)

    @Argument(help: "The ledger's folder.")
    var ledger: String

    @Option(help: "Configuration file; its `cleanup` names the assets.")
    var config: String

    @Option(help: ArgumentHelp("The plan to write; it must not exist.", valueName: "file"))
    var out: String

    @Option(
        name: .customLong("asset"),
        help: ArgumentHelp(
            "A derived asset that goes whatever its age, unless it is in use; repeatable.",
            valueName: "uri"))
    var assets: [String] = []

    @Flag(help: "Accept a plan over more than a fifth of all assets or bytes.")
    var allowLarge = false

    func run() throws {
        let configuration = try Configuration(path: config)
        guard let cleanup = configuration.cleanup else {
            throw Failure(
                .badConfiguration, "\(config): cleanup is missing; Docs/Retention.md describes it")
        }
        if let overlap = cleanup.overlap(with: configuration.archive) {
            throw Failure(.badConfiguration, "\(config): \(overlap)")
        }
        guard unsafe access(out, F_OK) != 0 else {
            throw Failure(.cannotCreate, "\(out) exists; a plan replaces none")
        }
        var wanted: [AssetURI] = []
        for text in assets {
            guard let uri = AssetURI(text, endpoints: cleanup.endpoints) else {
                throw Failure(
                    .usage, "--asset: \(text) is not the name of an asset, as in gs://bucket/name")
            }
            wanted.append(uri)
        }
        let plan = try plan(cleanup, configuration, wanted)
        try OutputFile.write(plan.fileContent, to: out)
        try Output.line(
            "\(plan.items.count) of \(plan.objects) assets may go: `stardust cleanup show \(out)` "
                + "explains them. Nothing was deleted.")
    }

    private func map(_ configuration: Configuration) throws(Failure) -> LedgerMap {
        do throws(OpenFailure) {
            let volume: PosixVolume
            do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
                throw .file(error)
            }
            let archive = configuration.archive?.access?.reading
            return try Ledger.open(volume, isReadOnly: true, archive: archive).map
        } catch { throw Failure(error) }
    }

    private func plan(
        _ cleanup: CleanupSettings, _ configuration: Configuration, _ wanted: [AssetURI]
    ) throws(Failure) -> CleanupPlan {
        let ledger = try map(configuration)
        var planner = CleanupPlanner(
            cleanup.classes, ledger, cleanup.rules, endpoints: cleanup.endpoints,
            now: .systemNow())
        do throws(CleanupPlanner.Failure) {
            for (number, settings) in cleanup.stores.enumerated() {
                let store: any AssetStore
                do throws(StoreFailure) {
                    store = try settings.openAssets { String.environment($0) }
                } catch { throw .store(error) }
                try planner.list(store, number, .ofCommand)
            }
        } catch { throw Failure(error) }
        let snapshot: ModelSnapshot
        do throws(ModelFailure) {
            snapshot = try ModelReaders(ModelFolder(self.ledger)).snapshot(
                until: .now + .seconds(3600))
        } catch { throw Failure(error) }
        guard snapshot.state.phase == .live else {
            throw Failure(
                .badInput,
                "the read model is \(snapshot.state.phase.rawValue), so it may lack rows that name an "
                    + "asset; `stardust model status` says what to do")
        }
        var generator = SystemRandomNumberGenerator()
        do throws(CleanupPlanner.Failure) {
            try planner.readNames(snapshot.connection)
            return try planner.plan(
                ledgerID: ledger.ledgerID, lsn: "\(snapshot.state.lsn)", wanted: wanted,
                allowsLarge: allowLarge, using: &generator)
        } catch { throw Failure(error) }
    }
}

extension Failure {
    init(_ failure: CleanupPlanner.Failure) {
        switch failure {
        case .store(let failure): self.init(failure)
        case .model(let failure): self.init(.inputOutput, "\(failure)")
        case .packets(let failure): self.init(.inputOutput, "\(failure)")
        case .unlikely(let detail): self.init(.badInput, detail)
        }
    }
}
