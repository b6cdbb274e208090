import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// An archive that version 1 wrote, with two epochs, comes back as it was.
struct GoldenArchiveTests {
    private static let root =
        "sha256:f2c49923f021ecfd6eb31f2555d8e4b23ca0977a07150ba924167e3f74f058ad"
    private static let key =
        "golden.example/archive+b8ce947a+AfEDdvj5jdKeSbStI3mHKdiEwqYO87nZ3CdTwlRf8rDw"

    private let url = "file://" + Repository.root + "/Tests/Vectors/archive-1"

    @Test func `an archive of version 1 is verified and restored`() throws {
        let verified = try run([
            Repository.program, "verify", "--archive", url, "--vkey", Self.key,
        ])
        #expect(verified.status == 0 && verified.output.contains(Self.root), "\(verified)")
        for more in [[], ["--lazy"]] {
            let folder = try TemporaryFolder()
            let restored = folder.path + "/ledger"
            let result = try run(
                [Repository.program, "restore", restored, "--from", url, "--vkey", Self.key] + more)
            #expect(
                result.status == 0 && result.output.contains("restored 59 entries"), "\(result)")
            #expect(result.output.contains(Self.root))
            let again = try run([Repository.program, "verify", restored])
            #expect(again.status == 0 && again.output.contains(Self.root), "\(again)")
        }
    }

    @Test func `what came after the first epoch's end is there`() throws {
        let printed = try run([
            Repository.program, "archive", "superseded", "0", "--archive", url,
        ])
        let lines = printed.output.split(separator: "\n")
        #expect(lines.count == 2 && lines[0].contains("57a20000-0000-4000-8000-000000000056"))
        let none = try run([
            Repository.program, "archive", "superseded", "1", "--archive", url,
        ])
        #expect(none.status == 65, "\(none)")
    }
}
