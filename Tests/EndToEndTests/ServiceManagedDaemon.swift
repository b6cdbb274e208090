import DaemonTestSupport
import Foundation
import TestSupport

/// A service manager of our own, with a daemon.
final class ServiceManagedDaemon: @unchecked Sendable {
    // Unchecked: only one thread at a time starts and stops.
    let folder: TemporaryFolder
    private let process: Background
    var socket: String { folder.path + "/clients.sock" }

    /// Makes a ledger, unless `ledger` names one.
    init(
        _ more: [String] = [], ledger: String? = nil, wrapper: [String] = [],
        environment: [String: String] = [:]
    ) throws {
        folder = try TemporaryFolder()
        if ledger == nil {
            let made = try run([Repository.program, "init", folder.path + "/ledger"])
            guard made.status == 0 else { throw Failure("\(made)") }
        }
        let program = try run(["which"] + (wrapper.first.map { [$0] } ?? ["true"])).output
            .trimmingCharacters(in: .newlines)
        process = try Background(
            [
                Repository.root + "/Tests/EndToEndTests/service_manager.py", folder.path,
            ]
                + (wrapper.isEmpty
                    ? [Repository.program]
                    : [program] + wrapper.dropFirst() + [Repository.program])
                + ["serve", ledger ?? folder.path + "/ledger"] + more,
            program: "/usr/bin/python3", environment: environment)
    }

    deinit { process.kill() }

    func text(_ name: String) -> String {
        (try? String(contentsOfFile: folder.path + "/" + name, encoding: .utf8)) ?? ""
    }

    var notices: [String] {
        text("notices").split(separator: "\n").map { line in
            String(line[line.index(after: line.firstIndex(of: " ")!)...])
        }
    }

    func waitFor(_ notice: String, count: Int = 1) throws {
        let deadline = Date() + 60
        while notices.count(where: { $0.hasPrefix(notice) }) < count {
            guard Date() < deadline else { throw Failure("no \(notice): \(notices)") }
            usleep(20_000)
        }
    }

    var pid: Int32 { Int32(text("pid")) ?? 0 }

    /// Ends the daemon and starts another one.
    func restart() throws {
        let (ends, old) = (text("ended").split(separator: "\n").count, pid)
        Foundation.kill(old, SIGTERM)
        let deadline = Date() + 60
        while text("ended").split(separator: "\n").count == ends {
            guard Date() < deadline else { throw Failure("it does not end") }
            usleep(5_000)
        }
        _ = try folder.file("again", [])
        while pid == old || pid == 0 {
            guard Date() < deadline else { throw Failure("none is started") }
            usleep(5_000)
        }
    }
}
