import DaemonTestSupport
import Foundation
import LedgerStorage
import PipelineWorkload
import StardustCore
import StardustHTTP
import TestSupport
import Testing

/// What the documents show is run as they show it.
@Suite struct DocumentTests {
    /// The fenced blocks of a language in a document, in order.
    static func blocks(_ language: String, in document: String) throws -> [String] {
        let text = String(decoding: try Repository.content(document), as: UTF8.self)
        return text.components(separatedBy: "```\(language)\n").dropFirst().map {
            $0.components(separatedBy: "\n```")[0]
        }
    }

    static func environment(_ daemon: Daemon) -> [String: String] {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folder = (Repository.program as NSString).deletingLastPathComponent
        return ["STARDUST_SOCKET": daemon.socket, "PATH": "\(folder):\(path)"]
    }

    @Test func `emitting with curl and with stardust emit`() throws {
        let daemon = try Daemon()
        let blocks = try Self.blocks("bash", in: "Docs/Emitting.md")
        #expect(blocks.count == 3)
        for (block, lines) in zip(blocks, [1, 60, 60]) {
            let result = try run(
                [
                    "bash", "-euc",
                    "cd \(Repository.root)\n"
                        + block.replacingOccurrences(
                            of: "receipts.ndjson", with: daemon.folder.path + "/receipts.ndjson"),
                ], environment: Self.environment(daemon))
            #expect(result.status == 0, "\(result.error)")
            let receipts =
                block.contains("receipts.ndjson")
                ? try String(
                    contentsOfFile: daemon.folder.path + "/receipts.ndjson", encoding: .utf8)
                : result.output
            #expect(receipts.split(separator: "\n").count == lines)
            #expect(receipts.components(separatedBy: "\"position\":").count == lines + 1)
        }
        #expect(try HTTPClient(daemon.socket).get("/v1/status").json["ledger_size"] as? Int == 61)
    }

    @Test func `every question of the querying page is answered`() throws {
        let daemon = try Daemon()
        let blocks = try Self.blocks("bash", in: "Docs/Querying.md")
        #expect(blocks.count == 16)
        let picture = daemon.folder.path + "/chain.svg"
        for block in blocks {
            let isDrawn = block.contains("chain.svg")
            if isDrawn, !Repository.has("dot") { try Repository.skip(lacking: "graphviz") }
            // Each line by itself, so that none hides behind another.
            let result = try run(
                [
                    "bash", "-euxo", "pipefail", "-c",
                    "cd \(Repository.root)\n"
                        + block.replacingOccurrences(of: "chain.svg", with: picture),
                ], environment: Self.environment(daemon))
            #expect(result.status == 0, "\(result.error)")
            let output =
                isDrawn ? try String(contentsOfFile: picture, encoding: .utf8) : result.output
            #expect(!output.isEmpty && !output.contains("urn:stardust:error"))
            #expect(!isDrawn || output.contains("upload.published"))
        }
    }

    @Test func `what the read model's page shows is answered`() throws {
        let daemon = try Daemon()
        let blocks = try Self.blocks("bash", in: "Docs/ReadModel.md")
        let expected = ["68 applied", "803dc396-5342-4b6b-9521-0fe8bd5ae575", "status,count(*)"]
        #expect(blocks.count == expected.count)
        for (block, words) in zip(blocks, expected) {
            let result = try run(
                ["bash", "-euxc", "cd \(Repository.root)\n" + block],
                environment: Self.environment(daemon))
            #expect(result.status == 0, "\(result.error)")
            #expect(result.output.contains(words) && !result.output.contains("urn:stardust:error"))
        }
        let feed = try Self.blocks("json", in: "Docs/ReadModel.md")[0]
        let answers = try HTTPClient(daemon.socket).request(
            "POST", "/v1/model/changes", Array(feed.utf8), type: "application/x-ndjson")
        #expect(answers.lines == Array(repeating: #"{"status":200,"outcome":"applied"}"#, count: 4))
    }

