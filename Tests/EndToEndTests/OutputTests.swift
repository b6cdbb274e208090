import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What standard output, or a file that was named, does not take is an error.
@Suite struct OutputTests {
    /// Every kind of command, as a client of a daemon with packets, or on its files.
    private static func commands(_ daemon: Daemon, _ folder: TemporaryFolder) throws -> [[String]] {
        let packet = try folder.file("packet", Sample.packet(Sample.id) + [0x0A])
        let proof = folder.path + "/proof"
        let made = try daemon.stardust("prove", "0", "-o", proof)
        guard made.status == 0 else { throw Failure(made.error) }
        return [
            ["emit", packet], ["checkpoint"], ["prove", "0"], ["get", "0"], ["get", "0", "--raw"],
            ["find"], ["find", "--json"], ["find", "--count"], ["status"], ["status", "--json"],
            ["chain", "--packet", ExamplePipeline.upload],
            ["history", "clips", ExamplePipeline.clip],
            ["verify", daemon.ledger], ["verify", daemon.ledger, "--json"],
            ["check-proof", proof, "--vkey", try daemon.vkey],
            ["model", "schema", "--dialect", "sqlite"], ["model", "status"],
            ["follow", "--after", "0"],
            ["init", folder.path + "/new"], ["--help"], ["--version"], ["emit", "--help"],
        ]
    }

    @Test func `a full file system behind standard output is an error of every command`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        _ = try daemon.checkpoint(covering: 60)
        let folder = try TemporaryFolder()
        for command in try Self.commands(daemon, folder) {
            for target in ["/dev/full", "&-"] {
                if command[0] == "init" {
                    try? FileManager.default.removeItem(atPath: folder.path + "/new")
                }
                let result = try run(
                    ["bash", "-c", "exec \"$0\" \"$@\" >\(target)", Repository.program] + command,
                    environment: ["STARDUST_SOCKET": daemon.socket])
                #expect(result.status == 74, "\(command) >\(target): \(result.error)")
                #expect(result.error.contains("standard output"), "\(command): \(result.error)")
            }
        }
    }

    @Test func `a closed pipe ends a command quietly`() throws {
        let daemon = try ExamplePipeline.daemon()
        for command in ["find", "find --json", "follow --after 0", "get 0"] {
            let result = try run(
                [
                    "bash", "-c", "set -o pipefail; timeout 60 \"$0\" \(command) | head -1",
                    Repository.program,
                ],
                environment: ["STARDUST_SOCKET": daemon.socket])
            #expect(result.status == 0 && result.error == "", "\(command): \(result)")
        }
    }

    @Test func `a proof is written through what is no regular file`() throws {
        let daemon = try ExamplePipeline.daemon()
        _ = try daemon.checkpoint(covering: 60)
        let folder = try TemporaryFolder()
        let (pipe, target, link) = (
            folder.path + "/pipe", folder.path + "/target", folder.path + "/link"
        )
        let proof = try daemon.stardust("prove", "0").output
        // A pipe.
        let read = try run(
            [
                "bash", "-c", "mkfifo \"$1\"; cat \"$1\" & \"$0\" prove 0 -o \"$1\"; wait",
                Repository.program, pipe,
            ],
            environment: ["STARDUST_SOCKET": daemon.socket])
        #expect(read.status == 0 && read.output == proof)
        #expect(try run(["test", "-p", pipe]).status == 0)
        // A link, whose target keeps its mode.
        try Data("old".utf8).write(to: URL(fileURLWithPath: target))
        #expect(chmod(target, 0o604) == 0)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
        #expect(try daemon.stardust("prove", "0", "-o", link).status == 0)
        #expect(try run(["test", "-L", link]).status == 0)
        #expect(try String(contentsOfFile: target, encoding: .utf8) == proof)
        // A regular file is replaced, and nothing beside it is touched.
        let beside = try folder.file("target.tmp", [0x21])
        #expect(try daemon.stardust("prove", "0", "-o", target).status == 0)
        let mode = try FileManager.default.attributesOfItem(atPath: target)[.posixPermissions]
        #expect(mode as? Int == 0o604)
        #expect(try String(contentsOfFile: beside, encoding: .utf8) == "!")
        #expect(try daemon.stardust("prove", "0", "-o", "-").output == proof)
        #expect(try daemon.stardust("prove", "0", "-o", "/dev/full").status == 74)
    }

    @Test func `a stopped daemon is noticed by every command`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        kill(daemon.pid, SIGSTOP)
        defer { kill(daemon.pid, SIGCONT) }
        let packet = try daemon.folder.file("packet", Sample.packet(Sample.id) + [0x0A])
        for command in [
            ["status"], ["get", "0"], ["checkpoint"], ["prove", "0"], ["find"], ["emit", packet],
            ["model", "status"], ["chain", "--packet", Sample.id], ["follow"],
        ] {
            let result = try run(
                ["timeout", "60", Repository.program] + command,
                environment: ["STARDUST_SOCKET": daemon.socket, "STARDUST_TIMEOUT": "1"])
            #expect(result.status == 69, "\(command): \(result)")
            #expect(result.error.contains("has not answered for 1 s;"), "\(result.error)")
        }
    }

    @Test func `what the environment says is checked, and minus one is a position`() throws {
        let daemon = try Daemon()
        for seconds in ["abc", "0", "-1", "1e3"] {
            let refused = try run(
                [Repository.program, "status"],
                environment: ["STARDUST_SOCKET": daemon.socket, "STARDUST_TIMEOUT": seconds])
            #expect(
                refused.status == 64 && refused.error.contains("STARDUST_TIMEOUT"), "\(refused)")
        }
        #expect(try HTTPClient(daemon.socket).emit(Sample.packet(Sample.id)).status == 201)
        let followed = try run(
            [
                "bash", "-c", "timeout 60 \"$0\" follow --after -1 --json | head -1",
                Repository.program,
            ],
            environment: ["STARDUST_SOCKET": daemon.socket])
        #expect(followed.output.contains(Sample.id), "\(followed)")
    }

    @Test func `numbers from outside trap no command that prints JSON`() throws {
        let daemon = try Daemon()
        #expect(try HTTPClient(daemon.socket).emit(Sample.packet(Sample.id)).status == 201)
        #expect(daemon.stop() == 0)
        for size in ["4294967295", "9223372036854775808", "18446744073709551615"] {
            let text = "stardust-close/1\n\(size)\nsha256:\(String(repeating: "0", count: 64))\n"
            let sum = try run([
                "python3", "-c",
                "import sys; sys.path.insert(0, sys.argv[1]); from verify import crc32c; print('%08x' % crc32c(sys.argv[2].encode()))",
                Repository.root + "/Docs/Examples", text,
            ])
            let marker = text + "crc32c:" + sum.output
            try Data(marker.utf8).write(to: URL(fileURLWithPath: daemon.ledger + "/closed"))
            let result = try daemon.verify("--json")
            #expect(result.status == 1 && result.output.contains(size), "\(result)")
        }
    }
}
