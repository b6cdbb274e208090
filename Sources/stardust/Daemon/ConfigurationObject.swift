internal import Glibc
internal import Packets

/// A configuration object, with its path for error messages.
struct ConfigurationObject {
    let document: JSONDocument
    let index: Int
    let path: String

    init(_ document: JSONDocument, path: String) throws(Failure) {
        try self.init(document, 0, path)
    }

    fileprivate init(_ document: JSONDocument, _ index: Int, _ path: String) throws(Failure) {
        guard document.tokens[index].kind == .object else {
            throw Failure(.badConfiguration, "\(path): must be an object")
        }
        (self.document, self.index, self.path) = (document, index, path)
    }

    var members: [Member] {
        JSONChildren(document.tokens, of: index).map { key in
            let name = String(
                decoding: document.bytes.span.text(document.tokens[key]), as: UTF8.self)
            return Member(document: document, value: key + 1, name: name, path: "\(path): \(name)")
        }
    }

    struct Member {
        let document: JSONDocument
        let value: Int
        let name: String
        let path: String

        private var token: JSONToken { document.tokens[value] }

        func wrong(_ detail: String) -> Failure { Failure(.badConfiguration, "\(path): \(detail)") }
        var unknown: Failure { wrong("unknown setting") }

        func string() throws(Failure) -> String { try string(value) }

        private func string(_ index: Int) throws(Failure) -> String {
            guard document.tokens[index].kind == .string else { throw wrong("must be a string") }
            return String(decoding: document.bytes.span.text(document.tokens[index]), as: UTF8.self)
        }

        /// For what two processes with other working directories use.
        func absolutePath() throws(Failure) -> String {
            let text = try string()
            guard text.hasPrefix("/") else { throw wrong("\(text) is not an absolute path") }
            return text
        }

        func integer(in range: ClosedRange<Int>) throws(Failure) -> Int {
            let text = String(decoding: document.bytes[token.bytes], as: UTF8.self)
            guard token.kind == .number, let number = Int(text), range.contains(number) else {
                throw wrong(
                    "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
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
            try ConfigurationObject(document, value, path)
        }

        private func children() throws(Failure) -> [Int] {
            guard token.kind == .array else { throw wrong("must be an array") }
            return Array(JSONChildren(document.tokens, of: value))
        }

        func strings() throws(Failure) -> [String] {
            var result: [String] = []
            for child in try children() { result.append(try string(child)) }
            return result
        }

        func elements() throws(Failure) -> [ConfigurationObject] {
            var result: [ConfigurationObject] = []
            for child in try children() {
                result.append(try ConfigurationObject(document, child, "\(path)/\(result.count)"))
            }
            return result
        }

        /// A user by number or name.
        func userID() throws(Failure) -> UInt32 {
            // The last number stands for no user.
            if token.kind == .number { return UInt32(try integer(in: 0...Int(UInt32.max) - 1)) }
            let name = try string()
            // Safety: the entry is read at once, before another lookup can reuse its memory.
            guard let entry = unsafe getpwnam(name) else {
                throw wrong("there is no user \(name); a number is written without quotes")
            }
            return unsafe entry.pointee.pw_uid
        }

        func groupID() throws(Failure) -> UInt32 {
            if token.kind == .number { return UInt32(try integer(in: 0...Int(UInt32.max) - 1)) }
            let name = try string()
            guard let entry = unsafe getgrnam(name) else {
                throw wrong("there is no group \(name); a number is written without quotes")
            }
            return unsafe entry.pointee.gr_gid
        }
    }
}