    @Test(
        .needs(
            Repository.has("go")
                && FileManager.default.isExecutableFile(atPath: AuditTools.python),
            "golang and Python's cryptography are not installed"))
    func `every check of the verifying page holds`() throws {
        let daemon = try ExamplePipeline.daemon()
        _ = try daemon.checkpoint(covering: 60)
        let blocks = try Self.blocks("bash", in: "Docs/Verifying.md")
        let expected = [
            "Your checkpoint covers all 60 entries.", "Your checkpoints cover 60 of 60 entries",
            "sound: 60 entries", "sound: 60 entries", "payload: matches", "sound: 60",
        ]
        #expect(blocks.count == expected.count)
        for (block, words) in zip(blocks, expected) {
            let here = block.replacing("var/ledger", with: daemon.ledger)
                .replacing("Docs/Examples", with: Repository.root + "/Docs/Examples")
                .replacing("python3 ", with: AuditTools.python + " ")
            let result = try run(
                ["bash", "-euxc", "cd \(daemon.folder.path)\n" + here],
                environment: Self.environment(daemon))
            #expect(result.status == 0 && result.output.contains(words), "\(result.error)")
        }
        let script = try Repository.content("Docs/Examples/check_proof.py")
        #expect(script.count(where: { $0 == 0x0A }) <= 80)
    }

    @Test func `emitting with Python's standard library`() throws {
        let daemon = try Daemon()
        let block = try Self.blocks("python", in: "Docs/Emitting.md")[0]
        let result = try run(["python3", "-c", block], environment: Self.environment(daemon))
        #expect(result.status == 0 && result.output.contains("'position': 0"), "\(result.error)")
        // Where there is no daemon, it ends.
        let hasty = block.replacing("patience=300", with: "patience=1")
        let nobody = try run(
            ["python3", "-c", hasty], environment: ["STARDUST_SOCKET": daemon.folder.path + "/no"])
        #expect(nobody.status == 1 && nobody.error.contains("TimeoutError: no receipt after"))
    }

    @Test func `emitting from Swift`() throws {
        let daemon = try Daemon()
        let block = try Self.blocks("swift", in: "Docs/Emitting.md")[0]
        let source = try daemon.folder.file("main.swift", Array(block.utf8))
        let program = daemon.folder.path + "/emitter"
        let compiled = try run(["swiftc", "-swift-version", "6", "-o", program, source])
        #expect(compiled.status == 0, "\(compiled.error)")
        for status in ["201 Created", "200 OK"] {
            let result = try run([program], environment: Self.environment(daemon))
            #expect(result.output.contains("HTTP/1.1 \(status)"), "\(result.output)\(result.error)")
            #expect(result.output.contains("\"position\":0"))
        }
    }

    @Test func `the configuration that the page shows is taken, and mistakes are named`() throws {
        let example = try Self.blocks("json", in: "Docs/Configuration.md")[0]
        let daemon = try Daemon(configuration: example)
        let deadline = Date() + 60
        var ready = try HTTPClient(daemon.socket).get("/readyz")
        while ready.status != 200, Date() < deadline {
            usleep(50_000)
            ready = try HTTPClient(daemon.socket).get("/readyz")
        }
        #expect(ready.status == 200, "\(ready.text)")
        #expect(daemon.stop() == 0)
        // The rest names what must exist first.
        let folder = try TemporaryFolder()
        let policy = try folder.file("policy", Array("quorum none\n".utf8))
        _ = try folder.file("key", Array("not a key\n".utf8))
        let more = try Self.blocks("text", in: "Docs/Configuration.md")[0]
            .replacing("/etc/stardust/witnesses", with: policy)
            .replacing("/etc/stardust/keys", with: folder.path)
            .replacing("\"omniva\"", with: "\(getegid())")
        let other = try Daemon(configuration: "{\n" + more.dropLast() + "\n}")
        #expect(try HTTPClient(other.socket).get("/readyz").status == 503)
        #expect(other.stop() == 0)
        for (wrong, message) in [
            ("{\"segment_bites\": 1}", "segment_bites"),
            ("{\"segment_bytes\": 1}", "segment_bytes"),
            ("[]", "must be an object"), ("{", "1:2: the JSON ends too early"),
            ("{\"access\": [{\"roles\": []}]}", "user or group"),
            ("{\"access\": [{\"user\": 1, \"roles\": [\"king\"]}]}", "king"),
            ("{\"access\": [{\"user\": \"nobody-here\", \"roles\": []}]}", "nobody-here"),
        ] {
            let file = try daemon.folder.file("wrong.json", Array(wrong.utf8))
            let result = try run([
                Repository.program, "serve", daemon.ledger, "--config", file, "--socket",
                daemon.socket,
            ])
            #expect(result.status == 78 && result.error.contains(message), "\(result.error)")
        }
    }

