internal import Glibc
internal import Packets

/// A configuration object, with its place for error messages.
struct ConfigurationObject {
    let file: ConfigurationFile
    let index: Int
    /// Names of the members that lead to it.
    let names: [String]

    init(_ file: ConfigurationFile) throws(Failure) { try self.init(file, 0, []) }

    fileprivate init(
        _ file: ConfigurationFile, _ index: Int, _ names: [String]
    ) throws(Failure) {
        (self.file, self.index, self.names) = (file, index, names)
        guard file.document.tokens[index].kind == .object else { throw wrong("must be an object") }
    }

    /// Where it is, and what it is.
    var place: String {
        ([file.place(of: index)] + (names.isEmpty ? [] : [names.joined(separator: "/")]))
            .joined(separator: ": ")
    }

    func wrong(_ detail: String) -> Failure { Failure(.badConfiguration, "\(place): \(detail)") }

    var members: [Member] {
        JSONChildren(file.document.tokens, of: index).map { key in
            let name = String(
                decoding: file.document.bytes.span.text(file.document.tokens[key]), as: UTF8.self)
            return Member(file: file, key: key, name: name, names: names + [name])
        }
    }

    /// What each member is, as the file has it.
    var sources: [String: String] {
        Dictionary(members.map { ($0.name, $0.source) }, uniquingKeysWith: { $1 })
    }

    struct Member {
        let file: ConfigurationFile
        let key: Int
        let name: String
        let names: [String]

        private var value: Int { key + 1 }
        private var token: JSONToken { file.document.tokens[value] }

        /// Where its name is, and what it is.
        var place: String { "\(file.place(of: key)): \(names.joined(separator: "/"))" }

        /// Its value as the file has it.
        var source: String { String(decoding: file.document.source(value), as: UTF8.self) }

        var resolves: Bool { file.resolves }

        func wrong(_ detail: String) -> Failure {
            Failure(.badConfiguration, "\(place): \(detail)")
        }

        /// `known` are the names that it could have been meant to have.
        func unknown(_ known: [String]) -> Failure {
            let nearest = known.map { ($0, $0.distance(to: name)) }.min { $0.1 < $1.1 }
            guard let nearest, nearest.1 <= max(2, name.count / 3) else {
                return wrong("unknown setting; known are \(known.joined(separator: ", "))")
            }
            return wrong("unknown setting; did you mean \(nearest.0)?")
        }

        func string() throws(Failure) -> String { try string(value) }

        private func string(_ index: Int) throws(Failure) -> String {
            guard file.document.tokens[index].kind == .string else {
                throw wrong("must be a string")
            }
            return String(
                decoding: file.document.bytes.span.text(file.document.tokens[index]), as: UTF8.self)
        }

        /// For what two processes with other working directories use.
        func absolutePath() throws(Failure) -> String {
            let text = try string()
            guard text.hasPrefix("/") else { throw wrong("\(text) is not an absolute path") }
            return text
        }

        func integer(in range: ClosedRange<Int>) throws(Failure) -> Int {
            try number(in: range, [:], "a whole number")
        }

        /// A number of bytes, or a text such as `64MiB`.
        func bytes(in range: ClosedRange<Int>) throws(Failure) -> Int {
            let units = [
                "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "kB": 1000,
                "MB": 1_000_000, "GB": 1_000_000_000, "TB": 1_000_000_000_000,
            ]
            return try number(in: range, units, "a number of bytes, or a size such as \"64MiB\",")
        }

        /// A number of milliseconds, seconds or days, as the setting's name says, or a text such as `5s`.
        func time(_ unit: TimeUnit, in range: ClosedRange<Int>) throws(Failure) -> Int {
            var units: [String: Int] = [:]
            for other in TimeUnit.allCases where other.rawValue >= unit.rawValue {
                units[other.name] = other.rawValue / unit.rawValue
            }
            return try number(
                in: range, units, "a number of \(unit.plural), or a time such as \"2\(unit.name)\","
            )
        }

        private func number(
            in range: ClosedRange<Int>, _ units: [String: Int], _ what: String
        ) throws(Failure) -> Int {
            var number: Int?
            if token.kind == .number {
                number = Int(String(decoding: file.document.bytes[token.bytes], as: UTF8.self))
            } else if token.kind == .string, !units.isEmpty {
                let text = try string()
                let digits = text.prefix { ("0"..."9").contains($0) }
                let unit = text.dropFirst(digits.count).drop { $0 == " " }
                if let count = Int(digits), let factor = units[String(unit)] {
                    let (product, isTooMuch) = count.multipliedReportingOverflow(by: factor)
                    number = isTooMuch ? .max : product
                }
            }
            guard let number, range.contains(number) else {
                throw wrong("must be \(what) from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }

        func boolean() throws(Failure) -> Bool {
            guard token.kind == .true || token.kind == .false else {
                throw wrong("must be true or false")
            }
            return token.kind == .true
        }

        func object() throws(Failure) -> ConfigurationObject {
            try ConfigurationObject(file, value, names)
        }

        private func children() throws(Failure) -> [Int] {
            guard token.kind == .array else { throw wrong("must be an array") }
            return Array(JSONChildren(file.document.tokens, of: value))
        }

        func strings() throws(Failure) -> [String] {
            var result: [String] = []
            for child in try children() { result.append(try string(child)) }
            return result
        }

        func elements() throws(Failure) -> [ConfigurationObject] {
            var result: [ConfigurationObject] = []
            for child in try children() {
                result.append(try ConfigurationObject(file, child, names + ["\(result.count)"]))
            }
            return result
        }

        /// A user by number or name.
        func userID() throws(Failure) -> UInt32 {
            // The last number stands for no user.
            if token.kind == .number { return UInt32(try integer(in: 0...Int(UInt32.max) - 1)) }
            let name = try string()
            guard resolves else { return 0 }
            // Safety: the entry is read at once, before another lookup can reuse its memory.
            guard let entry = unsafe getpwnam(name) else {
                throw wrong("there is no user \(name); a number is written without quotes")
            }
            return unsafe entry.pointee.pw_uid
        }

        func groupID() throws(Failure) -> UInt32 {
            if token.kind == .number { return UInt32(try integer(in: 0...Int(UInt32.max) - 1)) }
            let name = try string()
            guard resolves else { return 0 }
            guard let entry = unsafe getgrnam(name) else {
                throw wrong("there is no group \(name); a number is written without quotes")
            }
            return unsafe entry.pointee.gr_gid
        }
    }

    /// In milliseconds.
    enum TimeUnit: Int, CaseIterable {
        case milliseconds = 1
        case seconds = 1000
        case minutes = 60_000
        case hours = 3_600_000
        case days = 86_400_000

        fileprivate var name: String {
            switch self {
            case .milliseconds: "ms"
            case .seconds: "s"
            case .minutes: "min"
            case .hours: "h"
            case .days: "d"
            }
        }

        fileprivate var plural: String { "\(self)" }
    }
}

extension String {
    /// How many characters must be added, removed or replaced to get from one text to the other.
    fileprivate func distance(to other: String) -> Int {
        let (left, right) = (Array(self), Array(other))
        var row = Array(0...right.count)
        for (number, character) in left.enumerated() {
            var diagonal = row[0]
            row[0] = number + 1
            for index in right.indices {
                let replaced = diagonal + (character == right[index] ? 0 : 1)
                diagonal = row[index + 1]
                row[index + 1] = Swift.min(replaced, row[index] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
