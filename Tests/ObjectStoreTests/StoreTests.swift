import DaemonTestSupport
import Foundation
import LedgerFormat
import ObjectStore
import TestSupport
import Testing

/// Each kind of store, the real servers included.
enum StoreKind: String, CaseIterable, CustomTestStringConvertible {
    case weed, moto, folder

    var testDescription: String { rawValue }
}

/// A store of a kind, and what keeps it running.
struct OpenStore {
    let store: any ObjectStore
    let settings: StoreSettings
    private let server: ObjectStoreServer?
    private let folder: TemporaryFolder

    init(
        _ kind: StoreKind, bucket: String = "ledgers", environment: [String: String]? = nil,
        _ change: (inout StoreSettings) -> Void = { _ in }
    ) throws {
        folder = try TemporaryFolder()
        server =
            switch kind {
            case .weed: try ObjectStoreServer.shared(.weed)
            case .moto: try ObjectStoreServer.shared(.moto)
            case .folder: nil
            }
        var settings = StoreSettings(
            try StoreURL(
                server == nil ? "file://\(folder.path)" : "s3://\(bucket)/\(UUID().uuidString)"))
        settings.endpoint = server?.url
        change(&settings)
        self.settings = settings
        let values = environment ?? ObjectStoreServer.environment
        store = try settings.open { values[$0] }
    }
}

private let patience = Patience(.seconds(600))

@Suite(
    "stores of objects",
    .needs(ObjectStoreServer.obstacle == nil, "SeaweedFS or moto is not installed"))
