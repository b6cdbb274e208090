import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What somebody may do to an archive, or with one, by mistake or on purpose.
struct ArchiveMischiefTests {
    private func restore(_ folder: String, _ stores: [TemporaryFolder], _ more: String...) throws
        -> Finished
    {
        try run(
            [Repository.program, "restore", folder]
                + stores.flatMap { ["--from", "file://\($0.path)"] } + more)
    }

    private func takeOver(_ archived: Archived, _ folder: String, _ more: String...) throws
        -> Finished
    {
        try run(
            [Repository.program, "take-over", folder, "--config", archived.configuration] + more)
    }

    @Test func `a cache's folder keeps whatever else is in it`() throws {
        let archived = try Archived([Archived.folder("/dev/shm")], leaves: true)
        archived.daemon.stop()
        for name in ["thesis.txt", "0-0.block", "00000000000000000000.seg"] {
            try Data([1]).write(to: URL(fileURLWithPath: archived.cache + "/" + name))
        }
        try archived.daemon.start()
        archived.daemon.stop()
        #expect(
            try Archived.names(archived.cache).filter { $0 != "stardust-blocks" }
                == ["0-0.block", "00000000000000000000.seg", "thesis.txt"])
    }

    @Test func `nobody takes over with less than the archive has, unless he says so`() throws {
        let store = try TemporaryFolder()
        let archived = try Archived.shipped([store], 0..<50)
        let folder = archived.daemon.folder.path + "/stale"
        #expect(try restore(folder, [store]).status == 0)
        try archived.emit(50..<80)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        try FileManager.default.copyItem(
            atPath: archived.daemon.ledger + "/key", toPath: folder + "/key")
        let refused = try takeOver(archived, folder)
        #expect(refused.status == 65 && refused.error.contains("has 80 entries"), "\(refused)")
        #expect(try Archived.names(Archived.ledger(in: store) + "/epochs").count == 1)
        let taken = try takeOver(archived, folder, "--leave-out-newer")
        #expect(taken.status == 0, "\(taken)")
    }

    @Test func `what is to be dropped stays until the epoch is this machine's`() throws {
        let store = try TemporaryFolder()
        let archived = try Archived.shipped([store], 0..<30)
        try archived.emit(30..<60)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        let folder = archived.daemon.folder.path + "/second"
        #expect(try restore(folder, [store], "--at", "50").status == 0)
        let before = try run([Repository.program, "verify", folder]).output
        let keyless = try takeOver(archived, folder, "--tail", "drop")
        #expect(keyless.status == 77, "\(keyless)")
        #expect(try run([Repository.program, "verify", folder]).output == before)
    }

    @Test func `a note that is lost, and one that nobody signed, are told apart`() throws {
        let store = try TemporaryFolder()
        let archived = try Archived.shipped([store], 0..<50)
        archived.stop()
        archived.daemon.stop()
        let folder = archived.daemon.folder.path + "/second"
        #expect(try restore(folder, [store]).status == 0)
        try FileManager.default.copyItem(
            atPath: archived.daemon.ledger + "/key", toPath: folder + "/key")
        let epochs = try Archived.ledger(in: store) + "/epochs/"
        try Data("junk".utf8).write(to: URL(fileURLWithPath: epochs + "00000000000000000001"))
        let taken = try takeOver(archived, folder)
        #expect(taken.status == 0 && taken.output.contains("epoch 2 begins"), "\(taken)")
        #expect(taken.error.contains("did not sign"), "\(taken)")
        let daemon = try Daemon(
            configuration: String(contentsOfFile: archived.configuration, encoding: .utf8),
            ledger: folder)
        let process = try Background([
            "archive", "run", "--config", archived.configuration, "--socket", daemon.socket,
        ])
        let status = [
            Repository.program, "archive", "status", "--config", archived.configuration,
            "--socket", daemon.socket,
        ]
        let deadline = Date() + 120
        while try !run(status).output.contains("nothing waits"), Date() < deadline {
            usleep(100_000)
        }
        #expect(process.stop() == 0)
        #expect(daemon.stop() == 0)
        let whole = try restore(archived.daemon.folder.path + "/whole", [store])
        #expect(whole.status == 0 && whole.output.contains("restored 51 entries"), "\(whole)")
        chmod(epochs + "00000000000000000002", 0o600)
        try FileManager.default.removeItem(atPath: epochs + "00000000000000000002")
        let unknown = try restore(archived.daemon.folder.path + "/unknown", [store])
        #expect(
            unknown.status == 65 && unknown.error.contains("epochs/00000000000000000002"),
            "\(unknown)")
    }

    @Test func `a part that is flipped in one store comes from the other`() throws {
        let stores = try [TemporaryFolder(), TemporaryFolder()]
        let archived = try Archived.shipped(stores, 0..<80)
        archived.stop()
        archived.daemon.stop()
        let open = try Archived.ledger(in: stores[0]) + "/open/00000000000000000000/"
        let parts = try Archived.names(open).flatMap { segment in
            try Archived.names(open + segment).map { open + segment + "/" + $0 }
        }
        for path in parts {
            var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            bytes[bytes.count / 2] ^= 1
            chmod(path, 0o600)
            try bytes.write(to: URL(fileURLWithPath: path))
        }
        let result = try restore(archived.daemon.folder.path + "/restored", stores)
        #expect(result.status == 0 && result.output.contains("restored 80 entries"), "\(result)")
    }

    @Test func `a store that is not there is passed over, if another one is`() throws {
        let (store, gone) = (try TemporaryFolder(), try TemporaryFolder())
        let archived = try Archived.shipped([store], 0..<20)
        archived.stop()
        try FileManager.default.removeItem(atPath: gone.path)
        let result = try restore(archived.daemon.folder.path + "/restored", [gone, store])
        #expect(result.status == 0 && result.error.contains("not asked"), "\(result)")
    }
}
