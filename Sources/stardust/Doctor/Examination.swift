internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import StardustCore

/// Looks at a ledger, its daemon and the machine, one thing after the other. What cannot be looked at keeps nothing
/// else from being looked at.
struct Examination {
    let ledger: String
    /// The configuration's main file; nil for the defaults.
    let file: String?
    private(set) var diagnoses: [Diagnosis] = []
    var configuration = try? Configuration(path: nil)
    /// Nil if the folder cannot be opened.
    var volume: PosixVolume?
    var identity: LedgerIdentity?
    /// What the daemon says; nil if it does not run, or tells us nothing.
    var status: AnswerTree?
    private let givenSocket: String?

    init(ledger: String, file: String?, socket: String?) {
        (self.ledger, self.file, givenSocket) = (ledger, file, socket)
    }

    mutating func add(_ diagnosis: Diagnosis) { diagnoses.append(diagnosis) }

    var socket: String {
        givenSocket ?? .environment("STARDUST_SOCKET") ?? configuration?.socket
            ?? .defaultSocketPath
    }

    mutating func run() async {
        checkConfiguration()
        checkUserNamespace()
        checkFolder()
        checkKeys()
        await checkDaemon()
        checkFileSystem()
        checkSpace()
        checkDescriptors()
        checkClock()
        checkUnit()
        checkCheckpoint()
        checkFollowers()
        checkArchive()
        checkRecords()
    }

    private mutating func checkConfiguration() {
        guard let file else {
            add(.ok(.configuration, "no file; every setting has its default"))
            return checkEscrow()
        }
        do throws(Failure) {
            configuration = try Configuration(path: file)
            if let hidden = try hiddenFile(file) {
                return add(
                    .failure(
                        .configuration, "the daemon's user cannot read \(hidden)",
                        "chgrp or chmod it: stardust.json is usually root's, with mode 644"))
            }
            let count = try ConfigurationFile.all(file, resolves: false).count - 1
            let more = count > 0 ? " and \(count) in \(file).d" : ""
            add(.ok(.configuration, "\(file)\(more)"))
            checkEscrow()
        } catch {
            add(
                .failure(
                    .configuration, error.message, "correct it, and run `stardust config check`"))
        }
    }

    /// A file of the configuration that whoever owns the ledger cannot read.
    private func hiddenFile(_ file: String) throws(Failure) -> String? {
        var owner = stat()
        guard unsafe stat(ledger, &owner) == 0, owner.st_uid != 0 else { return nil }
        return try ConfigurationFile.all(file, resolves: false).map(\.path).first { path in
            var found = stat()
            guard unsafe stat(path, &found) == 0 else { return false }
            if found.st_uid == owner.st_uid { return found.st_mode & 0o400 == 0 }
            if found.st_gid == owner.st_gid { return found.st_mode & 0o040 == 0 }
            return found.st_mode & 0o004 == 0
        }
    }

    private mutating func checkEscrow() {
        guard let escrow = configuration?.keyEscrow else {
            return add(
                .warning(
                    .keyEscrow, "nobody has said where a copy of the private key is",
                    "keep one where it outlives this machine, and set key_escrow to the place: "
                        + "/usr/share/doc/stardust/Backup.md"))
        }
        add(.ok(.keyEscrow, escrow))
    }

    // MARK: The daemon

    private mutating func checkDaemon() async {
        checkSocketFolder()
        let holder = LedgerLock.holder(of: ledger)
        if holder == nil, isNobodyThere { return reportMissingDaemon() }
        do throws(Failure) {
            let bytes = try await DaemonClient(socket: socket).get("/v1/status")
            take(AnswerTree(try JSONDocument(answer: bytes)), holder)
        } catch {
            let process = holder.map { "process \($0) holds the ledger, but " } ?? ""
            add(
                error.exit == .notPermitted
                    ? .warning(
                        .daemon, process + error.message,
                        "run this as root or as the daemon's user")
                    : .failure(
                        .daemon, process + error.message,
                        "look at the daemon's log: journalctl -u stardust -n 50"))
        }
    }

    /// Whether nobody can be at the socket.
    private var isNobodyThere: Bool {
        do throws(UnixSocket.Failure) {
            close(try UnixSocket.connected(to: socket))
            return false
        } catch { return [ENOENT, ECONNREFUSED, ENOTDIR].contains(error.errorNumber) }
    }

    private mutating func reportMissingDaemon() {
        let enabled = "/etc/systemd/system/multi-user.target.wants/stardust.service"
        let isEnabled = unsafe access(enabled, F_OK) == 0
        let isWanted = ledger == DoctorCommand.usualLedger && isEnabled
        add(
            isWanted
                ? .failure(
                    .daemon, "does not run, although its unit is enabled",
                    "systemctl status stardust; journalctl -u stardust -n 50")
                : .warning(.daemon, "does not run", "systemctl start stardust, if it should"))
    }

    private mutating func take(_ answer: AnswerTree, _ holder: Int32?) {
        guard let id = answer["ledger_id"].text, answer["phase"].text != nil else {
            return add(
                .failure(
                    .daemon, "whoever answers at \(socket) is no daemon of Stardust's",
                    "name the daemon's socket with --socket"))
        }
        guard let identity, id == "\(identity.ledgerID)" else {
            return add(
                .warning(
                    .daemon, "the daemon at \(socket) serves another ledger",
                    "name this one's socket with --socket"))
        }
        status = answer
        let since = (answer["started_at"].text ?? "?").prefix(16).replacing("T", with: " ")
        add(
            .ok(
                .daemon,
                "serves since \(since) UTC, version \(answer["version"].text ?? "?")"
                    + (holder.map { ", process \($0)" } ?? "")))
        for reason in answer["reasons"].elements.compactMap(\.text) {
            add(
                .failure(
                    .status, reason,
                    "see the alerts in \(DoctorCommand.page), such as StardustNotReady"))
        }
        if let error = answer["reload"]["error"].text {
            add(
                .failure(
                    .status, "the settings on the disk were not taken: \(error)",
                    "correct them, and run `systemctl reload stardust`"))
        }
    }

    private mutating func checkSocketFolder() {
        var found = stat()
        let folder = socket.givenFolder
        guard unsafe stat(folder, &found) == 0 else {
            return add(.ok(.socket, "\(folder) is not there yet"))
        }
        guard found.st_mode & 0o002 == 0 || found.st_mode & UInt32(S_ISVTX) != 0 else {
            return add(
                .failure(
                    .socket, "everybody may write to \(folder), and so could replace the socket",
                    "chmod o-w \(folder)"))
        }
        add(.ok(.socket, socket))
    }
}
