import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Stores that have different things, folders that have others, and who is told so.
struct ArchiveDisagreementTests {
    private static func verify(_ ledger: String?, _ stores: [TemporaryFolder]) throws -> Finished {
        try run(
            [Repository.program, "verify"] + (ledger.map { [$0] } ?? [])
                + stores.flatMap { ["--archive", "file://" + $0.path] })
    }

    private static func secondOpinion(
        _ ledger: String?, _ store: TemporaryFolder
    ) throws -> Finished {
        try run(
            ["/usr/bin/python3", Repository.root + "/Docs/Examples/verify.py"]
                + (ledger.map { [$0] } ?? []) + ["--archive", Archived.ledger(in: store)])
    }

    private static func flip(_ path: String, at offset: Int? = nil) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes[offset ?? bytes.count / 2] ^= 1
        chmod(path, 0o600)
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    @Test func `a folder that went another way than its archive is no sound one`() throws {
        let store = try TemporaryFolder()
        defer { withExtendedLifetime(store) {} }
        let archived = try Archived.shipped([store], 0..<200)
        let copy = archived.daemon.folder.path + "/copy"
        archived.stop()
        archived.daemon.stop()
        try FileManager.default.copyItem(atPath: archived.daemon.ledger, toPath: copy)
        try archived.daemon.start()
        try archived.start()
        try archived.emit(200..<300)
        try archived.waitUntilShipped()
        archived.stop()
        archived.daemon.stop()
        // The copy took fewer than the archive has, and then more.
        let other = try Daemon(
            configuration: String(contentsOfFile: archived.configuration, encoding: .utf8),
            ledger: copy)
        for numbers in [1000..<1050, 1050..<1200] {
            for number in numbers {
                #expect(
                    try HTTPClient(other.socket).emit(Sample.numbered(number).bytes).status == 201)
            }
            other.stop()
            let found = try Self.verify(copy, [store])
            #expect(found.status == 1 && found.output.contains("archive_fork"), "\(found)")
            let second = try Self.secondOpinion(copy, store)
            #expect(second.status == 1 && second.output.contains("archive_fork"), "\(second)")
            try other.start()
        }
        other.stop()
        for ledger in [archived.daemon.ledger, nil] {
            #expect(try Self.verify(ledger, [store]).status == 0)
            #expect(try Self.secondOpinion(ledger, store).status == 0)
        }
    }

    @Test func `an archive is sound between a take-over and what comes after it`() throws {
        let store = try TemporaryFolder()
        defer { withExtendedLifetime(store) {} }
        let archived = try Archived.shipped([store], 0..<100)
        let folder = archived.daemon.folder.path + "/second"
        let restored = try run([
            Repository.program, "restore", folder, "--from", "file://\(store.path)",
        ])
        #expect(restored.status == 0, "\(restored)")
        try FileManager.default.copyItem(
            atPath: archived.daemon.ledger + "/key", toPath: folder + "/key")
        // The old machine goes on, and signs for more than will count.
        archived.stop()
        let taken = try run([
            Repository.program, "take-over", folder, "--config", archived.configuration,
        ])
        #expect(taken.status == 0, "\(taken)")
        try archived.emit(100..<200)
        try archived.start()
        #expect(archived.waitUntilEnded() == 75)
        let found = try Self.verify(nil, [store])
        #expect(found.status == 0 && found.output.contains("sound: 100 entries"), "\(found)")
        let second = try Self.secondOpinion(nil, store)
        #expect(second.status == 0 && second.output.contains("sound: 100 entries"), "\(second)")
    }

    @Test func `a part that is damaged is named, in whichever store it is`() throws {
        let stores = try [TemporaryFolder(), TemporaryFolder()]
        defer { withExtendedLifetime(stores) {} }
        let archived = try Archived.shipped(stores, 0..<20)
        archived.stop()
        archived.daemon.stop()
        let open = try Archived.ledger(in: stores[0]) + "/open/00000000000000000000/"
        let segment = try Archived.names(open).last!
        let part = open + segment + "/" + (try Archived.names(open + segment)[0])
        #expect(try Self.verify(nil, stores).status == 0)
        let whole = try Data(contentsOf: URL(fileURLWithPath: part))
        chmod(part, 0o600)
        for content in [whole.prefix(whole.count - 100), whole + [1], Data("x".utf8), nil] {
            if let content {
                try content.write(to: URL(fileURLWithPath: part))
            } else {
                try whole.write(to: URL(fileURLWithPath: part))
                try Self.flip(part, at: 1000)
            }
            for order in [stores, stores.reversed(), [stores[0]]] {
                let found = try Self.verify(nil, order)
                #expect(
                    found.status == 1
                        && found.output.contains("archive_damaged: file://\(stores[0].path)"),
                    "\(content?.count ?? 0): \(found)")
            }
            #expect(try Self.verify(nil, [stores[1]]).status == 0)
        }
    }

    @Test func `payloads that are damaged in one store each are all readable`() throws {
        let stores = try [TemporaryFolder(in: "/dev/shm"), TemporaryFolder(in: "/dev/shm")]
        defer { withExtendedLifetime(stores) {} }
        let archived = try Archived(stores.map { Archived.folder($0.path) }, leaves: true)
        try archived.start()
        try archived.emit(0..<300)
        try archived.waitUntilLeft()
        for (number, store) in stores.enumerated() {
            let segments = try Archived.ledger(in: store) + "/segments/"
            let first = try Archived.names(segments).first { $0.hasSuffix(".seg") }!
            // A byte of the payload of position 2, and of position 20: records have one size here.
            let path = segments + first
            let record = try Data(contentsOf: URL(fileURLWithPath: path))
            let length = record[136..<140].reversed().reduce(0) { $0 << 8 | Int($1) } + 16
            let bytes = length + (8 - length % 8) % 8
            try Self.flip(path, at: 128 + bytes * (number == 0 ? 2 : 20) + 300)
        }
        let client = try HTTPClient(archived.daemon.socket)
        for _ in 0..<3 {
            for number in [2, 20, 2, 20, 21] {
                let answer = try client.get("/v1/packets/\(Sample.numbered(number).id)")
                #expect(answer.status == 200, "\(number): \(answer.text)")
            }
        }
        // Both verifiers see it beside the folder, whose own entries know better.
        #expect(archived.daemon.stop() == 0)
        archived.stop()
        for store in stores {
            #expect(try Self.secondOpinion(archived.daemon.ledger, store).status == 1)
        }
        for (number, store) in stores.enumerated() {
            let segments = try Archived.ledger(in: store) + "/segments/"
            let first = try Archived.names(segments).first { $0.hasSuffix(".seg") }!
            let record = try Data(contentsOf: URL(fileURLWithPath: segments + first))
            let length = record[136..<140].reversed().reduce(0) { $0 << 8 | Int($1) } + 16
            let bytes = length + (8 - length % 8) % 8
            try Self.flip(segments + first, at: 128 + bytes * (number == 0 ? 2 : 20) + 300)
            let second = try Self.secondOpinion(archived.daemon.ledger, store)
            #expect(second.status == 0 && second.output.contains("300 entries"), "\(second)")
        }
    }

    @Test func `what a drill writes, others may read, and arguments are judged first`() throws {
        let store = try TemporaryFolder()
        defer { withExtendedLifetime(store) {} }
        let archived = try Archived.shipped([store], 0..<30)
        archived.stop()
        let file = archived.daemon.folder.path + "/drill"
        func drill(_ record: String) throws -> Finished {
            try run([
                Repository.program, "restore", "--drill", "--from", "file://\(store.path)",
                "--record", record,
            ])
        }
        let passed = try drill(file)
        #expect(passed.status == 0, "\(passed)")
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
        #expect(mode == 0o644)
        for wrong in [store.path, store.path + "/", "/no/such/folder/x"] {
            let result = try drill(wrong)
            #expect(result.status == 73 && result.output.isEmpty, "\(wrong): \(result)")
        }
        for patience in ["nan", "inf", "1e300", "-1"] {
            let result = try run([
                Repository.program, "backup", archived.daemon.ledger, "--config",
                archived.configuration, "--patience=\(patience)",
            ])
            #expect(result.status == 64, "\(patience): \(result)")
        }
    }
}
