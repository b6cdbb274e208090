internal import Glibc
internal import LedgerFormat
internal import Platform

/// One run of the benchmark. The steps run in the order of its table.
final class BenchRun {
    private let root: String
    private let count: Int
    private var source: PacketSource
    private let program: String
    private var daemon: ChildProcess?
    /// The source as it was before anything was sent.
    private let packets: PacketSource
    var postgres: String?
    var queries = 0

    private var ledger: String { root + "/ledger" }
    private var socket: String { root + "/s" }

    init(in folder: String, ndjson: [UInt8], count: Int, program: String) throws(BenchFailure) {
        var template = Array((folder + "/stardust-bench-XXXXXX").utf8CString)
        guard unsafe mkdtemp(&template) != nil else {
            throw BenchFailure("\(folder): \(errorName(errno))")
        }
        root = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        (self.count, self.program) = (count, program)
        packets = try PacketSource(ndjson: ndjson)
        source = packets
    }

    func cleanUp() {
        daemon?.send(SIGKILL)
        _ = daemon?.wait()
        _ = try? ChildProcess.run(["rm", "-r", root])
    }

    func run() throws {
        writeLine("\(count) packets averaging \(source.meanBytes) bytes")
        try emitting()
        try query(socket)
        try measureIndex()
        try proving()
        try opening()
        try verifying()
        #if PostgreSQL
            if let postgres { try following(postgres) }
        #endif
    }

    // MARK: The machine

    /// Median seconds for a write and fdatasync of one packet's size.
    private func syncTime() throws(BenchFailure) -> Double {
        var times: [Duration] = []
        do throws(FileFailure) {
            let volume = try PosixVolume(root: root)
            let file = try volume.open("sync-\(UInt32.random(in: 0 ... .max))", .create())
            try file.allocate(8 << 20)
            try file.sync()
            let bytes = [UInt8](repeating: 0x61, count: 1464)
            for index in 0..<2000 {
                let start = ContinuousClock.now
                try file.write(bytes.span, at: index * 1464)
                try file.syncData()
                times.append(.now - start)
            }
        } catch { throw BenchFailure(error.description) }
        return times.sorted()[times.count / 2] / .seconds(1)
    }

    private func machine() throws(BenchFailure) -> Double {
        let sync = try syncTime()
        row("machine: write + fdatasync, median", "\(fixed(sync * 1e6, 0)) µs, \(Int(1 / sync))/s")
        let path = root + "/speed"
        _ = try ChildProcess.run(
            ["openssl", "speed", "-seconds", "1", "-bytes", "1408", "sha256"], output: path)
        do throws(FileFailure) {
            let text = String(
                decoding: try PosixVolume(root: root).content(of: "speed"), as: UTF8.self)
            let speed = text.split(separator: "\n").last?.split(separator: " ").last ?? "unknown"
            row("machine: openssl speed sha256, 1408 bytes", "\(speed) bytes/s")
        } catch { throw BenchFailure(error.description) }
        return sync
    }

    // MARK: Emitting

    private func emitting() throws(BenchFailure) {
        guard try ChildProcess.run([program, "init", ledger]).exitStatus == 0 else {
            throw BenchFailure("could not create the ledger in \(ledger)")
        }
        try startDaemon()
        var sync = try machine()
        let single = max(100, min(3000, count / 10))
        let one = try Load.requests(socket: socket, connections: 1, packets: single, &source)
        row(
            "1 connection: latency, median",
            "\(one.percentile(0.5)) µs = \(fixed(Double(one.percentile(0.5)) / 1e6 / sync)) × fdatasync, "
                + "p99 \(one.percentile(0.99)) µs", "1.3 ×")
        sync = try machine()
        let many = try Load.requests(
            socket: socket, connections: 64, packets: max(100, min(200_000, count / 4)), &source)
        row(
            "64 connections: receipts",
            "\(Int(many.perSecond))/s, median \(many.percentile(0.5)) µs, p99 \(many.percentile(0.99)) µs",
            "25,000/s")
        let rest = count - one.packets - many.packets
        let before = daemon!.ticks(ofThreads: "publisher")
        let stream = try Load.stream(socket: socket, packets: rest, &source)
        let after = daemon!.ticks(ofThreads: "publisher")
        row("NDJSON: \(rest) packets", "\(Int(stream.perSecond))/s", "120,000/s")
        let share = Double(after.named - before.named) / Double(max(1, after.all - before.all))
        row(
            "of that, signing and the tree", "\(fixed(share * 100, 1)) % of the processor time",
            "10 %")
        for load in [one, many, stream] where load.refused > 0 {
            row("refused", "\(load.refused), the first: \(load.reason ?? "no reason given")", "0")
        }
        row(
            "daemon: resident memory", "\(fixed(Double(daemon!.residentBytes) / 1_048_576, 0)) MiB",
            "200 MiB")
    }

    // MARK: Querying

    func query(_ socket: String) throws(BenchFailure) {
        if let postgres {
            let start = ContinuousClock.now
            try QueryBench.load(count, of: packets, into: postgres)
            row(
                "PostgreSQL: loaded and indexed in",
                "\(fixed((.now - start) / .seconds(1), 0)) s")
        }
        let bench = try QueryBench(
            socket: socket, count, of: packets, postgres: postgres, times: queries)
        let processor = SharedProcessor(try bench.processes())
        defer { processor?.release() }
        row("queries run on", processor == nil ? "any processor" : "one processor")
        for result in try bench.run() {
            var figure = "\(result.daemon) µs"
            if let other = result.postgres {
                figure +=
                    ", PostgreSQL \(other) µs (\(result.rows) rows), "
                    + "\(fixed(Double(result.daemon) / Double(max(1, other)), 3)) ×"
            }
            row(result.name + ", median", figure, "\(result.target) ×")
        }
    }

