import DaemonTestSupport
import Foundation
import Platform
import TestSupport
import Testing

/// What one user takes is not taken from others.
@Suite(.serialized) struct FairnessTests {
    private static let (reader, stranger, worker) = (64_002, 64_003, 64_004)
    /// Together they could take what each of them may not.
    private static let appenders = [64_001, 64_005, 64_006, 64_007]

    private static func daemon() throws -> Daemon {
        let daemon = try ExamplePipeline.daemon(
            """
            {"access": [\(appenders.map { "{\"user\": \($0), \"roles\": [\"append\"]}," }.joined())
                        {"user": \(reader), "roles": ["read"]},
                        {"user": \(worker), "roles": ["append"]}]}
            """)
        // The daemon's folder is its own user's; the socket is for everybody here.
        #expect(chmod(daemon.folder.path, 0o711) == 0 && chmod(daemon.socket, 0o666) == 0)
        return daemon
    }

    /// Hostile clients, until their time is over.
    private static func hostile(
        _ daemon: Daemon, _ seconds: Int, _ users: [String]
    ) throws -> Background {
        try Background(
            [Repository.root + "/Tests/EndToEndTests/hostile.py", daemon.socket, "\(seconds)"]
                + users,
            program: "/usr/bin/python3")
    }

    /// Sends packets one by one as another user, for a while; prints how many were accepted, how many
    /// were not, and the 99th percentile of the time of each in microseconds.
    private static func work(_ daemon: Daemon, seconds: Int) throws -> (
        accepted: Int, refused: Int, p99: Int
    ) {
        let script = """
            import http.client, json, os, socket, sys, time, uuid
            os.setgroups([]); os.setgid(\(worker)); os.setuid(\(worker))
            class C(http.client.HTTPConnection):
                def connect(self):
                    self.sock = socket.socket(socket.AF_UNIX); self.sock.settimeout(30); self.sock.connect(sys.argv[1])
            end = time.time() + float(sys.argv[2]); times = []; bad = 0; c = C('stardust')
            while time.time() < end:
                body = json.dumps({'stardust_id': str(uuid.uuid4()), 'entity_type': 'clips', 'entity_id': str(uuid.uuid4()),
                                   'lineage': {'trace_id': uuid.uuid4().hex, 'event': 'clip.selected', '_meta_parents': []}})
                start = time.time()
                try:
                    c.request('POST', '/v1/packets', body, {'content-type': 'application/json'}); r = c.getresponse(); r.read()
                    bad += r.status != 201
                except (OSError, http.client.HTTPException):
                    bad += 1; c = C('stardust')
                times.append(time.time() - start)
            times.sort()
            print(len(times) - bad, bad, int(times[int(len(times) * 0.99)] * 1e6))
            """
        let result = try run(["python3", "-c", script, daemon.socket, "\(seconds)"])
        let numbers = result.output.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        guard numbers.count == 3 else { throw Failure(result.error) }
        return (numbers[0], numbers[1], numbers[2])
    }

    /// The most memory that the daemon has had, in bytes.
    private static func peak(_ daemon: Daemon) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(daemon.pid)/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        return
            (line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) } ?? 0)
            << 10
    }

    /// How much of each budget is used.
    private static func budgets(_ daemon: Daemon) throws -> [String: Int] {
        let start = "stardust_budget_used{resource=\""
        return try HTTPClient(daemon.socket).get("/metrics").lines.reduce(into: [:]) { all, line in
            guard line.hasPrefix(start) else { return }
            let parts = line.dropFirst(start.count).split(separator: "\"} ")
            all[String(parts[0])] = Int(parts[1])
        }
    }

    private static func resident(_ daemon: Daemon) -> Int {
        ProcessMemory.residentBytes(ofProcess: String(daemon.pid))
    }

    @Test(.needs(Repository.isRoot, "only root can be several users"), arguments: [1, 4])
    func `hostile clients of each role take nothing from a worker of another user`(
        appenders: Int
    ) throws {
        let seconds = Soak.isSoak ? 60 : 8
        let daemon = try Self.daemon()
        var busy: [Background] = []
        for _ in 0..<4 {
            busy.append(try Background(["-c", "while :; do :; done"], program: "/bin/bash"))
        }
        let beside = try Self.work(daemon, seconds: seconds)
        busy = []
        let clients = try Self.hostile(
            daemon, seconds + 4,
            Self.appenders.prefix(appenders).map { "\($0)=append" }
                + ["\(Self.reader)=read", "\(Self.stranger)=none"])
        let among = try Self.work(daemon, seconds: seconds)
        // Whoever administers it can look in all the while.
        #expect(try HTTPClient(daemon.socket).get("/v1/status").status == 200)
        _ = clients.stop()
        let peak = try Self.peak(daemon)
        print(
            "fairness, \(appenders) that append: p99 beside four busy processes \(beside.p99) µs, among hostile clients \(among.p99) µs, peak \(peak >> 20) MiB, refused \(among.refused)"
        )
        #expect(among.refused == 0 && among.accepted > 0 && beside.refused == 0)
        #expect(peak < 512 << 20)
        // A share of time can only be judged where nothing else runs, and over a while.
        if Soak.isSoak { #expect(among.p99 <= 2 * beside.p99) }
        let (end, deadline) = (ContinuousClock.now, ContinuousClock.now + .seconds(60))
        while Self.resident(daemon) > 300 << 20, ContinuousClock.now < deadline { usleep(100_000) }
        #expect(Self.resident(daemon) <= 300 << 20)
        print("fairness: below 300 MiB after \(ContinuousClock.now - end)")
        // Everything is given back but what the question itself takes.
        let own = [
            "connections": 1, "jobs": 1, "body_bytes": 0, "answer_bytes": 0, "followers": 0,
        ]
        // A question that is over may still count when the next one is asked.
        var used = try Self.budgets(daemon)
        while used != own, ContinuousClock.now < deadline {
            usleep(100_000)
            used = try Self.budgets(daemon)
        }
        #expect(used == own)
    }
}
