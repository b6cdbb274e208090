import ArgumentParser
internal import Packets
internal import StardustCore
internal import StardustHTTP

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Check and show settings.",
        subcommands: [ConfigCheckCommand.self, ConfigShowCommand.self])
}

/// Which files.
struct ConfigOptions: ParsableArguments {
    static let usual = "/etc/stardust/stardust.json"

    @Argument(
        help: ArgumentHelp(
            "The configuration file; those in the folder FILE.d belong to it.", valueName: "file"))
    var file = Self.usual
}

struct ConfigCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check the files of a configuration.",
        discussion: """
            Opens nothing else, so that anybody may run it anywhere. Exit codes: 66 a file cannot be \
            read, 78 a setting is wrong.
            """)

    @OptionGroup var options: ConfigOptions

    @Flag(
        help:
            "Also look up users and groups, and read the witness policy; for the machine of the daemon."
    )
    var deep = false

    @OptionGroup var result: ResultOptions

    func run() throws {
        _ = try Configuration(path: options.file, resolves: deep)
        let files = try ConfigurationFile.all(options.file, resolves: false)
        try result.show(
            files.count == 1
                ? "\(options.file) is right."
                : "\(files.map(\.path).joined(separator: ", ")) are right."
        ) { json in
            json.key("files")
            json.array(files) { $1.string($0.path) }
        }
    }
}

struct ConfigShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show each setting, and where it comes from.",
        discussion: "Exit codes: 66 a file cannot be read, 78 a setting is wrong.")

    @OptionGroup var options: ConfigOptions

    @Flag(help: "Print JSON.")
    var json = false

    func run() throws {
        let configuration = try Configuration(path: options.file, resolves: false)
        let report = configuration.report()
        if json {
            var json = JSONWriter()
            report.write(to: &json)
            return try Output.data(json.bytes + [0x0A])
        }
        for line in report.lines {
            try Output.line(
                Output.safe(
                    "\(line.name.padded(to: 22))\(line.value)  (\(line.origin))"))
        }
    }
}
