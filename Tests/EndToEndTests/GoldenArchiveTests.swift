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

    /// Paths of all objects.
    private static func objects(_ folder: String) -> [String] {
        let all = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return all.filter { path in
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(atPath: folder + "/" + path, isDirectory: &isFolder)
            return !isFolder.boolValue
        }.sorted()
    }

    /// Verdicts of the program and of the verifier that was written from the format alone.
    private static func verdicts(_ store: String, _ ledger: String) throws -> (Finished, Finished) {
        (
            try run([Repository.program, "verify", "--archive", "file://" + store]),
            try run([
                "/usr/bin/python3", Repository.root + "/Docs/Examples/verify.py", "--archive",
                ledger,
            ])
        )
    }

    @Test func `a second verifier judges each damaged object alike`() throws {
        let folder = try TemporaryFolder()
        let store = folder.path + "/store"
        try FileManager.default.copyItem(
            atPath: Repository.root + "/Tests/Vectors/archive-1", toPath: store)
        let ledger = store + "/8434eb4b-947d-4f1f-8599-655692c8ef02"
        let (ours, theirs) = try Self.verdicts(store, ledger)
        #expect(ours.status == 0 && theirs.status == 0 && theirs.output.contains(Self.root))
        for name in Self.objects(ledger) {
            let path = ledger + "/" + name
            let whole = try Data(contentsOf: URL(fileURLWithPath: path))
            var flipped = whole
            flipped[whole.count / 2] ^= 1
            for content in [flipped, whole.prefix(whole.count / 2), nil] {
                try FileManager.default.removeItem(atPath: path)
                try content?.write(to: URL(fileURLWithPath: path))
                let (ours, theirs) = try Self.verdicts(store, ledger)
                let isSound = ours.status == 0
                #expect(
                    isSound == (theirs.status == 0),
                    "\(name), \(content?.count ?? 0) bytes: \(ours) \(theirs)")
                // What does not count may be anything; an end that is cut off nobody can miss.
                let matters = ["identity", ".seg", ".entries", ".checkpoints", "epochs/"].contains {
                    name.contains($0)
                }
                let isNote0 = name == "epochs/00000000000000000000"
                if matters, !isNote0 { #expect(!isSound, "\(name): \(ours)") }
                try whole.write(to: URL(fileURLWithPath: path))
            }
        }
    }
}
