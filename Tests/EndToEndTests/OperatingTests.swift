import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What the system, its users and its clock do to a daemon.
@Suite struct OperatingTests {
    // MARK: Files and sockets of others

    @Test func `nothing that the daemon makes can be read by others`() throws {
        let daemon = try Daemon(
            configuration: "{\"segment_bytes\": 65536, \"packet_bytes_max\": 16384}")
        #expect(try HTTPClient(daemon.socket).emitLines(Sample.body(0..<200)).lines.count == 200)
        _ = try daemon.checkpoint(covering: 200)
        #expect(daemon.stop() == 0)
        let open = try run(["find", daemon.ledger, "-perm", "/077", "-not", "-type", "l"])
        #expect(open.output == "", "\(open.output)")
        // A ledger as early versions made it is served, with a warning.
        try daemon.start()
        #expect(!daemon.log.contains("others can read"))
        #expect(daemon.stop() == 0)
        #expect(chmod(daemon.ledger, 0o755) == 0 && chmod(daemon.ledger + "/identity", 0o644) == 0)
        try daemon.start()
        #expect(daemon.logs("others can read the ledger's files"))
    }

    @Test func `a socket that somebody else put in the place is left alone`() throws {
        let daemon = try Daemon()
        try FileManager.default.removeItem(atPath: daemon.socket)
        let other = try Daemon(starts: false)
        let serve = try Background(["serve", other.ledger, "--socket", daemon.socket])
        try serve.waitFor("listening")
        // Nobody can reach the first one, so it ends by itself.
        #expect(daemon.waitForEnd() == 74)
        #expect(daemon.logs("was removed or replaced"))
        #expect(try HTTPClient(daemon.socket).get("/livez").status == 200)
        #expect(serve.stop() == 0)
        #expect(!FileManager.default.fileExists(atPath: daemon.socket))
    }

    @Test func `who may connect cannot end the daemon by touching its socket`() throws {
        let daemon = try Daemon()
        #expect(try run(["touch", "-c", "-d", "2020-01-01", daemon.socket]).status == 0)
        #expect(chmod(daemon.socket, 0o666) == 0)
        // Longer than the daemon takes to look.
        usleep(6_000_000)
        #expect(try HTTPClient(daemon.socket).get("/livez").status == 200)
        #expect(daemon.stop() == 0)
        #expect(!FileManager.default.fileExists(atPath: daemon.socket))
    }

    @Test func `a daemon that cannot sign says so before the first packet`() throws {
        let daemon = try Daemon(starts: false)
        try FileManager.default.moveItem(
            atPath: daemon.ledger + "/key", toPath: daemon.ledger + "/elsewhere")
        try daemon.start()
        #expect(try daemon.readiness().contains("nothing is published"))
        #expect(daemon.logs("publishing has stopped"))
    }

    @Test func `checkpoints that are taken away stop publishing, not packets`() throws {
        let daemon = try Daemon()
        let client = try HTTPClient(daemon.socket)
        #expect(try client.emit(Sample.numbered(0).bytes).status == 201)
        _ = try daemon.checkpoint(covering: 1)
        #expect(unlink(daemon.ledger + "/checkpoints") == 0)
        #expect(try client.emit(Sample.numbered(1).bytes).status == 201)
        while try client.get("/readyz").status == 200 { usleep(20_000) }
        #expect(try daemon.readiness().contains("checkpoints"))
        #expect(try daemon.metric(#"ready{reason="publishing"}"#) == 0)
        #expect(daemon.logs("checkpoints"))
        #expect(!FileManager.default.fileExists(atPath: daemon.ledger + "/checkpoints"))
        #expect(try client.get("/v1/packets/\(Sample.numbered(1).id)").status == 200)
    }

