internal import Glibc
package import LedgerFormat
internal import Packets
internal import Platform
internal import Synchronization

/// Finds credentials where AWS's own programs look for them, and renews those that expire: the
/// service's own credential `archive`, the environment, the shared file, the container's address,
/// the machine's (IMDSv2). The first one that is there counts.
package final class CredentialSource: Sendable {
    private let profile: String?
    private let environment: @Sendable (String) -> String?
    private let transport = HTTPTransport(
        {
            var place = HTTPTransport.Place()
            place.silence = .seconds(5)
            return place
        }())
    private let known = Mutex<StoreCredentials?>(nil)

    /// `profile` is a section of the file; `default` unless it or `AWS_PROFILE` names one.
    package init(
        profile: String?, environment: @escaping @Sendable (String) -> String?
    ) {
        (self.profile, self.environment) = (profile, environment)
    }

    /// Credentials that hold for five minutes more. May ask an address on this machine or near it.
    package func current(_ now: Timestamp = .systemNow()) throws(StoreFailure) -> StoreCredentials {
        if let known = known.withLock({ $0 }), known.holds(at: now) { return known }
        do throws(StoreFailure) {
            let found = try find()
            known.withLock { $0 = found }
            return found
        } catch {
            // Those that still hold for a moment are better than none.
            if let known = known.withLock({ $0 }), known.expires.map({ now < $0 }) ?? false {
                return known
            }
            throw error
        }
    }

    /// Forgets what it knows, because a store refused it.
    package func renew() { known.withLock { $0 = nil } }

    private func find() throws(StoreFailure) -> StoreCredentials {
        if let folder = environment("CREDENTIALS_DIRECTORY"),
            let found = try file("\(folder)/archive", isNeeded: false)
        {
            return found
        }
        // Who names a section means that one, and not what else is there.
        if profile == nil, let key = environment("AWS_ACCESS_KEY_ID"),
            let secret = environment("AWS_SECRET_ACCESS_KEY")
        {
            return StoreCredentials(
                accessKey: key, secret: secret, token: environment("AWS_SESSION_TOKEN"))
        }
        if let path = environment("AWS_SHARED_CREDENTIALS_FILE") {
            if let found = try file(path, isNeeded: true) { return found }
        } else if let home = environment("HOME"),
            let found = try file("\(home)/.aws/credentials", isNeeded: false)
        {
            return found
        }
        if let profile { throw refused("credentials: no file has a section [\(profile)]") }
        if let found = try container() { return found }
        return try machine()
    }

    private func refused(_ detail: String) -> StoreFailure { StoreFailure(.refused, "", detail) }

    // MARK: Files

    private func file(
        _ path: String, isNeeded: Bool
    ) throws(StoreFailure) -> StoreCredentials? {
        let content: [UInt8]
        do throws(FileFailure) {
            content = try PosixVolume(root: path.givenFolder).content(of: path.lastName)
        } catch {
            if error.isMissing, !isNeeded { return nil }
            throw refused("credentials: \(error)")
        }
        let section = profile ?? environment("AWS_PROFILE") ?? "default"
        let values = Self.section(section, of: String(decoding: content, as: UTF8.self))
        guard let values else {
            if profile == nil, environment("AWS_PROFILE") == nil, !isNeeded { return nil }
            throw refused("credentials: \(path) has no section [\(section)]")
        }
        guard let key = values["aws_access_key_id"], let secret = values["aws_secret_access_key"]
        else {
            throw refused(
                "credentials: [\(section)] of \(path) lacks aws_access_key_id or "
                    + "aws_secret_access_key")
        }
        return StoreCredentials(
            accessKey: key, secret: secret, token: values["aws_session_token"])
    }

    /// Names and values of a section; nil if there is none of that name.
    static func section(_ name: String, of text: String) -> [String: String]? {
        var (found, isInside): ([String: String]?, Bool) = (nil, false)
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.trimmed
            if line.hasPrefix("["), line.hasSuffix("]") {
                isInside = line.dropFirst().dropLast().trimmed == name
                if isInside, found == nil { found = [:] }
            } else if isInside, !line.hasPrefix("#"), !line.hasPrefix(";"),
                let equals = line.firstIndex(of: "=")
            {
                let key = line[..<equals].trimmed.lowercased()
                found?[key] = line[line.index(after: equals)...].trimmed
            }
        }
        return found
    }

    // MARK: Addresses

    /// The role of a container, or of a pod.
    private func container() throws(StoreFailure) -> StoreCredentials? {
        let url: String
        if let relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            url = "http://169.254.170.2\(relative)"
        } else if let full = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            url = full
        } else {
            return nil
        }
        var headers: [(name: String, value: String)] = []
        if let path = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            do throws(FileFailure) {
                let content = try PosixVolume(root: path.givenFolder).content(of: path.lastName)
                headers.append(("authorization", String(decoding: content, as: UTF8.self).trimmed))
            } catch { throw refused("credentials: \(error)") }
        } else if let token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN") {
            headers.append(("authorization", token))
        }
        return try temporary(url, headers)
    }

    /// The role of the machine, by version 2 of its metadata service, which wants a token first.
    private func machine() throws(StoreFailure) -> StoreCredentials {
        let address =
            environment("AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? "http://169.254.169.254"
        let base = address.hasSuffix("/") ? String(address.dropLast()) : address
        guard environment("AWS_EC2_METADATA_DISABLED")?.lowercased() != "true" else {
            throw refused(Self.nowhere)
        }
        let token: HTTPTransport.Answer
        do throws(StoreFailure) {
            token = try transport.send(
                HTTPTransport.Request(
                    "PUT", "\(base)/latest/api/token",
                    headers: [("x-aws-ec2-metadata-token-ttl-seconds", "300")],
                    body: ObjectBody([])))
        } catch { throw refused(Self.nowhere) }
        guard token.status == 200 else { throw refused(Self.nowhere) }
        let headers = [
            ("x-aws-ec2-metadata-token", String(decoding: token.body, as: UTF8.self))
        ]
        let path = "\(base)/latest/meta-data/iam/security-credentials/"
        let roles = try transport.send(HTTPTransport.Request("GET", path, headers: headers))
        let role = String(decoding: roles.body, as: UTF8.self).split(whereSeparator: \.isNewline)
        guard roles.status == 200, let first = role.first else {
            throw refused("credentials: this machine has no role; \(path) answered \(roles.status)")
        }
        return try temporary(path + first, headers)
    }

    private static let nowhere =
        "there are no credentials: neither $CREDENTIALS_DIRECTORY/archive, AWS_ACCESS_KEY_ID and "
        + "AWS_SECRET_ACCESS_KEY, a shared file, a container's address nor a machine's role"

    /// Credentials as both addresses give them: JSON, and for a limited time.
    private func temporary(
        _ url: String, _ headers: [(name: String, value: String)]
    ) throws(StoreFailure) -> StoreCredentials {
        let answer = try transport.send(HTTPTransport.Request("GET", url, headers: headers))
        guard answer.status == 200, let document = try? JSONDocument(answer.body, limits: .answer)
        else { throw refused("credentials: \(url) answered \(answer.status)") }
        var values: [String: String] = [:]
        for key in JSONChildren(document.tokens, of: 0) where document.tokens[0].kind == .object {
            guard document.tokens[key + 1].kind == .string else { continue }
            func text(_ index: Int) -> String {
                String(decoding: document.bytes.span.text(document.tokens[index]), as: UTF8.self)
            }
            values[text(key)] = text(key + 1)
        }
        guard let key = values["AccessKeyId"], let secret = values["SecretAccessKey"] else {
            throw refused("credentials: \(url) answered without AccessKeyId and SecretAccessKey")
        }
        return StoreCredentials(
            accessKey: key, secret: secret, token: values["Token"],
            expires: values["Expiration"].flatMap { Timestamp(rfc3339: $0) })
    }
}

extension StoreCredentials {
    /// Whether they hold for a while after `now`.
    fileprivate func holds(at now: Timestamp) -> Bool {
        guard let expires else { return true }
        let ahead = Int64(StoreLimits.renewal / .microseconds(1))
        return now.microseconds + ahead < expires.microseconds
    }
}