struct StoreTests {
    @Test("keep what was written first", arguments: StoreKind.allCases)
    func writesOnce(_ kind: StoreKind) throws {
        let open = try OpenStore(kind)
        let store = open.store
        defer { withExtendedLifetime(open) {} }
        let key = "a/b c+é%&=?#/1"
        #expect(try store.put(key, ObjectBody(Array("hello".utf8)), patience) == .created)
        #expect(try store.put(key, ObjectBody(Array("other".utf8)), patience) == .exists)
        #expect(try store.bytes(of: key, atMost: 10, patience) == Array("hello".utf8))
        #expect(try store.size(of: key, patience) == 5)
        #expect(try store.size(of: "none", patience) == nil)
        #expect(try store.versions(of: key, patience).map(\.bytes) == [5])
        #expect(throws: StoreFailure.self) {
            try store.bytes(of: key, atMost: 4, patience)
        }
        let missing = #expect(throws: StoreFailure.self) {
            try store.bytes(of: "none", atMost: 4, patience)
        }
        #expect(missing?.kind == .missing)
        #expect(missing?.description.contains("/none: ") == true)
    }

    @Test("answer ranges, and nothing beyond the end", arguments: StoreKind.allCases)
    func ranges(_ kind: StoreKind) throws {
        let open = try OpenStore(kind)
        let store = open.store
        defer { withExtendedLifetime(open) {} }
        let bytes = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        #expect(try store.put("r", ObjectBody(bytes), patience) == .created)
        for range in [0..<1, 699_999..<700_000, 5..<5, 100_000..<600_000] {
            var found: [UInt8] = []
            try store.get("r", range, version: nil, patience) { piece in
                for index in piece.indices { found.append(piece[index]) }
            }
            #expect(found == Array(bytes[range]))
        }
        let failure = #expect(throws: StoreFailure.self) {
            try store.get("r", 699_990..<700_010, version: nil, patience) { _ in }
        }
        #expect(failure?.kind == .damaged)
    }

    @Test("list by prefix, more than a page holds", arguments: StoreKind.allCases)
    func lists(_ kind: StoreKind) throws {
        let open = try OpenStore(kind)
        let store = open.store
        defer { withExtendedLifetime(open) {} }
        let names = (0..<1100).map { "p/\(String(format: "%04d", $0))" }
        for name in names { _ = try store.put(name, ObjectBody([1, 2]), patience) }
        _ = try store.put("pq", ObjectBody([]), patience)
        _ = try store.put("q/1", ObjectBody([]), patience)
        #expect(try store.list("p/", patience).map(\.key) == names)
        #expect(try store.list("p/10", patience).map(\.bytes) == Array(repeating: 2, count: 100))
        #expect(try store.list("p", patience).count == names.count + 1)
        #expect(try store.list("none/", patience).isEmpty)
    }

    @Test("stream what is larger than memory should hold", arguments: StoreKind.allCases)
    func streams(_ kind: StoreKind) throws {
        let open = try OpenStore(kind)
        let store = open.store
        defer { withExtendedLifetime(open) {} }
        let count = 20_000_001
        let body = try ObjectBody(count: count) { bytes, offset in
            let found = min(bytes.count, count - offset)
            for index in 0..<found {
                bytes[index] = UInt8(truncatingIfNeeded: (offset + index) &* 31)
            }
            return found
        }
        #expect(try store.put("large", body, patience) == .created)
        var hasher = SHA256Hasher()
        try store.get("large", nil, version: nil, patience) { hasher.update($0) }
        #expect(hasher.finish() == body.digest)
    }

    @Test("refuse a wrong user, secret or bucket, and say what to do")
    func refusals() throws {
        func failure(
            _ change: [String: String], _ kind: StoreKind = .weed, bucket: String = "ledgers"
        ) throws -> StoreFailure? {
            let environment = ObjectStoreServer.environment.merging(change) { $1 }
            let store = try OpenStore(kind, bucket: bucket, environment: environment).store
            return #expect(throws: StoreFailure.self) {
                try store.put("x", ObjectBody([1]), patience)
            }
        }
        let secret = try failure(["AWS_SECRET_ACCESS_KEY": "wrong"])
        #expect(secret?.kind == .refused)
        #expect(secret?.detail.contains("correct aws_secret_access_key") == true)
        let key = try failure(["AWS_ACCESS_KEY_ID": "wrong"])
        #expect(key?.detail.contains("correct aws_access_key_id") == true)
        let bucket = try failure([:], .moto, bucket: "no-such-bucket")
        #expect(bucket?.kind == .refused, "\(bucket?.description ?? "")")
        #expect(bucket?.detail.contains("create the bucket") == true)
        #expect(throws: StoreFailure.self) {
            try StoreSettings(StoreURL("file:///no/such/folder")).open { _ in nil }
        }
    }

    @Test("find credentials where a machine of Amazon's has them")
    func machineRole() throws {
        let server = try OpenStore(.moto)
        let environment = [
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": server.settings.endpoint!,
            "HOME": "/nonexistent",
        ]
        let found = try CredentialSource(profile: nil) { environment[$0] }.current()
        #expect(found.token != nil && found.expires != nil)
        let store = try OpenStore(.moto, environment: environment).store
        #expect(try store.put("x", ObjectBody([1]), patience) == .created)
    }

    @Test("find credentials in files, and say which file lacks what")
    func files() throws {
        let folder = try TemporaryFolder()
        _ = try folder.file(
            "archive",
            Array(
                """
                # of two stores
                [default]
                aws_access_key_id = one
                aws_secret_access_key=two=

                [ second ]
                aws_access_key_id = three
                aws_secret_access_key = four
                aws_session_token = five
                [broken]
                aws_access_key_id = six
                """.utf8))
        func find(_ profile: String?) throws -> StoreCredentials {
            try CredentialSource(profile: profile) {
                $0 == "CREDENTIALS_DIRECTORY" ? folder.path : nil
            }.current()
        }
        #expect(try find(nil) == StoreCredentials(accessKey: "one", secret: "two="))
        #expect(
            try find("second")
                == StoreCredentials(accessKey: "three", secret: "four", token: "five"))
        // Who names a section means no other credentials.
        let other = try CredentialSource(profile: "second") { name in
            name == "CREDENTIALS_DIRECTORY" ? folder.path : ObjectStoreServer.environment[name]
        }.current()
        #expect(other.accessKey == "three")
        for name in ["broken", "none"] {
            let failure = #expect(throws: StoreFailure.self) { try find(name) }
            #expect(failure?.description.contains("[\(name)]") == true)
        }
    }

    // MARK: What a store must promise

    @Test("are found to keep their promises, or not")
    func probes() throws {
        func probe(
            _ kind: StoreKind, bucket: String = "ledgers", isLocked: Bool
        ) throws -> [String: StoreProbe.Verdict] {
            let open = try OpenStore(kind, bucket: bucket) {
                if isLocked { $0.objectLock = .init(.governance, days: 1) }
            }
            let found = try StoreProbe(open.store, isLocked: isLocked, patience).run()
            for finding in found {
                #expect(finding.advice.isEmpty == (finding.verdict == .holds))
            }
            return Dictionary(uniqueKeysWithValues: found.map { ($0.promise, $0.verdict) })
        }
        let all = try probe(.weed, isLocked: true)
        #expect(all.count == 8)
        #expect(all.values.allSatisfy { $0 == .holds }, "\(all)")
        let open = try probe(.weed, bucket: "open", isLocked: false)
        #expect(open["these credentials cannot delete"] == .warning)
        #expect(open.values.filter { $0 != .holds }.count == 1)
        let lax = try probe(.moto, isLocked: true)
        #expect(lax["a wrong checksum is refused"] == .fails)
        #expect(lax["a wrong secret is refused"] == .fails)
        #expect(lax["a name is written once"] == .holds)
        let folder = try probe(.folder, isLocked: false)
        #expect(folder.count == 4 && folder.values.allSatisfy { $0 == .holds })
    }
}

