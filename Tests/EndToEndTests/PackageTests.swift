import DaemonTestSupport
import Foundation
import TestSupport
import Testing

/// What `make install` and `make deb` make, for an administrator.
struct PackageTests {
    private static let unitNames = [
        "stardust-archive.service", "stardust-backup.service", "stardust-backup.timer",
        "stardust-cleanup.service", "stardust-cleanup.timer", "stardust-drill.service",
        "stardust-drill.timer", "stardust-metrics.socket", "stardust-verify-archive.service",
        "stardust-verify-archive.timer", "stardust-verify.service", "stardust-verify.timer",
        "stardust-witness@.service", "stardust.service", "stardust.socket", "stardust@.service",
        "stardust@.socket",
    ]

    private static func install(_ prefix: String) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        let made = try run(
            [Repository.root + "/Packaging/install", Repository.program],
            environment: ["DESTDIR": folder.path, "PREFIX": prefix])
        guard made.status == 0 else { throw Failure("\(made)") }
        return folder
    }

    private static func files(_ folder: String) throws -> [String] {
        try run(["find", folder, "-type", "f", "-printf", "/%P %m\n"]).output
            .split(separator: "\n").map(String.init).sorted()
    }

    /// Builds the package; its path.
    static func package(in folder: TemporaryFolder) throws -> String {
        let folders = Repository.program.split(separator: "/").dropLast().joined(separator: "/")
        let linked = try run(
            [Repository.root + "/Scripts/link-static", "/" + folders, folder.path + "/program"],
            environment: ["STRIP": ""])
        guard linked.status == 0 else { throw Failure("\(linked)") }
        let built = try run([
            Repository.root + "/Packaging/build-deb", folder.path + "/program",
            Repository.root + "/.build", folder.path,
        ])
        guard built.status == 0 else { throw Failure("\(built)") }
        return built.output.trimmingCharacters(in: .newlines)
    }

    @Test(arguments: ["/usr", "/usr/local"])
    func `the program and what belongs to it are installed, and nothing else`(prefix: String) throws
    {
        let folder = try Self.install(prefix)
        defer { withExtendedLifetime(folder) {} }
        let units = prefix == "/usr" ? "/lib/systemd/system" : "\(prefix)/lib/systemd/system"
        var expected =
            ["\(prefix)/bin/stardust 755", "/etc/stardust/stardust.json 644"]
            + Self.unitNames.map { "\(units)/\($0) 644" }
        expected += [
            "lib/sysusers.d/stardust.conf", "share/bash-completion/completions/stardust",
            "share/zsh/vendor-completions/_stardust",
            "share/fish/vendor_completions.d/stardust.fish", "share/doc/stardust/README.md",
            "share/doc/stardust/ledger-format.md", "share/doc/stardust/verify.py",
            "share/doc/stardust/openapi.yaml",
            "share/doc/stardust/examples/stardust-network.conf",
            "share/doc/stardust/examples/pipeline.ndjson",
            "share/stardust/prometheus/stardust.rules.yml", "share/stardust/grafana/stardust.json",
        ].map { "\(prefix)/\($0) 644" }
        let docs = try FileManager.default.contentsOfDirectory(atPath: Repository.root + "/Docs")
        expected += docs.filter { $0.hasSuffix(".md") || $0.hasSuffix(".json") }
            .map { "\(prefix)/share/doc/stardust/\($0) 644" }
        let found = try Self.files(folder.path)
        let manuals = found.filter { $0.contains("/man1/") }
        #expect(found.filter { !$0.contains("/man1/") } == expected.sorted())
        #expect(manuals.contains("\(prefix)/share/man/man1/stardust.1.gz 644"))
        #expect(manuals.contains("\(prefix)/share/man/man1/stardust-cleanup-run.1.gz 644"))
        // Units start what was installed.
        let service = try String(
            contentsOfFile: folder.path + units + "/stardust.service", encoding: .utf8)
        #expect(service.contains("ExecStart=\(prefix)/bin/stardust serve"))
        // What somebody changed stays.
        let config = folder.path + "/etc/stardust/stardust.json"
        try "{}".write(toFile: config, atomically: false, encoding: .utf8)
        let again = try run(
            [Repository.root + "/Packaging/install", Repository.program],
            environment: ["DESTDIR": folder.path, "PREFIX": prefix])
        #expect(again.status == 0)
        #expect(try String(contentsOfFile: config, encoding: .utf8) == "{}")
    }

    @Test func `the settings of the package are right`() throws {
        let checked = try run([
            Repository.program, "config", "check", Repository.root + "/Packaging/etc/stardust.json",
        ])
        #expect(checked.status == 0, "\(checked)")
        // Every setting is in it, most as a comment.
        let text = try String(
            contentsOfFile: Repository.root + "/Packaging/etc/stardust.json", encoding: .utf8)
        let shown = try run([
            Repository.program, "config", "show", Repository.root + "/Packaging/etc/stardust.json",
            "--json",
        ])
        let settings =
            try JSONSerialization.jsonObject(with: Data(shown.output.utf8)) as? [String: Any]
        for name in (settings ?? [:]).keys
        where !["socket", "socket_group", "machine"].contains(name) {
            #expect(text.contains("\"\(name)\""), "\(name)")
        }
    }

    @Test(
        .needs(Repository.has("systemd-analyze"), "systemd is not installed"), arguments: unitNames)
    func `units are right and tight`(name: String) throws {
        let folder = try Self.install("/usr")
        let unit = folder.path + "/lib/systemd/system/" + name
        let verified = try run(["systemd-analyze", "verify", unit])
        let complaints = (verified.output + verified.error).split(separator: "\n").filter {
            !$0.contains("is not executable") && !$0.contains("Command 'man")
        }
        #expect(complaints.isEmpty, "\(complaints)")
        guard name.hasSuffix(".service") else { return }
        let judged = try run(["systemd-analyze", "security", "--offline=true", unit])
        let exposure = judged.output.firstMatch(of: /Overall exposure level for [^ ]*: ([0-9.]+)/)
        let bound = ["stardust.service", "stardust@.service"].contains(name) ? 0.5 : 1.5
        #expect(exposure.flatMap { Double($0.1) }.map { $0 <= bound } == true, "\(judged.output)")
        // In a user namespace every client would be one user.
        let text = try String(contentsOfFile: unit, encoding: .utf8)
        #expect(!text.contains("\nPrivateUsers="))
    }

    @Test(.needs(Repository.has("systemd-sysusers"), "systemd is not installed"))
    func `users and groups are made below a root`() throws {
        let folder = try Self.install("/usr")
        let made = try run(["systemd-sysusers", "--root=" + folder.path])
        #expect(made.status == 0, "\(made)")
        let groups = try String(contentsOfFile: folder.path + "/etc/group", encoding: .utf8)
        let users = try String(contentsOfFile: folder.path + "/etc/passwd", encoding: .utf8)
        for name in ["stardust", "stardust-archive"] {
            #expect(users.contains("\n\(name):") || users.hasPrefix("\(name):"))
        }
        #expect(groups.contains("stardust-clients:"))
    }

    @Test(.needs(Repository.has("mandoc"), "mandoc is not installed"))
    func `each command has a manual that is well written`() throws {
        let folder = try Self.install("/usr")
        let pages = folder.path + "/usr/share/man/man1"
        let names = try FileManager.default.contentsOfDirectory(atPath: pages)
        #expect(names.count > 40)
        let linted = try run([
            "bash", "-c",
            "for page in \(pages)/*.gz; do zcat $page | mandoc -T lint -W warning; done",
        ])
        #expect(linted.output.isEmpty && linted.error.isEmpty, "\(linted)")
        let shown = try run(["bash", "-c", "zcat \(pages)/stardust-serve.1.gz | mandoc -T html"])
        #expect(shown.output.contains("stardust serve") && shown.output.contains("--config"))
    }

    @Test(
        .needs(
            Repository.has("fish") && Repository.has("zsh"), "fish or zsh is not installed"))
    func `shells complete commands, options and files`() throws {
        let folder = try Self.install("/usr")
        let share = folder.path + "/usr/share"
        let work = folder.path + "/work"
        try FileManager.default.createDirectory(
            atPath: work + "/ledger-of-mine", withIntermediateDirectories: true)
        let lines = [
            ("stardust clean", "cleanup"), ("stardust serve --conf", "--config"),
            ("stardust verify ledger-", "ledger-of-mine"),
            ("stardust serve --config ledger-", "ledger-of-mine"),
        ]
        for (line, completed) in lines {
            let words = line.split(separator: " ")
            let bash = try run([
                "bash", "-c",
                """
                cd \(work); . \(share)/bash-completion/completions/stardust
                COMP_WORDS=(\(line)); COMP_CWORD=\(words.count - 1); COMP_LINE='\(line)'
                COMP_POINT=\(line.count); _stardust stardust \(words.last!) \(words[words.count - 2])
                echo "${COMPREPLY[@]}"
                """,
            ])
            let candidates = bash.output.split(whereSeparator: \.isWhitespace).map(String.init)
            #expect(candidates.contains(completed), "\(line) \(bash)")
            let fish = try run([
                "fish", "-c",
                "cd \(work); source \(share)/fish/vendor_completions.d/stardust.fish; "
                    + "complete -C '\(line)'",
            ])
            #expect(fish.output.contains(completed), "\(line) \(fish)")
        }
        let zsh = try run(
            [
                "python3", Repository.root + "/Tests/EndToEndTests/complete.py",
                share + "/zsh/vendor-completions", work,
            ] + lines.map(\.0))
        for (typed, (line, completed)) in zip(
            zsh.output.split(separator: "\n", omittingEmptySubsequences: false), lines)
        {
            let expected = line.split(separator: " ").dropLast() + [completed[...]]
            #expect(typed.hasPrefix(expected.joined(separator: " ")), "\(zsh)")
        }
        #expect(zsh.status == 0, "\(zsh)")
    }

    @Test(
        .needs(
            Repository.has("dpkg-deb") && Repository.has("dpkg-shlibdeps")
                && Repository.has("objcopy")
                && Repository.has("lintian"), "dpkg-dev, binutils or lintian is not installed"))
    func `the package is clean, and does what its page says`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let package = try Self.package(in: folder)
        let judged = try run(["lintian", "--fail-on", "error", package])
        #expect(judged.status == 0, "\(judged)")
        let size = try FileManager.default.attributesOfItem(atPath: package)[.size] as? Int ?? .max
        #expect(size <= 14 << 20)
        #expect(try run(["dpkg-deb", "-x", package, folder.path + "/unpacked"]).status == 0)
        let version = try run([folder.path + "/unpacked/usr/bin/stardust", "--version"])
        #expect(version.status == 0 && version.output.hasPrefix("stardust "), "\(version)")
        let copyright = try String(
            contentsOfFile: folder.path + "/unpacked/usr/share/doc/stardust/copyright",
            encoding: .utf8)
        for words in ["Files: swift-nio ", "License: Apache-2.0", "Files: swift-runtime "] {
            #expect(copyright.contains(words), "\(words)")
        }
        let scripts = try run(["dpkg-deb", "--ctrl-tarfile", package])
        #expect(scripts.status == 0)
        let conffiles = try run(["dpkg-deb", "-I", package, "conffiles"])
        #expect(conffiles.output == "/etc/stardust/stardust.json\n")
        guard Repository.isRoot else { return }
        try MachineTests.runPage(package, on: "/")
    }
}
