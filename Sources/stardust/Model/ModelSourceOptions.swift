#if PostgreSQL
    import ArgumentParser
    internal import LedgerStorage
    internal import Packets
    internal import Platform
    internal import Replication

    /// Which source a read model follows, by which slot, and which read model.
    struct ModelSourceOptions: ParsableArguments {
        @Option(help: ArgumentHelp("A libpq connection string.", valueName: "postgres://…"))
        var from: String

        @Option(
            help: "The ledger's folder. Default: that of the daemon at --socket.",
            completion: .directory)
        var ledger: String?

        @OptionGroup var connection: SocketOptions

        @Option(help: "The replication slot.")
        var slot = "stardust"

        @Option(help: "The publication.")
        var publication = "stardust"

        @Option(help: "The schema of the engine's tables.")
        var schema = "public"

        var settings: SyncSettings {
            var settings = SyncSettings(source: from)
            (settings.slot, settings.publication, settings.schema) = (slot, publication, schema)
            return settings
        }

        func validate() throws {
            if let obstacle = settings.obstacle { throw ValidationError(obstacle) }
            do throws(SourceAddress.Malformed) { _ = try SourceAddress(from) } catch {
                throw ValidationError("--from: \(error)")
            }
        }

        func ledgerFolder() async throws(Failure) -> String {
            if let ledger {
                let volume: PosixVolume
                do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
                    throw Failure(OpenFailure.file(error))
                }
                do throws(OpenFailure) { _ = try Ledger.identity(volume) } catch {
                    throw Failure(error)
                }
                return ledger
            }
            let answer = try await connection.client.get("/v1/model/status")
            let document = try JSONDocument(answer: answer)
            guard let folder = document.member("folder", of: 0).flatMap(document.string) else {
                throw Failure(
                    .badInput, "the daemon does not report its ledger's folder; give --ledger")
            }
            return folder
        }
    }
#endif
