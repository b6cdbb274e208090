import DaemonTestSupport
import Foundation
import PipelineWorkload
import TestSupport
import Testing

/// Every block of commands in the pages, read as a newcomer reads it.
@Suite struct DocumentBlockTests {
    /// The blocks of the pages whose commands need a ledger and its daemon.
    private static func everyBlock() throws -> [(page: String, block: String)] {
        try ["Emitting", "Querying", "ReadModel", "Verifying"].flatMap { page in
            try DocumentTests.blocks("bash", in: "Docs/\(page).md").map { (page, $0) }
        }
    }

    /// Runs a block as it stands in a folder of its own, where `var/ledger` is the daemon's ledger.
    private static func runs(_ block: String, with daemon: Daemon) throws -> Finished {
        let folder = try TemporaryFolder()
        let prepared = """
            mkdir var && ln -s "$1" var/ledger && ln -s "$2/Docs" Docs
            """
        let ready = try run(
            ["bash", "-euc", "cd \(folder.path)\n" + prepared, "_", daemon.ledger, Repository.root])
        guard ready.status == 0 else { throw Failure(ready.error) }
        let tools = (AuditTools.python as NSString).deletingLastPathComponent
        var environment = DocumentTests.environment(daemon)
        environment["PATH"] = "\(tools):\(environment["PATH"] ?? "")"
        return try run(
            ["bash", "-euo", "pipefail", "-c", "cd \(folder.path)\n" + block],
            environment: environment)
    }

    /// What a page shows after a block comes, in this order; … stands for anything.
    @Test func `what the page shows is what comes`() throws {
        let page = try Repository.text("Docs/Querying.md")
        let shown = page.matches(of: /```bash\n(?<block>[^`]*)```\n```text\n(?<lines>[^`]*)```/)
        #expect(shown.count >= 12)
        for match in shown {
            let result = try Self.runs(String(match.block), with: Daemon())
            #expect(result.status == 0, "\(match.block): \(result.error)")
            var rest = result.output[...]
            for line in match.lines.split(separator: "\n") where line != "…" {
                let place = rest.firstRange(of: line)
                #expect(place != nil, "\(line) is not in \(result.output)")
                rest = place.map { rest[$0.upperBound...] } ?? rest
            }
        }
    }

    private static let tools =
        Repository.has("go") && Repository.has("dot")
        && FileManager.default.isExecutableFile(atPath: AuditTools.python)

    @Test(.needs(tools, "golang, graphviz and Python's cryptography are not installed"))
    func `every block runs as it stands on a new ledger, and in any order on another`() throws {
        for (page, block) in try Self.everyBlock() {
            let result = try Self.runs(block, with: Daemon())
            #expect(result.status == 0, "\(page): \(block): \(result.error)")
        }
        let seed = UInt64.random(in: 0...9999)
        var generator = SeededGenerator(seed: seed)
        let daemon = try Daemon()
        for (page, block) in try Self.everyBlock().shuffled(using: &generator) {
            let result = try Self.runs(block, with: daemon)
            #expect(result.status == 0, "seed \(seed), \(page): \(block): \(result.error)")
        }
    }
}
