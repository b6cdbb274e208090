import ArgumentParser
internal import Packets

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

    func run() throws {
        _ = try Configuration(path: options.file, resolves: deep)
        let files = try ConfigurationFile.all(options.file, resolves: false)
        try Output.line(
            files.count == 1
                ? "\(options.file) is right."
                : "\(files.map(\.path).joined(separator: ", ")) are right.")
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
        var (json, lines) = (JSONWriter(), [String]())
        json.beginObject()
        for setting in Setting.allCases {
            let origin = configuration.origins[setting.rawValue]
            let value = origin?.source ?? setting.standard
            let place =
                origin.map { $0.place.split(separator: ": ")[0] + "" }
                ?? setting.variable.map { "$" + $0 } ?? "default"
            json.key(setting.rawValue)
            json.beginObject()
            json.key("value")
            json.json(Array(Self.withoutPasswords(value, setting).utf8))
            json.member("from", place)
            json.endObject()
            lines.append(
                "\(setting.rawValue.padded(to: 22))"
                    + "\(Self.oneLine(Self.withoutPasswords(value, setting)))  (\(place))")
        }
        json.endObject()
        if self.json { return try Output.data(json.bytes + [0x0A]) }
        for line in lines { try Output.line(Output.safe(line)) }
    }

    /// The address of PostgreSQL may have a password in it.
    private static func withoutPasswords(_ value: String, _ setting: Setting) -> String {
        guard setting == .model else { return value }
        let whole = BackupCommand.withoutPasswords(Array("{\"model\":\(value)}".utf8))
        return String(decoding: whole, as: UTF8.self).dropFirst("{\"model\":".count).dropLast() + ""
    }

    private static func oneLine(_ value: String) -> String {
        value.split(whereSeparator: \.isNewline).map { $0.trimmed }.joined(separator: " ")
    }
}

extension Substring {
    fileprivate var trimmed: String {
        String(self.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
