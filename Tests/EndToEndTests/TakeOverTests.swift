import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Two machines that both want to write one ledger.
struct TakeOverTests {
    /// A second machine: a restored folder and a configuration of its own.
    private struct Second {
        let folder: String
        let configuration: String
    }

    private static func settings(machine: String, store: String) -> String {
        """
        {"segment_bytes": 131072, "packet_bytes_max": 4096, "machine": "\(machine)",
         "archive": {"stores": [\(Archived.folder(store))], "ship_after_ms": 100}}
        """
    }

    private static func configuration(
        _ path: String, machine: String, store: String
    ) throws -> String {
        try settings(machine: machine, store: store).write(
            toFile: path, atomically: true, encoding: .utf8)
        chmod(path, 0o600)
        return path
    }

    private func restored(_ archived: Archived, _ store: String) throws -> Second {
        let base = archived.daemon.folder.path
        let folder = base + "/second"
        let result = try run([Repository.program, "restore", folder, "--from", "file://\(store)"])
        #expect(result.status == 0, "\(result)")
        let keys = try FileManager.default.contentsOfDirectory(atPath: archived.daemon.ledger)
            .filter { $0 == "key" }
        for key in keys {
            try FileManager.default.copyItem(
                atPath: archived.daemon.ledger + "/" + key, toPath: folder + "/" + key)
        }
        return Second(
            folder: folder,
            configuration: try Self.configuration(
                base + "/second.json", machine: "second", store: store))
    }

    private func takeOver(_ second: Second, _ more: String...) throws -> Finished {
        try run(
            [
                Repository.program, "take-over", second.folder, "--config", second.configuration,
            ] + more)
    }

    @Test func `what the old machine took goes on in its own epoch, and can be emitted again`()
        throws
    {
        let store = try TemporaryFolder()
        let archived = try Archived([Archived.folder(store.path)])
        try archived.start()
        try archived.emit(0..<200)
        try archived.waitUntilShipped()
        archived.kill()
        // The old machine lives on, and its archive process is away for a while.
        let second = try restored(archived, store.path)
        try archived.emit(200..<230)
        let taken = try takeOver(second)
        #expect(taken.status == 0, "\(taken)")
        #expect(taken.output.contains("epoch 1 begins at position 200"), "\(taken)")
        let writer = try Daemon(
            configuration: Self.settings(machine: "second", store: store.path),
            ledger: second.folder)
        let emitted = try HTTPClient(writer.socket).emit(Sample.packet(Sample.numbered(900).id))
        #expect(emitted.status == 201, "\(emitted.text)")
        #expect(emitted.json["position"] as? Int == 201)
        try archived.start()
        #expect(archived.waitUntilEnded() == 75)
        #expect(archived.log.contains("has taken over this ledger"), "\(archived.log)")
        let refused = try HTTPClient(archived.daemon.socket).emit(
            Sample.packet(Sample.numbered(901).id))
        #expect(refused.status == 503 && refused.problemCode == "superseded", "\(refused.text)")
        try sameAfterRestart(archived)
        try emitsAgain(writer, store.path)
        // The new machine ships, and the archive gives its ledger back.
        let process = try Background([
            "archive", "run", "--config", second.configuration, "--socket",
            writer.socket,
        ])
        let status = [
            Repository.program, "archive", "status", "--config", second.configuration, "--socket",
            writer.socket,
        ]
        let deadline = Date() + 120
        while try !run(status).output.contains("nothing waits"), Date() < deadline {
            usleep(100_000)
        }
        #expect(process.stop() == 0)
        #expect(writer.stop() == 0)
        let third = archived.daemon.folder.path + "/third"
        let result = try run([
            Repository.program, "restore", third, "--from", "file://\(store.path)",
        ])
        #expect(result.status == 0 && result.output.contains("restored 232 entries"), "\(result)")
        #expect(try Self.root(third) == Self.root(second.folder))
        let verified = try run([
            Repository.program, "verify", "--archive", "file://\(store.path)",
        ])
        #expect(verified.status == 0, "\(verified)")
    }

    private static func root(_ ledger: String) throws -> String {
        let result = try run([Repository.program, "verify", ledger, "--json"])
        let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        return (json as? [String: Any])?["root"] as? String ?? result.output + result.error
    }

    /// The old machine's daemon stays without packets when it is started again.
    private func sameAfterRestart(_ archived: Archived) throws {
        #expect(archived.daemon.stop() == 0)
        try archived.daemon.start()
        let refused = try HTTPClient(archived.daemon.socket).emit(
            Sample.packet(Sample.numbered(902).id))
        #expect(refused.status == 503 && refused.problemCode == "superseded", "\(refused.text)")
        let status = try run([
            Repository.program, "take-over", archived.daemon.ledger, "--config",
            archived.configuration,
        ])
        #expect(status.status == 75, "\(status)")
    }

    private func emitsAgain(_ writer: Daemon, _ store: String) throws {
        let printed = try run([
            Repository.program, "archive", "superseded", "0", "--archive", "file://\(store)",
        ])
        #expect(printed.status == 0, "\(printed)")
        let lines = printed.output.split(separator: "\n")
        #expect(lines.count == 30)
        for _ in 0..<2 {
            let again = try run(
                [Repository.program, "emit", "--socket", writer.socket],
                input: Array(printed.output.utf8))
            #expect(again.status == 0, "\(again)")
        }
        let id = Sample.numbered(229).id
        #expect(try HTTPClient(writer.socket).get("/v1/packets/\(id)").status == 200)
        #expect(try HTTPClient(writer.socket).get("/v1/status").json["ledger_size"] as? Int == 232)
    }

    @Test func `a copied folder is not written until it is taken over, and one of two wins`() throws
    {
        let store = try TemporaryFolder()
        let archived = try Archived([Archived.folder(store.path)])
        try archived.start()
        try archived.emit(0..<50)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        let base = archived.daemon.folder.path
        try FileManager.default.copyItem(
            atPath: archived.daemon.ledger, toPath: base + "/copy")
        let configuration = try Self.configuration(
            base + "/copy.json", machine: "copy", store: store.path)
        let refused = try run([
            Repository.program, "serve", base + "/copy", "--socket", base + "/copy.sock",
            "--config", configuration,
        ])
        #expect(refused.status == 78 && refused.error.contains("take-over"), "\(refused)")
        // Without the ledger's key nobody takes it over.
        try FileManager.default.moveItem(atPath: base + "/copy/key", toPath: base + "/kept-key")
        let keyless = try run([
            Repository.program, "take-over", base + "/copy", "--config", configuration,
        ])
        #expect(keyless.status == 77, "\(keyless)")
        try FileManager.default.moveItem(atPath: base + "/kept-key", toPath: base + "/copy/key")
        try FileManager.default.copyItem(atPath: base + "/copy", toPath: base + "/other")
        let other = try Self.configuration(
            base + "/other.json", machine: "other", store: store.path)
        // Both begin at once: the store lets one of them have the epoch.
        let runs = [("/copy", configuration), ("/other", other)].map { folder, config in
            try? Background([
                "take-over", base + folder, "--config", config,
            ])
        }
        let statuses = runs.map { $0!.waitForEnd() }.sorted()
        // Either both met, or the second one saw the first one's epoch and began the next.
        #expect(statuses == [0, 75] || statuses == [0, 0], "\(statuses)")
        let epochs = try FileManager.default.subpathsOfDirectory(atPath: store.path)
            .filter { $0.contains("/epochs/") }
        #expect(epochs.count == (statuses == [0, 75] ? 2 : 3), "\(epochs)")
    }
}
