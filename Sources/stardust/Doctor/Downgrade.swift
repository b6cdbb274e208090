internal import Glibc
internal import LedgerStorage
internal import Platform

/// A version's first two numbers: what is on the disk changes with them only.
struct ReleaseNumber: Comparable {
    let major: Int
    let minor: Int

    init?(_ text: String) {
        let head = text.split(separator: "-", omittingEmptySubsequences: false)[0]
        let numbers = head.split(separator: ".", omittingEmptySubsequences: false).map { Int($0) }
        guard (2...3).contains(numbers.count), let major = numbers[0], let minor = numbers[1],
            major >= 0, minor >= 0, numbers.allSatisfy({ $0 != nil })
        else { return nil }
        (self.major, self.minor) = (major, minor)
    }

    static func < (left: ReleaseNumber, right: ReleaseNumber) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }
}

extension ReleaseNumber {
    /// Versions of which this program knows what they understand.
    static let known = ReleaseNumber("0.9")!...ReleaseNumber("0.10")!
}

/// What an earlier version does not understand.
extension Examination {
    mutating func compare(with release: ReleaseNumber) {
        let name = "\(release.major).\(release.minor)"
        guard release < ReleaseNumber("0.10")! else {
            return add(.ok(.downgrade, "\(name) understands everything that is here"))
        }
        let before = diagnoses.count
        let archived = ((try? volume?.list(LedgerLayout.archived)) ?? []).filter {
            $0.hasSuffix(".entries")
        }
        if !archived.isEmpty {
            add(
                .failure(
                    .downgrade,
                    "\(archived.count) segments have left the disk, and \(name) would miss them",
                    "`stardust archive recall all` while the daemon runs, then stop it"))
        }
        if unsafe access("\(ledger)/\(LedgerLayout.epoch)", F_OK) == 0 {
            add(
                .failure(
                    .downgrade,
                    "the ledger has epochs, whose entries \(name) does not know",
                    "nothing undoes this: \(name) would only read it"))
        }
        let unknown = Setting.allCases.filter(\.isNewIn010).compactMap { setting in
            (configuration?.origins[setting.rawValue]?.place.split(separator: ": ")[0]).map {
                "\(setting.rawValue) (\($0))"
            }
        }
        if !unknown.isEmpty {
            add(
                .failure(
                    .downgrade, "\(name) refuses settings that it does not know",
                    "take out \(unknown.joined(separator: ", "))"))
        }
        checkNotation(name)
        if diagnoses.count == before {
            add(.ok(.downgrade, "\(name) understands everything that is here"))
        }
    }

    /// Comments, units and more files than one.
    private mutating func checkNotation(_ name: String) {
        guard let file, let files = try? ConfigurationFile.all(file, resolves: false) else {
            return
        }
        if files.count > 1 {
            add(
                .failure(
                    .downgrade,
                    "\(name) reads nothing in \(file).d, and would leave out what it says",
                    "move it into \(file)"))
        }
        let content = (try? PosixVolume(root: file.givenFolder).content(of: file.lastName)) ?? []
        if ConfigurationFile.withoutComments(content) != content {
            add(.failure(.downgrade, "\(name) refuses comments in \(file)", "take them out"))
        }
        let withUnits = Setting.allCases.filter(\.isNumber).filter {
            configuration?.origins[$0.rawValue]?.source.hasPrefix("\"") == true
        }
        if !withUnits.isEmpty {
            let names = withUnits.map(\.rawValue).joined(separator: ", ")
            add(
                .failure(
                    .downgrade, "\(name) refuses units: \(names)", "write plain numbers"))
        }
    }
}
