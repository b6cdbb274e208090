import TestSupport
import Testing
import stardust

@Suite struct VersionTests {
    @Test func `the changelog knows the version that the program prints`() throws {
        #expect(try Repository.text("CHANGELOG.md").contains("\n## \(Version.number)\n"))
        let printed = try run([Repository.program, "--version"])
        #expect(printed.status == 0 && printed.output == Version.text + "\n")
        #expect(printed.output.hasPrefix("stardust \(Version.number) (commit "))
        #expect(printed.output.contains("segment 1, entry 1"))
    }
}
