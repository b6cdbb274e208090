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
            let read = try Configuration(path: file)
            configuration = read
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

    private mutating func checkEscrow() {
        guard let escrow = configuration?.keyEscrow else {
            return add(
                .warning(
                    .keyEscrow, "nobody has said where a copy of the private key is",
                    "keep one where this machine's end does not reach it, and set key_escrow to the "
                        + "place (Backup.md)"))
        }
        add(.ok(.keyEscrow, escrow))
    }

    // MARK: The daemon

    private mutating func checkDaemon() async {
        checkSocketFolder()
        let holder = LedgerLock.holder(of: ledger)
        do throws(Failure) {
            let bytes = try await DaemonClient(socket: socket).get("/v1/status")
            let answer = AnswerTree(try JSONDocument(answer: bytes))
            guard let identity, answer["ledger_id"].text == "\(identity.ledgerID)" else {
                return add(
                    .warning(
                        .daemon, "the daemon at \(socket) serves another ledger",
                        "name this one's socket with --socket"))
            }
            status = answer
            add(
                .ok(
                    .daemon,
                    "serves since \(answer["started_at"].text ?? "?"), version "
                        + "\(answer["version"].text ?? "?")\(holder.map { ", process \($0)" } ?? "")"
                ))
            for reason in answer["reasons"].elements.compactMap(\.text) {
                add(.failure(.status, reason, "Operating.md says what to do about it"))
            }
            if let error = answer["reload"]["error"].text {
                add(
                    .failure(
                        .status, "the settings on the disk were not taken: \(error)",
                        "correct them, and run `systemctl reload stardust`"))
            }
        } catch {
            guard let holder else {
                return add(.ok(.daemon, "does not run"))
            }
            let detail = "process \(holder) holds the ledger, but \(error.message)"
            add(
                error.exit == .notPermitted
                    ? .warning(.daemon, detail, "run this as root or as the daemon's user")
                    : .failure(.daemon, detail, "look at the daemon's log: journalctl -u stardust"))
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
