#if PostgreSQL
    internal import CLibPQ

    /// A libpq address. Whatever it is, no message repeats a part of it that may be a password.
    package struct SourceAddress: Sendable {
        /// libpq's settings, by keyword.
        let parameters: [String: String]
        /// Pieces of the address that may belong to a password.
        private let secrets: [String]

        package struct Malformed: Error, CustomStringConvertible {
            package var description =
                "this is not a libpq connection string. In a URL, write % as %25, @ as %40, : as "
                + "%3A and / as %2F in user and password"
        }

        /// Parses a URL or a list of libpq settings.
        package init(_ text: String) throws(Malformed) {
            var message: UnsafeMutablePointer<CChar>?
            guard let list = unsafe PQconninfoParse(text, &message) else {
                // libpq's message may repeat the password.
                unsafe PQfreemem(message)
                throw Malformed()
            }
            defer { unsafe PQconninfoFree(list) }
            var found: [String: String] = [:]
            var place = 0
            // Safety: the list ends with an entry without a keyword.
            while let keyword = unsafe list[place].keyword {
                if let value = unsafe list[place].val {
                    unsafe found[String(cString: keyword)] = String(cString: value)
                }
                place += 1
            }
            // Signs that a password was not encoded, so that part of it counts as host or port.
            let ports = (found["port"] ?? "").split(separator: ",")
            guard found["host"]?.contains("@") != true,
                ports.allSatisfy({ UInt16($0) != nil })
            else { throw Malformed() }
            guard found["replication"] == nil else {
                throw Malformed(
                    description:
                        "take `replication` out of the address: Stardust opens connections "
                        + "of both kinds, and sets it itself")
            }
            parameters = found
            secrets = Self.secrets(text, found["password"])
        }

        /// A message without parts of a password; a general one if it has any.
        func withoutSecrets(_ message: String) -> String {
            guard secrets.contains(where: message.contains) else { return message }
            return "the server cannot be reached, or refuses the connection. What it says repeats "
                + "part of the address, and so is not shown"
        }

        private static func secrets(_ text: String, _ password: String?) -> [String] {
            var candidates = [password ?? ""]
            if let scheme = text.firstRange(of: "://"), let end = text.lastIndex(of: "@"),
                scheme.upperBound < end
            {
                let user = text[scheme.upperBound..<end]
                if let colon = user.firstIndex(of: ":") {
                    candidates.append(String(user[user.index(after: colon)...]))
                }
            } else if let start = text.firstRange(of: "password") {
                candidates.append(String(text[start.upperBound...]))
            }
            let pieces = candidates.flatMap { candidate in
                [candidate] + candidate.split { "@:/?&= '\"\\%".contains($0) }.map(String.init)
            }
            return pieces.filter { $0.count >= 3 }
        }
    }
#endif
