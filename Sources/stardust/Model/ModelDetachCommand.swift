#if PostgreSQL
    import ArgumentParser
    internal import Logging
    internal import Packets
    internal import ReadModel
    internal import Replication
    internal import StardustCore

    struct ModelDetachCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "detach",
            abstract: "Stop following for good: drop the slot and the publication.",
            discussion: """
                Stop whatever follows first: the daemon's own source, or `stardust model sync`. The \
                read model keeps its rows and can still be queried; its status says that it follows \
                nothing. Can be repeated.
                """)

        @OptionGroup var source: ModelSourceOptions

        @OptionGroup var result: ResultOptions

        func run() async throws {
            let folder = ModelFolder(try await source.ledgerFolder())
            let lock: ModelFolder.Lock
            do throws(ModelFailure) { lock = try folder.lock() } catch { throw Failure(error) }
            defer { withExtendedLifetime(lock) {} }
            let done: [String]
            do throws(ReplicationFailure) {
                let logger = Logger(label: "stardust") { JSONLogHandler(label: $0) }
                done = try Detachment.run(folder, source.settings, SourceContext(logger))
            } catch { throw Failure(error) }
            guard result.json else {
                for sentence in done { try Output.line(sentence) }
                return
            }
            try result.show { json in
                json.key("done")
                json.array(done) { $1.string($0) }
            }
        }
    }
#endif
