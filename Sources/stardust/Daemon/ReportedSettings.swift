internal import StardustCore

extension Configuration {
    /// Each setting, its value, and where it comes from. `options` are those of the command line.
    func report(options: [Setting: String] = [:]) -> SettingsReport {
        var report = SettingsReport()
        for setting in Setting.allCases {
            let value: String
            let origin: String
            if let option = options[setting] {
                (value, origin) = (option, "option")
            } else if let variable = setting.variable {
                (value, origin) = (setting.standard, "$" + variable)
            } else if let found = origins[setting.rawValue] {
                (value, origin) = (found.source, found.place.split(separator: ": ")[0] + "")
            } else {
                (value, origin) = (setting.standard, "default")
            }
            report.lines.append(
                SettingsReport.Line(
                    name: setting.rawValue,
                    value: Self.oneLine(Self.withoutPasswords(value, setting)),
                    origin: origin))
        }
        return report
    }

    /// What is in force once these settings have been read again: `running` has what was until now.
    func report(
        reloading running: SettingsReport, of old: Configuration, options: [Setting: String]
    ) -> SettingsReport {
        var report = report(options: options)
        for (index, setting) in Setting.allCases.enumerated() where !setting.isReloadable {
            if setting == .archive, archive != nil, old.archive != nil {
                let kept = old.archiveOrigins.filter { name, _ in
                    !Setting.reloadableOfArchive.contains(name)
                }
                let wanted = archiveOrigins.filter { name, _ in
                    !Setting.reloadableOfArchive.contains(name)
                }
                guard kept != wanted else { continue }
                report.waiting += Set(kept.keys).union(wanted.keys)
                    .filter { kept[$0] != wanted[$0] }.map { "archive." + $0 }.sorted()
                let reloaded = archiveOrigins.filter { name, _ in
                    Setting.reloadableOfArchive.contains(name)
                }
                let members = kept.merging(reloaded, uniquingKeysWith: { $1 })
                report.lines[index].value =
                    "{"
                    + members.sorted { $0.key < $1.key }.map { "\"\($0)\": \($1)" }
                    .joined(separator: ", ") + "}"
            } else if origins[setting.rawValue]?.source != old.origins[setting.rawValue]?.source {
                report.waiting.append(setting.rawValue)
                report.lines[index] = running.lines[index]
            }
        }
        return report
    }

    /// JSON has line breaks between its tokens only.
    private static func oneLine(_ value: String) -> String {
        value.split(whereSeparator: \.isNewline).map(\.trimmed).filter { !$0.isEmpty }
            .joined(separator: " ")
    }

    /// The address of PostgreSQL may have a password in it.
    private static func withoutPasswords(_ value: String, _ setting: Setting) -> String {
        guard setting == .model else { return value }
        let whole = BackupCommand.withoutPasswords(Array("{\"model\":\(value)}".utf8))
        return String(decoding: whole, as: UTF8.self).dropFirst("{\"model\":".count).dropLast() + ""
    }
}

extension Substring {
    fileprivate var trimmed: String {
        String(self.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