    @Test func `a segment or a folder that is taken away ends the daemon`() throws {
        for takesSegment in [true, false] {
            let daemon = try Daemon()
            let client = try HTTPClient(daemon.socket)
            #expect(try client.emit(Sample.numbered(0).bytes).status == 201)
            if takesSegment {
                #expect(unlink(daemon.ledger + "/segments/00000000000000000000.seg") == 0)
            } else {
                // An older copy takes the folder's place.
                #expect(
                    try run([
                        "bash", "-c",
                        "cp -a \"$0\" \"$0.bak\" && mv \"$0\" \"$0.old\" && mv \"$0.bak\" \"$0\"",
                        daemon.ledger,
                    ]).status == 0)
            }
            let answer = try client.emit(Sample.numbered(1).bytes)
            #expect(answer.status == 503, "\(answer.text)")
            #expect(daemon.waitForEnd() == 74)
            #expect(daemon.logs("moved or removed"))
            let paths = takesSegment ? [] : [daemon.ledger, daemon.ledger + ".old"]
            for path in paths {
                let verified = try run([Repository.program, "verify", path])
                #expect(verified.status == 0, "\(path): \(verified.output)")
            }
        }
    }

    @Test func `only a socket that refuses connections is stale`() throws {
        let daemon = try Daemon(starts: false)
        for (kind, words) in [
            ("s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(p)", "another kind"),
            (
                "s = socket.socket(socket.AF_UNIX); s.bind(p); s.listen(0); c = [socket.socket(socket.AF_UNIX) for _ in range(9)]; [(x.setblocking(False), x.connect_ex(p)) for x in c]",
                "many clients wait"
            ),
        ] {
            let holder = try Background(
                [
                    "-c",
                    "import socket, sys, time; p = sys.argv[1]; \(kind); sys.stderr.write('bound'); sys.stderr.flush(); time.sleep(60)",
                    daemon.socket,
                ],
                program: "/usr/bin/python3")
            try holder.waitFor("bound")
            let refused = try run([
                "timeout", "-s", "KILL", "60", Repository.program, "serve", daemon.ledger,
                "--socket", daemon.socket,
            ])
            #expect(refused.status == 73 && refused.error.contains(words), "\(refused)")
            #expect(FileManager.default.fileExists(atPath: daemon.socket))
            holder.kill()
            try FileManager.default.removeItem(atPath: daemon.socket)
        }
    }

    @Test(.needs(Repository.has("strace"), "strace is not installed"))
    func `of two daemons that find the same unused socket one serves, and keeps it`() throws {
        let (late, early) = (try Daemon(starts: false), try Daemon(starts: false))
        let made = try run([
            "python3", "-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])",
            late.socket,
        ])
        #expect(made.status == 0)
        // The late one has seen that nobody serves it, and is held before it moves it away.
        let held = try Background(
            [
                "-f", "-qq", "-o", late.folder.path + "/trace", "-e",
                "trace=rename,renameat2,connect",
                "-e", "inject=rename:delay_enter=3000000", Repository.program, "serve", late.ledger,
                "--socket", late.socket,
            ], program: "/usr/bin/strace")
        let trace = late.folder.path + "/trace"
        while (try? String(contentsOfFile: trace, encoding: .utf8).contains("ECONNREFUSED")) != true
        {
            usleep(10_000)
        }
        let serving = try Background(["serve", early.ledger, "--socket", late.socket])
        try serving.waitFor("listening")
        while held.isRunning { usleep(10_000) }
        #expect(held.error.contains("another daemon is already serving"), "\(held.error)")
        #expect(try HTTPClient(late.socket).get("/livez").status == 200)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: late.folder.path)
                .filter { $0.hasPrefix("s.") } == [])
        #expect(serving.stop() == 0)
    }

    @Test func `a socket's path may be as long as the system takes`() throws {
        let folder = try TemporaryFolder()
        #expect(try run([Repository.program, "init", folder.path + "/l"]).status == 0)
        let longest =
            folder.path + "/" + String(repeating: "s", count: 107 - folder.path.utf8.count - 1)
        let serve = try Background(["serve", folder.path + "/l", "--socket", longest])
        try serve.waitFor("listening")
        let status = try run([Repository.program, "status", "--socket", longest])
        #expect(status.status == 0, "\(status.error)")
        #expect(serve.stop() == 0)
        for command in [
            ["serve", folder.path + "/l"], ["status"],
            [
                "witness", folder.path + "/w", "--log",
                try String(contentsOfFile: folder.path + "/l/identity", encoding: .utf8).components(
                    separatedBy: "\n")[3],
            ],
        ] {
            let option = command[0] == "witness" ? "--listen" : "--socket"
            let refused = try run([Repository.program] + command + [option, longest + "s"])
            #expect(
                refused.status != 0 && refused.error.contains("107"), "\(command): \(refused.error)"
            )
        }
    }

    @Test(.needs(Repository.isRoot, "only root can make files of another user"))
    func `what root does to another user's ledger stays that user's`() throws {
        let daemon = try Daemon()
        #expect(try HTTPClient(daemon.socket).emit(Sample.packet(Sample.id)).status == 201)
        #expect(daemon.stop() == 0)
        #expect(try run(["chown", "-R", "65534:65534", daemon.ledger]).status == 0)
        #expect(chmod(daemon.folder.path, 0o711) == 0)
        for command in [["rotate-key", daemon.ledger], ["reindex", daemon.ledger]] {
            let result = try run([Repository.program] + command)
            #expect(result.status == 0, "\(result.error)")
            let foreign = try run(["find", daemon.ledger, "-not", "-user", "65534"])
            #expect(foreign.output == "", "\(foreign.output)")
        }
    }

    @Test func `a key that an access list shows to this user alone is taken`() throws {
        let daemon = try Daemon()
        #expect(daemon.stop() == 0)
        let key = daemon.ledger + "/key"
        // As systemd's credentials: root's, 0440, with an entry for the service's user.
        let script = """
            import os, struct, sys
            def acl(*entries): return struct.pack('<I', 2) + b''.join(struct.pack('<HHI', *e) for e in entries)
            none, user = 0xFFFFFFFF, int(sys.argv[2])
            try:
                os.setxattr(sys.argv[1], 'system.posix_acl_access', acl((1, 4, none), (2, 4, user), (4, int(sys.argv[3]), none), (0x10, 4, none), (0x20, 0, none)))
            except OSError as error:
                print(error); sys.exit(9)
            """
        func set(_ user: UInt32, group: Int) throws -> Bool {
            try run(["python3", "-c", script, key, String(user), String(group)]).status == 0
        }
        guard try set(geteuid(), group: 0) else {
            try Repository.skip(lacking: "access control lists")
        }
        func publishes() throws -> Bool {
            try daemon.start()
            defer { _ = daemon.stop() }
            let number = Int.random(in: 0..<1 << 30)
            #expect(try HTTPClient(daemon.socket).emit(Sample.numbered(number).bytes).status == 201)
            let deadline = Date() + 30
            while Date() < deadline {
                let status = try HTTPClient(daemon.socket).get("/v1/status").json
                let publishing = status["publishing"] as? [String: Any] ?? [:]
                if publishing["phase"] as? String == "stopped" { return false }
                if publishing["checkpoint_size"] as? Int == status["ledger_size"] as? Int {
                    return true
                }
                usleep(20_000)
            }
            return false
        }
        #expect(try publishes())
        #expect(try set(12345, group: 0))
        #expect(try !publishes())
        #expect(try set(geteuid(), group: 4))
        #expect(try !publishes())
    }

    @Test func `a file of settings that others can change is refused`() throws {
        let daemon = try Daemon(starts: false)
        let file = try daemon.folder.file("open.json", Array("{}".utf8))
        #expect(chmod(file, 0o666) == 0)
        let refused = try run([
            Repository.program, "serve", daemon.ledger, "--config", file, "--socket", daemon.socket,
        ])
        #expect(refused.status == 78 && refused.error.contains("chmod go-w"), "\(refused.error)")
        let misspelt = try daemon.folder.file(
            "types.json",
            Array(
                #"{"access": [{"user": 1, "roles": ["append"], "entity_types": ["clipz"]}]}"#.utf8))
        #expect(chmod(misspelt, 0o600) == 0)
        let wrong = try run([
            Repository.program, "serve", daemon.ledger, "--config", misspelt, "--socket",
            daemon.socket,
        ])
        #expect(wrong.status == 78 && wrong.error.contains("clipz"), "\(wrong.error)")
        for text in [
            #"{"entity_typess": []}"#,
            #"{"access": [{"user": 1, "roles": ["append"], "entity_typess": ["clips"]}]}"#,
            #"{"access": [{"user": 1, "rolls": ["append"]}]}"#,
        ] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: misspelt))
            #expect(chmod(misspelt, 0o600) == 0)
            let unknown = try run([
                Repository.program, "serve", daemon.ledger, "--config", misspelt, "--socket",
                daemon.socket,
            ])
            #expect(unknown.status == 78 && unknown.error.contains("unknown"), "\(unknown.error)")
        }
        // What looks like a limit and is none, or forbids everything.
        for (text, words) in [
            (
                #"{"access": [{"user": 1, "roles": ["read"], "entity_types": ["clips"]}]}"#,
                "role append"
            ),
            (
                #"{"access": [{"user": 1, "roles": ["append", "admin"], "entity_types": ["clips"]}]}"#,
                "admin"
            ),
            (#"{"access": [{"user": 1, "roles": ["append"], "entity_types": []}]}"#, "empty"),
            (#"{"access": [{"user": 4294967295, "roles": ["read"]}]}"#, "4294967294"),
        ] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: misspelt))
            #expect(chmod(misspelt, 0o600) == 0)
            let refused = try run([
                Repository.program, "serve", daemon.ledger, "--config", misspelt, "--socket",
                daemon.socket,
            ])
            #expect(refused.status == 78 && refused.error.contains(words), "\(refused.error)")
        }
    }

    @Test func `a policy is guarded, and is this ledger's`() throws {
        let daemon = try Daemon(starts: false)
        let own = try daemon.vkey
        let other = try Daemon(starts: false).vkey
        func serve(_ policy: String, mode: mode_t) throws -> Finished {
            let file = try daemon.folder.file("policy", Array(policy.utf8))
            #expect(chmod(file, mode) == 0)
            let settings = try daemon.folder.file(
                "policy.json", Array("{\"witness_policy\": \"\(file)\"}".utf8))
            #expect(chmod(settings, 0o600) == 0)
            return try run([
                "timeout", "-s", "TERM", "5", Repository.program, "serve", daemon.ledger,
                "--config",
                settings, "--socket", daemon.socket,
            ])
        }
        let open = try serve("log \(own)\nquorum none\n", mode: 0o666)
        #expect(open.status == 78 && open.error.contains("changed by others"), "\(open.error)")
        let foreign = try serve("log \(other)\nquorum none\n", mode: 0o600)
        #expect(foreign.status == 78 && foreign.error.contains("names this ledger"))
        #expect(try serve("log \(own)\nquorum none\n", mode: 0o600).status == 124)
    }

    // MARK: Little room

    @Test func `too few descriptors or too little memory is said, never trapped over`() throws {
        let daemon = try Daemon(starts: false)
        for limit in ["--nofile=8:8", "--nofile=20:20", "--nofile=40:40", "--as=1073741824"] {
            for command in [
                ["verify", daemon.ledger], ["serve", daemon.ledger, "--socket", daemon.socket],
            ] {
                let result = try run(
                    ["timeout", "-s", "TERM", "5", "prlimit", limit, Repository.program] + command)
                #expect([0, 71, 124].contains(result.status), "\(limit) \(command[0]): \(result)")
            }
        }
    }

    @Test(.needs(Repository.isRoot, "only root can be another user, whose threads are limited"))
    func `too few threads are said, never trapped over`() throws {
        let daemon = try Daemon(starts: false)
        let program = daemon.folder.path + "/stardust"
        try FileManager.default.copyItem(atPath: Repository.program, toPath: program)
        #expect(chmod(daemon.folder.path, 0o711) == 0)
        #expect(try run(["chown", "-R", "64013:64013", daemon.ledger]).status == 0)
        var refused = 0
        for limit in [2, 6, 10, 14, 18, 24, 30, 40] {
            for (command, expected) in [
                (["verify", daemon.ledger], [0, 71]),
                (["serve", daemon.ledger, "--socket", daemon.ledger + "/s"], [71, 124]),
            ] {
                let result = try run(
                    [
                        "timeout", "-s", "TERM", "5", "setpriv", "--reuid=64013", "--regid=64013",
                        "--clear-groups", "prlimit", "--nproc=\(limit):\(limit)", program,
                    ] + command)
                #expect(
                    expected.contains(Int(result.status)), "\(limit) \(command[0]): \(result)")
                if result.status == 71 { refused += 1 }
                if result.status == 71 { #expect(result.error.contains("threads")) }
            }
        }
        #expect(refused > 0)
    }

    @Test func `idle connections leave the descriptors that appending needs`() throws {
        let daemon = try Daemon(
            configuration: "{\"segment_bytes\": 65536, \"packet_bytes_max\": 16384}",
            wrapper: ["prlimit", "--nofile=128:128"])
        let client = try HTTPClient(daemon.socket)
        #expect(try client.get("/livez").status == 200)
        var idle: [HTTPClient] = []
        for _ in 0..<300 { if let one = try? HTTPClient(daemon.socket) { idle.append(one) } }
        defer { withExtendedLifetime(idle) {} }
        for number in 0..<400 {
            #expect(try client.emit(Sample.numbered(number).bytes).status == 201)
        }
        #expect(
            try client.get("/metrics").text.contains("stardust_segments_rolled_total 0")
                == false)
        #expect(try client.get("/readyz").status == 200)
        #expect(daemon.stop() == 0)
        #expect(try daemon.verify().status == 0)
    }

    // MARK: The end

    @Test func `signals end a daemon cleanly or not at all, whatever its log does`() throws {
        let folder = try TemporaryFolder()
        #expect(try run([Repository.program, "init", folder.path + "/l"]).status == 0)
        // Nobody reads the log, and it is full before the daemon starts.
        let script = """
            import fcntl, http.client, os, signal, socket, subprocess, sys, time
            program, ledger, path = sys.argv[1:]
            r, w = os.pipe()
            os.set_blocking(w, False)
            try:
                while True: os.write(w, b'x' * 4096)
            except BlockingIOError: pass
            os.set_blocking(w, True)
            p = subprocess.Popen([program, 'serve', ledger, '--socket', path], stderr=w)
            def ask(target):
                for _ in range(600):
                    try:
                        s = socket.socket(socket.AF_UNIX); s.connect(path)
                        s.sendall(f'GET {target} HTTP/1.1\\r\\nhost: x\\r\\nconnection: close\\r\\n\\r\\n'.encode())
                        return s.makefile().read()
                    except OSError: time.sleep(0.1)
            ask('/livez')
            for number in [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM]:
                p.send_signal(number); time.sleep(0.1)
            print('alive' if 'true' in ask('/livez') else 'dead')
            p.send_signal(signal.SIGTERM)
            print('ended', p.wait(60))
            """
        let result = try run([
            "python3", "-c", script, Repository.program, folder.path + "/l", folder.path + "/s",
        ])
        #expect(result.output == "alive\nended 0\n", "\(result)")
        #expect(FileManager.default.fileExists(atPath: folder.path + "/l/closed"))
    }

    @Test func `SIGQUIT ends the daemon, and leaves no core`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let daemon = try Daemon(wrapper: [
            "bash", "-c", "cd '\(folder.path)' && ulimit -c unlimited && exec \"$@\"", "bash",
        ])
        try daemon.emit(0..<5)
        kill(daemon.pid, SIGQUIT)
        #expect(daemon.waitForEnd() == SIGQUIT)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
        // Whatever the kernel does with cores, it was told to make none of this process.
        try daemon.start()
        kill(daemon.pid, SIGINT)
        #expect(daemon.waitForEnd() == 0)
        #expect(try daemon.verify().status == 0)
    }

    @Test func `a trap leaves no memory in the log`() throws {
        let daemon = try Daemon()
        let before = daemon.log.utf8.count
        kill(daemon.pid, SIGILL)
        _ = daemon.waitForEnd()
        #expect(daemon.log.utf8.count - before < 300, "\(daemon.log)")
    }

    // MARK: Secrets

    @Test(arguments: [
        "postgres://u:S3CRETzz%zz@db.invalid/x", "postgres://u:S3CRETzz@more@db.invalid/x",
        "postgres://u:S3CRETzz/more@db.invalid/x", "postgres://u:S3CRETzz@[::1]x/",
        "host=db.invalid password=S3CRETzz more", "postgres://u:S3CRETzz@db.invalid:port/x",
    ])
    func `a password in the source's address is never shown`(address: String) throws {
        let daemon = try Daemon(starts: false)
        let settings = try JSONSerialization.data(withJSONObject: ["model": ["from": address]])
        let file = try daemon.folder.file("config.json", Array(settings))
        #expect(chmod(file, 0o600) == 0)
        let serve = try Background([
            "serve", daemon.ledger, "--config", file, "--socket", daemon.socket,
        ])
        if (try? serve.waitFor("listening")) != nil {
            usleep(500_000)
            let client = try HTTPClient(daemon.socket)
            for path in ["/v1/model/status", "/v1/status", "/readyz", "/metrics"] {
                #expect(try !client.get(path).text.contains("S3CRET"), "\(path)")
            }
            #expect(serve.stop() == 0)
        }
        #expect(!serve.error.contains("S3CRET"), "\(serve.error)")
        let sync = try run([
            "timeout", "20", Repository.program, "model", "sync", "--from", address, "--ledger",
            daemon.ledger, "--once",
        ])
        #expect(!sync.error.contains("S3CRET") && !sync.output.contains("S3CRET"), "\(sync.error)")
    }
}
