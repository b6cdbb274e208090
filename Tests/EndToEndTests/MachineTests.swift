import DaemonTestSupport
import Foundation
import Platform
import TestSupport
import Testing

/// The daemon as its unit runs it, and machines that are thrown away.
@Suite(.enabled(if: Repository.isRoot, "only root can make namespaces and file systems"))
struct MachineTests {
    private static let sandbox = Repository.root + "/Tests/EndToEndTests/sandbox.py"

    /// Tests of the daemon that are run once more, in a sandbox.
    private static let smoke = "EndToEndTests.(EmitTests|FollowTests|OutputTests)/"

    @Test func `in the unit's sandbox the daemon does what it does outside`() throws {
        let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let result = try run(
            [
                bundle, "--testing-library", "swift-testing", "--no-parallel", "--filter",
                Self.smoke,
            ],
            environment: ["STARDUST_SANDBOX": Self.sandbox])
        let said = result.output + result.error
        #expect(result.status == 0 && said.contains("passed after"), "\(said.suffix(4000))")
        // The daemons were in it: the log of one says which network it has.
        let daemon = try Daemon(wrapper: ["python3", Self.sandbox, TemporaryFolder.parent])
        let network = try FileManager.default.destinationOfSymbolicLink(
            atPath: "/proc/\(daemon.pid)/ns/net")
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/net")
        #expect(network != own)
    }

    @Test func `the demonstration runs in the sandbox`() throws {
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let script = "cd '\(folder.path)' && exec '\(Repository.root)/Scripts/run' \"$0\""
        let result = try run(
            [
                "python3", Self.sandbox, folder.path, "bash", "-c", script, Repository.program,
            ], environment: ["ONCE": "1"])
        #expect(result.status == 0, "\(result)")
        #expect(result.output.contains("sound: "))
    }

    /// The commands of Docs/Operating.md on a machine: a layer over this one, or over a bare Debian.
    static func runPage(_ package: String, on lower: String) throws {
        let page = Repository.root + "/Docs/Operating.md"
        let result = try run([
            "unshare", "--mount", "--net", "--pid", "--fork", "--propagation", "private",
            "python3", Repository.root + "/Tests/EndToEndTests/machine.py", lower, package, page,
        ])
        #expect(result.status == 0, "\(result.output.suffix(3000))\(result.error)")
        for words in [
            "no package makes one", "\nactive\n", " is right.", "60 entries, ", "ready\n",
            "0 failures", "\"event\":\"settings_reloaded\"", "envelope 7 in the safe",
            "stardust 0.", "understands everything that is here", "sound: 60 entries",
            "The ledger stays in /var/lib/stardust",
        ] {
            #expect(result.output.contains(words), "\(words)")
        }
    }

    /// Every event that the log can have is in the page, with its level.
    @Test func `the page lists every event`() throws {
        let page = try Repository.text("Docs/Operating.md")
        for event in LoggedEvent.allCases {
            let row = "\n| `\(event.rawValue)` | \(event.level.rawValue) | "
            #expect(page.contains(row), "\(event)")
        }
        let rows = page.matches(of: /\n\| `[a-z_]+` \| (info|notice|warning|error|critical) \|/)
        #expect(rows.count == LoggedEvent.allCases.count)
    }

    @Test(.enabled(if: Soak.isSoak, "only with large counts: it fetches a Debian"))
    func `on a bare Debian the package installs, serves, and is removed, with systemd as well`()
        throws
    {
        for tool in ["debootstrap", "qemu-system-x86_64", "cpio"] {
            guard Repository.has(tool) else { try Repository.skip(lacking: tool) }
        }
        let folder = try TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let lower = Repository.root + "/.build/debian"
        if !FileManager.default.fileExists(atPath: lower) {
            // What an interrupted run left is not gone on with.
            let new = lower + ".new"
            guard try run(["rm", "-rf", "--one-file-system", new]).status == 0 else {
                throw Failure("\(new) cannot be removed")
            }
            let packages =
                "systemd,curl,libssl3,libsqlite3-0,libpq5,libcurl4,libexpat1,perl-base,iproute2,"
                + "linux-image-cloud-amd64"
            let made = try run([
                "debootstrap", "--variant=minbase", "--include=" + packages, "bookworm", new,
            ])
            guard made.status == 0 else {
                throw Failure("debootstrap: \(made.output.suffix(2000))")
            }
            try FileManager.default.moveItem(atPath: new, toPath: lower)
        }
        let package = try PackageTests.package(in: folder)
        try Self.runPage(package, on: lower)
        let booted = try run([
            "python3", Repository.root + "/Tests/EndToEndTests/boot.py", lower, package,
            Repository.root + "/Docs/Operating.md",
        ])
        #expect(booted.status == 0, "\(booted.output.suffix(4000))")
    }
}