@Suite("answers that no store should give")
struct HostileAnswerTests {
    @Test(
        "are refused, and take neither the process nor its time",
        arguments: [
            ("nested", StoreFailure.Kind?.some(.damaged)), ("long-text", nil),
            ("endless", .damaged),
            ("no-progress", .damaged), ("page", .damaged), ("cut", .damaged), ("large", .damaged),
            ("entities", .damaged), ("not-implemented", .refused),
        ])
    func listings(_ bucket: String, _ kind: StoreFailure.Kind?) throws {
        let server = try Background(
            ["python3", Repository.root + "/Tests/ObjectStoreTests/hostile_store.py"],
            program: "/usr/bin/env")
        defer { withExtendedLifetime(server) {} }
        try server.waitFor("\n")
        let port = server.error.trimmingCharacters(in: .whitespacesAndNewlines)
        var settings = StoreSettings(try StoreURL("s3://\(bucket)/x"))
        settings.endpoint = "http://127.0.0.1:\(port)"
        let store = try settings.open { ObjectStoreServer.environment[$0] }
        var failure: StoreFailure?
        do { _ = try store.list("", Patience(.seconds(600))) } catch {
            failure = error
        }
        #expect(failure?.kind == kind, "\(failure?.description ?? "")")
    }
}

@Suite("stores behind TLS", .needs(Repository.has("openssl"), "openssl is not installed"))
struct CertificateTests {
    @Test("are not believed with a certificate that nobody trusts")
    func untrusted() throws {
        let folder = try TemporaryFolder()
        let (certificate, key) = (folder.path + "/certificate", folder.path + "/key")
        let made = try run([
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
            "/CN=store", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
            certificate,
        ])
        #expect(made.status == 0, "\(made)")
        let server = try Background(
            [
                "python3", Repository.root + "/Tests/ObjectStoreTests/hostile_store.py",
                certificate, key,
            ], program: "/usr/bin/env")
        defer { withExtendedLifetime((folder, server)) {} }
        try server.waitFor("\n")
        let port = server.error.split(separator: "\n")[0]
        func list(_ host: String, _ certificates: String?) throws {
            var settings = StoreSettings(try StoreURL("s3://none/x"))
            settings.endpoint = "https://\(host):\(port)"
            settings.certificates = certificates
            let store = try settings.open { ObjectStoreServer.environment[$0] }
            #expect(try store.list("", Patience(.seconds(600))).isEmpty)
        }
        try list("127.0.0.1", certificate)
        // Not signed by anybody whom the system trusts; and of another host.
        for (host, certificates) in [("127.0.0.1", nil), ("localhost", certificate)] {
            let failure = #expect(throws: StoreFailure.self) { try list(host, certificates) }
            #expect(failure?.kind == .refused)
            #expect(failure?.detail.contains("certificate") == true, "\(failure?.detail ?? "")")
        }
    }
}

@Suite("URLs of stores")
struct StoreURLTests {
    @Test(
        "are read",
        arguments: [
            ("s3://bucket/a/b/", StoreURL.Place.s3(bucket: "bucket", prefix: "a/b")),
            ("s3://my.bucket-1", .s3(bucket: "my.bucket-1", prefix: "")),
            ("gs://bucket/x", .google(bucket: "bucket", prefix: "x")),
            ("file:///var/archive%20of/x/", .folder("/var/archive of/x")),
            ("file:///", .folder("/")),
        ])
    func good(_ text: String, _ place: StoreURL.Place) throws {
        #expect(try StoreURL(text).place == place)
    }

    @Test(
        "are refused, with what is wrong",
        arguments: [
            "", "bucket", "s3:/bucket", "s3://", "s3:///x", "s3://b u/x", "s3://ab",
            "s3://bucket//x",
            "s3://bucket/x?y", "http://bucket/x", "file://host/x", "file://relative", "file:///%zz",
        ])
    func bad(_ text: String) {
        let failure = #expect(throws: StoreURL.Malformed.self) { try StoreURL(text) }
        #expect(failure?.description.hasPrefix(text) == true)
    }
}
