import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// The program of the last version, built from its commit, and this one serve the same ledger in turn.
@Suite(.enabled(if: Soak.isSoak, "only with large counts: it builds the last version"))
struct DowngradeTests {
    private static let last = Repository.root + "/.build/last-version"

    /// The commit before the one that gave the program its version.
    private static func build() throws -> String {
        let version = try Repository.text("Sources/stardust/Version.swift")
        guard let number = version.firstMatch(of: /number = "([^"]+)"/)?.1 else {
            throw Failure("Version.swift has no number")
        }
        let script = """
            set -e -o pipefail
            cd '\(Repository.root)'
            commit=$(git log --format=%H -S'"\(number)"' --reverse -- Sources | sed -n '1s/$/^/p')
            mkdir -p '\(last)/source'
            git archive "$commit" | tar -x -C '\(last)/source'
            swift build -c release --product stardust --package-path '\(last)/source' \\
                --scratch-path '\(last)/build' --disable-local-rpath >'\(last)/log' 2>&1
            echo '\(last)/build/release/stardust'
            """
        let built = try run(["bash", "-c", script])
        guard built.status == 0 else { throw Failure("\(built); see \(last)/log") }
        return built.output.trimmingCharacters(in: .newlines)
    }

    @Test func `an upgrade and a downgrade by one version keep the ledger`() throws {
        let old = try Self.build()
        #expect(
            try run([old, "--version"]).output != run([Repository.program, "--version"]).output)
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let ledger = folder.path + "/ledger"
        #expect(try run([old, "init", ledger]).status == 0)
        var acknowledged: [String] = []
        for round in 0..<6 {
            let daemon = try Daemon(ledger: ledger, starts: false)
            daemon.program = round.isMultiple(of: 2) ? old : Repository.program
            try daemon.start()
            let client = try HTTPClient(daemon.socket)
            for id in acknowledged {
                let found = try client.get("/v1/packets/\(id)")
                #expect(found.status == 200, "round \(round): \(id)")
            }
            for number in 0..<100 {
                let parents = acknowledged.last.map { "\"\($0)\"" } ?? ""
                let id = UUID()
                let packet = """
                    {"entity_type":"clips","entity_id":"\(id)","lineage":{"trace_id":"\(id)",\
                    "_meta_parents":[\(parents)],"n":\(number)}}
                    """
                let answer = try client.emit(Array(packet.utf8))
                #expect(answer.status == 201, "\(answer.text)")
                guard let id = answer.text.firstMatch(of: /"stardust_id":"([^"]+)"/)?.1 else {
                    throw Failure(answer.text)
                }
                acknowledged.append(String(id))
            }
            #expect(daemon.stop() == 0, "round \(round): \(daemon.log)")
            for program in [old, Repository.program] {
                let verified = try run([program, "verify", ledger])
                #expect(verified.status == 0, "round \(round): \(verified)")
            }
            let examined = try run([
                Repository.program, "doctor", ledger, "--for-version", "0.9.0",
            ])
            #expect(examined.output.contains("understands everything"), "\(examined)")
        }
    }
}
