import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// Files of settings, as an operator writes and asks for them.
struct ConfigTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ text: String, _ name: String = "stardust.json") throws -> String {
        try folder.file(name, Array(text.utf8))
    }

    private func config(_ arguments: String...) throws -> Finished {
        try run([Repository.program, "config"] + arguments)
    }

    /// As version 0.9 knew them. A later one reads them for ever.
    @Test func `settings of earlier versions are read`() throws {
        let file = try write(
            """
            {"socket": "/run/stardust/stardust.sock", "segment_bytes": 67108864,
             "packet_bytes_max": 1048576, "in_flight_bytes_max": 67108864, "query_ms_max": 5000,
             "keys": "/etc/stardust/keys", "witness_policy": "/etc/stardust/witnesses",
             "model": {"from": "postgres://stardust@db.example/omniva", "slot": "stardust",
                       "publication": "stardust", "schema": "public", "create": true,
                       "retained_bytes_warning": 1073741824},
             "access": [{"group": "users", "roles": ["append"], "entity_types": ["clips"]},
                        {"user": 1207, "roles": ["read", "audit", "admin"]}]}
            """)
        let checked = try config("check", file)
        #expect(checked.status == 0, "\(checked)")
    }

    @Test func `comments, sizes and times are read`() throws {
        let file = try write(
            """
            # All of it.
            {
            #  "segment_bytes": "1KiB",
              "segment_bytes": "16 MiB", "packet_bytes_max": "512KiB",
              "query_ms_max": "2s", "clock_step_days_max": "30d",
              "archive": {"stores": [{"url": "file:///srv/a"}], "seal_after_s": "2h",
                          "retain_local": {"bytes": "1GiB", "days": 30}}
            # The end.
            }
            """)
        let checked = try config("check", file)
        #expect(checked.status == 0 && checked.output.contains("is right"), "\(checked)")
        let daemon = try Daemon(
            configuration: """
                # Small.
                {"segment_bytes": "64KiB", "packet_bytes_max": "16KiB", "query_ms_max": "1s"}
                """)
        let large = try HTTPClient(daemon.socket).emit(
            Sample.packet(Sample.id, more: ",\"x\":\"\(String(repeating: "y", count: 17_000))\""))
        #expect(large.status == 413)
    }

    @Test(arguments: [
        (
            "{\n  \"segmnt_bytes\": 1}",
            "2:3: segmnt_bytes: unknown setting; did you mean segment_bytes?"
        ),
        ("{\n\"xyz\": 1}", "2:1: xyz: unknown setting; known are socket, "),
        (
            "{\"query_ms_max\":\n  \"5 parsecs\"}",
            "1:2: query_ms_max: must be a number of milliseconds, or a time"
        ),
        ("{\"segment_bytes\": \"64Mb\"}", "must be a number of bytes, or a size such as \"64MiB\""),
        ("{\"segment_bytes\": \"99999999999999999999TiB\"}", "must be a number of bytes"),
        ("{\n\n  \"a\": 1,}", "3:10: this byte is not allowed"),
        ("# only a comment", "the JSON ends too early"),
        ("{\n # not at the line's start\n}", "2:2: this byte"),
        (
            "{\"access\": [{\"user\": 1, \"rols\": []}]}",
            "access/0/rols: unknown setting; did you mean roles?"
        ),
        (
            "{\"archive\": {\"stores\": [{\"url\": \"s3://abc\", \"regoin\": \"x\"}]}}",
            "archive/stores/0/regoin: unknown setting; did you mean region?"
        ),
        ("{\"cleanup\": {\"asets\": []}}", "cleanup/asets: unknown setting; did you mean assets?"),
    ])
    func `an error says where it is and what would be right`(text: String, words: String) throws {
        let file = try write(text)
        let checked = try config("check", file)
        #expect(
            checked.status == 78 && checked.error.contains("\(file):")
                && checked.error.contains(words), "\(checked)")
    }

    @Test func `a check opens nothing else, unless it is deep`() throws {
        let file = try write(
            """
            {"witness_policy": "/nowhere/policy", "socket_group": "nobody-has-this",
             "access": [{"user": "nor-this", "roles": ["read"]}]}
            """)
        #expect(try config("check", file).status == 0)
        let deep = try config("check", file, "--deep")
        #expect(deep.status == 66 && deep.error.contains("/nowhere/policy"), "\(deep)")
        let missing = try config("check", file + "-not")
        #expect(missing.status == 66, "\(missing)")
        if Repository.isRoot {
            chmod(folder.path, 0o777)
            #expect(try config("check", file).status == 0)
            #expect(try config("check", file, "--deep").status == 78)
        }
    }

    @Test func `later files replace members, and rules add up`() throws {
        let file = try write(
            """
            {"query_ms_max": 1000, "segment_bytes": "8MiB",
             "access": [{"user": 1, "roles": ["append"]}]}
            """)
        try FileManager.default.createDirectory(
            atPath: file + ".d", withIntermediateDirectories: false)
        _ = try write("{\"query_ms_max\": 2000}", "stardust.json.d/10-a.json")
        _ = try write(
            "{\"query_ms_max\": \"3s\",\n \"access\": [{\"user\": 2, \"roles\": [\"read\"]}]}",
            "stardust.json.d/20-b.json")
        _ = try write("not read", "stardust.json.d/30-c.json.old")
        let shown = try config("show", file, "--json")
        let settings =
            try JSONSerialization.jsonObject(with: Data(shown.output.utf8))
            as? [String: [String: Any]] ?? [:]
        #expect(settings["query_ms_max"]?["value"] as? String == "3s", "\(shown)")
        #expect(
            (settings["query_ms_max"]?["from"] as? String)?.hasSuffix("20-b.json:1:2") == true,
            "\(shown)")
        #expect(
            (settings["segment_bytes"]?["from"] as? String)?.hasSuffix("stardust.json:1:24") == true
        )
        #expect(settings["packet_bytes_max"]?["from"] as? String == "default")
        #expect(settings.count == 19)
        let text = try config("show", file)
        #expect(text.output.contains("query_ms_max          \"3s\"  ("), "\(text)")
        _ = try write("{\"query_ms_max\": 0}", "stardust.json.d/40-d.json")
        let wrong = try config("check", file)
        #expect(wrong.status == 78 && wrong.error.contains("40-d.json:1:2"), "\(wrong)")
    }

    @Test func `an origin is a variable, and no password is shown`() throws {
        let file = try write(
            "# c\n{\"model\": {\"from\": \"postgres://me:secret@db/omniva\", \"create\": true}}")
        let shown = try run(
            [Repository.program, "config", "show", file],
            environment: ["STARDUST_SOCKET": "/run/other.sock"])
        #expect(shown.status == 0 && !shown.output.contains("secret"), "\(shown)")
        #expect(shown.output.contains("\"/run/other.sock\"  ($STARDUST_SOCKET)"), "\(shown)")
        #expect(shown.output.contains("\"left out\""), "\(shown)")
    }
}