    @Test(
        .needs(
            Repository.has(AuditTools.python),
            "schemathesis is not installed; Scripts/install-packages test does it"))
    func `the daemon does what the OpenAPI document says, and takes nothing else`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let seed = UInt32.random(in: .min ... .max)
        // Whether a filter, a cursor or a packet holds together is more than a schema can say, and a
        // stream without an end cannot be awaited.
        let result = try run(
            [
                AuditTools.python, Repository.root + "/Tests/EndToEndTests/documented.py",
                daemon.socket, Repository.root + "/Sources/StardustHTTP/openapi.yaml",
                "--exclude-checks", "positive_data_acceptance", "--exclude-operation-id", "follow",
                "--phases", "examples,coverage,fuzzing", "--max-examples", "10",
                "--seed", "\(seed)", "--no-color",
            ])
        #expect(result.status == 0, "seed \(seed): \(result.output)\(result.error)")
        #expect(result.output.contains("Operations:       47 selected / 48 total"))
        #expect(daemon.stop() == 0)
    }

    @Test func `the OpenAPI document has every route, and the daemon every path of it`() throws {
        let daemon = try ExamplePipeline.daemonWithRows()
        let client = try HTTPClient(daemon.socket)
        let document = try client.get("/openapi.yaml")
        #expect(document.status == 200 && document.headers["content-type"] == "application/yaml")
        #expect(document.body == (try Repository.content("Sources/StardustHTTP/openapi.yaml")))
        let script = """
            import sys, yaml
            for path, item in yaml.safe_load(sys.stdin)['paths'].items():
                for method in item:
                    if method == 'parameters': continue
                    names = [p['name'] for p in item[method].get('parameters', []) if p['in'] == 'query']
                    print(method.upper(), path, item[method]['x-role'], ','.join(sorted(names)))
            """
        let listed = try run(["python3", "-c", script], input: document.body)
        guard !listed.error.contains("No module named 'yaml'") else {
            try Repository.skip(lacking: "python3-yaml")
        }
        // The document and the daemon's own table say the same.
        let described = listed.output.split(separator: "\n").map {
            String($0).trimmingCharacters(in: .whitespaces)
        }
        #expect(Set(described) == Set(Endpoint.all.map(Self.description)))
        #expect(described.count == Endpoint.all.count)
        let places = [
            "{stardust_id}": ExamplePipeline.upload, "{position}": "0", "{type}": "clips",
            "{id}": ExamplePipeline.clip, "{trace_id}": "6dc6507795ec445c8c3fcb2eb2c73e14",
            "{level}": "0", "{index}": "000",
            "{digest}": "sha256:d154de3994446185bedafa3237c7953d036dc683711b0f7923c4412d42112a65",
            "{table}": "clips",
            "{view}": "best_clip_per_video",
        ]
        for endpoint in Endpoint.all where endpoint.path != "/v1/follow" {
            let path = places.reduce(endpoint.path) {
                $0.replacingOccurrences(of: $1.key, with: $1.value)
            }
            let type = path.hasSuffix("/changes") ? "application/x-ndjson" : "application/json"
            let answer =
                endpoint.method == .post
                ? try client.request("POST", path, Array("{}".utf8), type: type)
                : try client.get(path)
            #expect(answer.status != 405 && answer.status != 500, "\(path): \(answer.text)")
            #expect(answer.problemCode != "not_found" || path.hasPrefix("/tile"), "\(path)")
        }
    }

    /// An endpoint as a line: method, path, role and the names of its parameters.
    private static func description(_ endpoint: Endpoint) -> String {
        let names: [String] =
            switch endpoint.parameters {
            case .ignored, .none: []
            case .some(let names): names.sorted()
            case .columns: ["cursor", "limit"]
            }
        return "\(endpoint.method.rawValue) \(endpoint.path) \(endpoint.role?.rawValue ?? "none") "
            .appending(names.joined(separator: ",")).trimmingCharacters(in: .whitespaces)
    }

    @Test func `the roles' table and the README name every request`() throws {
        let readme = try Repository.text("README.md")
        let roles = try Repository.text("Docs/Configuration.md")
        for role in Role.allCases { #expect(roles.contains("| `\(role.rawValue)` |"), "\(role)") }
        for endpoint in Endpoint.all where endpoint.role == nil {
            #expect(roles.contains("`\(endpoint.path)`"), "\(endpoint.path)")
        }
        // A path in the README stands for those below it.
        for endpoint in Endpoint.all {
            let parts = endpoint.path.split(separator: "/").filter { !$0.hasPrefix("{") }
            #expect(
                parts.allSatisfy { readme.contains($0) || $0 == "v1" || $0 == "proofs" },
                "\(endpoint.path)")
        }
    }

    @Test func `errors that the pages list are all there are`() throws {
        let page = try ["Emitting", "Querying", "Verifying", "ReadModel", "Backup"]
            .map { try Repository.text("Docs/\($0).md") }.joined()
        for code in Problem.Code.all {
            #expect(page.contains("`\(code.text)`"), "\(code.text)")
        }
    }

    @Test func `findings that the page lists are all there are`() throws {
        let page = try Repository.text("Docs/Verifying.md")
        let listed = page.matches(of: /`([a-z_]+)(…?)`/).map { (String($0.1), !$0.2.isEmpty) }
        for code in Finding.Code.allCases {
            #expect(
                listed.contains { name, isPrefix in
                    isPrefix ? code.rawValue.hasPrefix(name) : code.rawValue == name
                }, "\(code.rawValue)")
        }
    }

    // MARK: The second verifier

    @Test func `the verifier written from the page agrees on a real ledger, good and damaged`()
        throws
    {
        let daemon = try Daemon(configuration: "{\"segment_bytes\": 1200000}")
        var body: [UInt8] = []
        for number in 0..<2500 { body += Sample.numbered(number).bytes + [0x0A] }
        #expect(try HTTPClient(daemon.socket).emitLines(body).lines.count == 2500)
        #expect(daemon.stop() == 0)
        let (ours, theirs) = (try daemon.verify(), try daemon.secondOpinion())
        #expect(ours.status == 0 && theirs.status == 0, "\(ours.output) \(theirs.output)")
        let summary = ours.output.split(separator: ", last closed").first!
        #expect(theirs.output.hasPrefix(summary), "\(summary)")
        // Both see every flip of a byte here and there.
        var generator = SeededGenerator(seed: 8)
        for name in ["identity", "closed", "checkpoints", "segments/00000000000000000000.seg"] {
            let path = daemon.ledger + "/" + name
            let whole = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
            for _ in 0..<4 {
                var bytes = whole
                bytes[Int.random(in: bytes.indices, using: &generator)] ^= 0x10
                try Data(bytes).write(to: URL(fileURLWithPath: path))
                #expect(
                    try daemon.verify().status == 1 && daemon.secondOpinion().status == 1
                )
            }
            try Data(whole).write(to: URL(fileURLWithPath: path))
        }
        #expect(try daemon.secondOpinion().status == 0)
    }

    @Test func `the second verifier is short and needs nothing`() throws {
        let text = String(
            decoding: try Repository.content("Docs/Examples/verify.py"), as: UTF8.self)
        #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 800)
        let imports = text.matches(of: /(?m)^(?:import|from) (\w+)/).map { String($0.1) }
        #expect(
            Set(imports).isSubset(of: [
                "argparse", "base64", "errno", "hashlib", "json", "os", "re", "struct", "sys",
                "uuid",
            ]))
    }
}
