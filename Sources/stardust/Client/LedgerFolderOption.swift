import ArgumentParser
internal import Glibc
internal import Packets
internal import Platform

/// A ledger's folder to ask instead of a daemon.
struct LedgerFolderOption: ParsableArguments {
    @Option(
        name: .customLong("ledger"),
        help: ArgumentHelp(
            "Read a ledger's folder, without a daemon; nothing in it is changed.", valueName: "dir"),
        completion: .directory)
    var folder: String?

    /// Calls `body` with options that lead to the folder's own daemon, or to the one that was meant.
    func asking(
        _ options: ClientOptions, needsIndex: Bool = true,
        _ body: (ClientOptions) async throws -> Void
    ) async throws {
        guard let folder else { return try await body(options) }
        let daemon = try ReadingDaemon(folder)
        try await daemon.waitUntilReady(needsIndex: needsIndex)
        var own = options
        own.connection.socket = daemon.socket
        do { try await body(own) } catch {
            daemon.end()
            throw error
        }
        daemon.end()
    }
}

/// This program once more, as a daemon that only reads a folder. It ends with this process, whatever
/// ends that: then its standard input ends.
private final class ReadingDaemon {
    let socket: String
    private let scratch: ScratchFolder
    private var pid: pid_t = 0
    /// The other end of its standard input.
    private let input: Int32

    init(_ folder: String) throws(Failure) {
        do throws(FileFailure) {
            scratch = try ScratchFolder(
                in: String.environment("TMPDIR") ?? "/tmp", "stardust-ask")
            socket = scratch.path + "/s"
            // Whoever asks waits for the answer, however long the index takes.
            let settings = try PosixVolume(root: scratch.path).open("settings", .create())
            try settings.write(Array("{\"query_ms_max\": 600000}".utf8).span, at: 0)
        } catch { throw Failure(.cannotCreate, "\(error)") }
        var ends: [Int32] = [0, 0]
        guard unsafe pipe(&ends) == 0 else {
            throw Failure(.systemFault, "no pipe: \(errorName(errno))")
        }
        input = ends[1]
        defer { close(ends[0]) }
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        // Nobody but this process may hold the other end open.
        unsafe posix_spawn_file_actions_addclose(&actions, ends[0])
        unsafe posix_spawn_file_actions_addclose(&actions, ends[1])
        unsafe posix_spawn_file_actions_addopen(
            &actions, 2, scratch.path + "/log", O_WRONLY | O_CREAT, 0o600)
        let words = [
            "stardust", "serve", folder, "--read-only", "--until-input-ends", "--socket", socket,
            "--config", scratch.path + "/settings",
        ]
        // Safety: the copies live until the process has started, and are freed here.
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        let status = unsafe posix_spawn(
            &pid, "/proc/self/exe", &actions, nil, &arguments, environ)
        guard status == 0 else {
            close(input)
            throw Failure(.systemFault, "could not start a reader: \(errorName(status))")
        }
    }

    /// Waits until the folder is open, and its index whole. Fails with the daemon's own words if it
    /// ends.
    func waitUntilReady(needsIndex: Bool) async throws {
        while true {
            if let answer = try? await DaemonClient(socket: socket).get("/v1/status"),
                let status = try? JSONDocument(answer: answer),
                status.member("phase", of: 0).flatMap(status.string) != "recovering",
                let index = status.member("index", of: 0),
                !needsIndex
                    || status.member("phase", of: index).flatMap(status.string) != "catching_up"
            {
                return
            }
            var status: Int32 = 0
            if unsafe waitpid(pid, &status, WNOHANG) == pid {
                pid = 0
                close(input)
                throw Failure(ExitCode((status >> 8) & 0xFF), lastWords)
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// The last line of what it said on standard error.
    private var lastWords: String {
        let log = try? PosixVolume(root: scratch.path).content(of: "log")
        let lines = String(decoding: log ?? [], as: UTF8.self).split(separator: "\n")
        let last = String(lines.last ?? "the reader ended")
        return last.hasPrefix("stardust: ") ? String(last.dropFirst(10)) : last
    }

    func end() {
        guard pid > 0 else { return }
        close(input)
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
        pid = 0
    }
}
