import ArgumentParser
internal import Glibc
internal import Platform

struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure emitting, querying, proving, opening and verifying.",
        discussion: """
            Creates a ledger in a temporary folder, runs the program beside this one on it, and \
            removes the folder. The load generator shares the processors. Prints each figure next \
            to its target and to what the machine itself achieved in the same minute.
            """)

    @Option(help: "File of NDJSON packets to send, repeated with other ids.")
    var packets: String

    @Option(help: "Number of packets in the ledger at the end.")
    var count = 1_000_000

    @Option(
        help: ArgumentHelp(
            "Socket folder of a PostgreSQL to compare with. Its table "
                + "stardust_metadata is replaced.", valueName: "folder"))
    var postgres: String?

    @Option(
        help: ArgumentHelp(
            "Run only the queries, on a daemon that already has the packets.", valueName: "socket"))
    var against: String?

    @Option(help: "Number of times each query runs.")
    var queries = 2000

    @Option(help: "Where to create the temporary folder.")
    var folder = "/tmp"

    @Option(help: "The program to measure, if not the one beside this one.")
    var program: String?

    func validate() throws {
        guard (1000...50_000_000).contains(count) else {
            throw ValidationError("--count takes 1,000 to 50,000,000")
        }
        guard queries >= 10 else { throw ValidationError("--queries takes 10 or more") }
    }

    func run() throws {
        let content: [UInt8]
        do throws(FileFailure) {
            content = try PosixVolume(root: packets.givenFolder).content(
                of: packets.lastName, atMost: .max)
        } catch { throw BenchFailure(error.description) }
        let bench = try BenchRun(
            in: folder, ndjson: content, count: count, program: try program ?? Self.neighbour())
        bench.postgres = postgres
        bench.queries = queries
        defer { bench.cleanUp() }
        if let against { try bench.query(against) } else { try bench.run() }
    }

    /// The program that the same build put beside this one.
    private static func neighbour() throws(BenchFailure) -> String {
        // Safety: realpath with nil allocates the result, which is copied and freed here.
        guard let path = unsafe realpath("/proc/self/exe", nil) else {
            throw BenchFailure("cannot find this program's path in /proc; give --program")
        }
        defer { unsafe free(path) }
        return unsafe String(cString: path).givenFolder + "/stardust"
    }
}
