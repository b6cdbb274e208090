internal import Glibc
internal import LedgerStorage
internal import Platform

/// A version's first two numbers: what is on the disk changes with them only.
struct ReleaseNumber: Comparable {
    let major: Int
    let minor: Int

    init?(_ text: String) {
        let numbers = text.split(separator: "-")[0].split(separator: ".").map { Int($0) }
        guard (2...3).contains(numbers.count), let major = numbers[0], let minor = numbers[1],
            major >= 0, minor >= 0, numbers.allSatisfy({ $0 != nil })
        else { return nil }
        (self.major, self.minor) = (major, minor)
    }

    static func < (left: ReleaseNumber, right: ReleaseNumber) -> Bool {
        (left.major, left.minor) < (right.major, right.minor)
    }
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
        let unknown = Setting.allCases.filter { setting in
            setting.isNewIn010 && configuration?.origins[setting.rawValue] != nil
        }
        if !unknown.isEmpty {
            let names = unknown.map(\.rawValue).joined(separator: ", ")
            add(
                .failure(
                    .downgrade, "\(name) refuses these settings: \(names)",
                    "take them out of \(file ?? "the configuration")"))
        }
        if diagnoses.count == before {
            add(.ok(.downgrade, "\(name) understands everything that is here"))
        }
    }
}
