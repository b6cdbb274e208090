import ArgumentParser
internal import Glibc
internal import Packets

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check the ledger, its daemon and the machine, and say what to do.",
        discussion: """
            Works with the daemon and without it, as root or as the daemon's user, and changes nothing. Each \
            check is a line: ok, warn or FAIL, its code, and what to do. Exit code 1 if a check fails.
            """)

    /// What says more, on a machine that has the package.
    static let page = "/usr/share/doc/stardust/Operating.md"
    static let usualLedger = "/var/lib/stardust/ledger"

    @Argument(help: "The ledger's folder.")
    var ledger = Self.usualLedger

    @Option(
        help: ArgumentHelp(
            "Configuration file. Default: \(ConfigOptions.usual), if it is there.",
            valueName: "file"), completion: .file())
    var config: String?

    @Option(
        help: "The daemon's socket. Default: $STARDUST_SOCKET, or the configuration's.",
        completion: .file())
    var socket: String?

    @Option(
        help: ArgumentHelp(
            "How long the daemon may be silent before it is reported.", valueName: "seconds"))
    var timeout = 2

    @Flag(help: "Also measure the disk and the processor; writes one file, and removes it.")
    var measure = false

    @Option(
        help: ArgumentHelp(
            "Also say what must be undone before another version is installed.",
            valueName: "version"))
    var forVersion: String?

    @OptionGroup var result: ResultOptions

    func validate() throws {
        guard SilenceGuard.allowed.contains(timeout) else {
            throw ValidationError("--timeout must be a number of seconds from 1 to 86400")
        }
        if let forVersion {
            guard let release = ReleaseNumber(forVersion) else {
                throw ValidationError(
                    "--for-version: \(forVersion) is not a version, such as 0.9.0")
            }
            guard ReleaseNumber.known.contains(release) else {
                throw ValidationError(
                    "--for-version: this program knows only what 0.9 and 0.10 understand")
            }
        }
    }

    func run() async throws {
        SilenceGuard.seconds = Int64(timeout)
        let file =
            config ?? (unsafe access(ConfigOptions.usual, F_OK) == 0 ? ConfigOptions.usual : nil)
        var examination = Examination(ledger: ledger, file: file, socket: socket)
        await examination.run()
        if measure { examination.measure() }
        if let release = forVersion.flatMap({ ReleaseNumber($0) }) {
            examination.compare(with: release)
        }
        try show(examination.diagnoses)
        if examination.diagnoses.contains(where: { $0.level == .failure }) { throw ExitCode.no }
    }

    private func show(_ diagnoses: [Diagnosis]) throws(Failure) {
        let warnings = diagnoses.count { $0.level == .warning }
        let failures = diagnoses.count { $0.level == .failure }
        guard !result.json else {
            return try result.show { json in
                json.key("checks")
                json.array(diagnoses) { $0.write(to: &$1) }
                json.member("warnings", warnings)
                json.member("failures", failures)
            }
        }
        let terminal = Terminal()
        for diagnosis in diagnoses {
            let level = diagnosis.level.rawValue.padded(to: 6)
            let painted =
                switch diagnosis.level {
                case .ok: terminal.green(level)
                case .warning: terminal.cyan(level)
                case .failure: terminal.red(level)
                }
            try Output.line(
                painted + terminal.dim(diagnosis.code.rawValue.padded(to: 16))
                    + Output.safe(diagnosis.text))
            if let advice = diagnosis.advice {
                try Output.line(String(repeating: " ", count: 22) + Output.safe("-> \(advice)"))
            }
        }
        try Output.line(
            failures + warnings == 0
                ? "All is well."
                : "\(Words.count(failures, "failure", "failures")), "
                    + "\(Words.count(warnings, "warning", "warnings"))")
    }
}