    // MARK: Proofs

    private func proving() throws(BenchFailure) {
        let bench = ProofBench(socket: socket)
        let times = try bench.proofTimes(packets, count, times: queries)
        row(
            "proof of a packet, median", "\(times.inclusion) µs, including the round trip",
            "1,000 µs")
        row("proof of consistency, median", "\(times.consistency) µs")
        let packets = max(100, min(30_000, count / 10))
        for loop in [ProofBench.Loop.checkpoint, .newestProof] {
            let (ratio, asked) = try bench.slowdown(loop, packets: packets, &source)
            row(
                "64 connections beside a loop, \(loop.rawValue)",
                "\(fixed(ratio)) × slower, asked \(asked)/s", "1.10 ×")
        }
        let (chain, tree) = ProofBench.hashing()
        row("tree of a million entries, hashing", "\(fixed(tree / chain)) × the chain's", "1 ×")
    }

    // MARK: The read model

    #if PostgreSQL
        private func following(_ postgres: String) throws(BenchFailure) {
            let bench = try ModelBench(
                postgres: postgres, root: root, program: program,
                rows: max(20_000, min(100_000, count / 10)))
            func tell(_ name: String, _ result: ModelBench.Result) {
                row(
                    name,
                    "\(Int(Double(result.rows) / result.ours))/s, PostgreSQL's subscription "
                        + "\(Int(Double(result.rows) / result.theirs))/s: \(fixed(result.ratio)) ×",
                    "1 ×")
            }
            tell("read model: initial copy, rows", try bench.copying())
            tell("read model: transactions of a row", try bench.applying(turns: 3))
            let lag = try bench.lag(
                perSecond: 5000, seconds: count < 100_000 ? 3 : 20, &source)
            row(
                "read model: age of its newest row",
                "median \(lag.median) ms, at most \(lag.most) ms, at \(lag.rowsPerSecond) rows/s beside "
                    + "\(lag.packetsPerSecond) packets/s", "1,000 ms")
            try bench.cleanUp()
        }
    #endif

    private func measureIndex() throws(BenchFailure) {
        let files = try ChildProcess.run(
            ["sh", "-c", "cat \(ledger)/index/*.run | wc -c"], output: root + "/size")
        guard files.exitStatus == 0 else { throw BenchFailure("the index has no files") }
        do throws(FileFailure) {
            let text = String(
                decoding: try PosixVolume(root: root).content(of: "size"), as: UTF8.self)
            let bytes = Double(text.filter { $0.isNumber }) ?? 0
            row(
                "index files beside the payloads",
                fixed(bytes / Double(count * packets.meanBytes)), "0.35")
        } catch { throw BenchFailure(error.description) }
    }

    // MARK: Opening

    private func startDaemon() throws(BenchFailure) {
        daemon = try ChildProcess([program, "serve", ledger, "--socket", socket])
        let deadline = ContinuousClock.now + .seconds(60)
        while ContinuousClock.now < deadline {
            // Requests fail until the socket exists.
            if (try? LoadConnection(socket: socket).get("/readyz").status) == 200 { return }
            usleep(2000)
        }
        throw BenchFailure("the daemon did not start serving within a minute")
    }

    private func opening() throws(BenchFailure) {
        daemon!.send(SIGTERM)
        let start = ContinuousClock.now
        let status = daemon!.wait().exitStatus
        row(
            "stop by SIGTERM", "\(fixed((.now - start) / .seconds(1))) s, exit \(status)",
            "5 s, exit 0")
        var opened = ContinuousClock.now
        try startDaemon()
        row("open after a clean stop", "\(fixed((.now - opened) / .seconds(1))) s", "1 s")
        _ = try Load.requests(socket: socket, connections: 8, packets: 1000, &source)
        daemon!.send(SIGKILL)
        _ = daemon!.wait()
        opened = ContinuousClock.now
        try startDaemon()
        row("open after kill -9", "\(fixed((.now - opened) / .seconds(1))) s", "3 s")
        daemon!.send(SIGTERM)
        _ = daemon!.wait()
        daemon = nil
    }

    // MARK: Verifying

    private func verifying() throws(BenchFailure) {
        let shell = "exec openssl dgst -sha256 \(ledger)/segments/*.seg"
        _ = try ChildProcess.run(["sh", "-c", shell])
        for threads in [1, 2] {
            var (ratios, peak): ([Double], Int) = ([], 0)
            for _ in 0..<3 {
                let digest = try ChildProcess.run(["sh", "-c", shell])
                let verify = try ChildProcess.run(
                    [program, "verify", ledger, "--threads", "\(threads)"])
                guard verify.exitStatus == 0 else {
                    throw BenchFailure("`verify` failed on the benchmark's ledger")
                }
                ratios.append(verify.wall / digest.wall)
                peak = max(peak, verify.peakResidentBytes)
            }
            row(
                "verify, \(threads) thread\(threads == 1 ? "" : "s")",
                "\(fixed(ratios.sorted()[1])) × openssl dgst, \(fixed(Double(peak) / 1_048_576, 0)) MiB",
                "\(threads == 1 ? "1.7" : "1.0") ×, 64 MiB")
        }
    }
}
