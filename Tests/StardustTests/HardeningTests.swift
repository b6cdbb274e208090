import TestSupport
import Testing

@Suite struct HardeningTests {
    @Test(.needs(Repository.has("readelf"), "readelf is missing; install binutils"))
    func `the program is linked so that little of it can be changed while it runs`() throws {
        let sections = try run(["readelf", "-d", Repository.program]).output
        #expect(sections.contains("Flags: NOW PIE"), "\(sections)")
        let segments = try run(["readelf", "-lW", Repository.program]).output
        #expect(segments.contains("GNU_RELRO") && !segments.contains("RWE"), "\(segments)")
        #if !DEBUG
            #expect(!sections.contains("$ORIGIN"), "built without make: \(sections)")
        #endif
    }
}
