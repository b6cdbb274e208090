/// Numbers as people read them.
enum Words {
    /// `1,204,331`.
    static func count(_ number: Int) -> String {
        var (digits, groups) = (String(abs(number)), [String]())
        while digits.count > 3 {
            groups.insert(String(digits.suffix(3)), at: 0)
            digits = String(digits.dropLast(3))
        }
        return (number < 0 ? "-" : "") + ([digits] + groups).joined(separator: ",")
    }

    /// `1 entry`, `7 entries`.
    static func count(_ number: Int, _ one: String, _ many: String) -> String {
        "\(count(number)) \(number == 1 ? one : many)"
    }

    /// `812 MB`; units of 1000.
    static func bytes(_ number: Int) -> String {
        let units = ["bytes", "kB", "MB", "GB", "TB", "PB"]
        var (value, unit) = (Double(number), 0)
        while value >= 999.5, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return
            "\(unit > 0 && value < 9.95 ? tenths(value) : count(Int(value.rounded()))) \(units[unit])"
    }

    /// `40 s`, `3 min`, `5 h`, `12 days`, `3 years`.
    static func time(seconds: Double) -> String {
        let units: [(name: String, seconds: Double)] = [
            ("s", 1), ("min", 60), ("h", 3600), ("days", 86_400), ("years", 365 * 86_400),
        ]
        // The largest unit of which there are two.
        let unit = units.last { seconds >= 2 * $0.seconds } ?? units[0]
        let value = seconds / unit.seconds
        return value < 10 && unit.name == "s"
            ? "\(tenths(value)) s" : "\(count(Int(value.rounded(.down)))) \(unit.name)"
    }

    private static func tenths(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
    }
}
