internal import Glibc
internal import LedgerFormat
internal import Packets
internal import Platform

/// One file of settings: a JSON object, in which lines that begin with `#` are comments.
struct ConfigurationFile {
    let path: String
    let document: JSONDocument
    /// Whether names of users, groups and other files are looked up.
    let resolves: Bool

    init(_ path: String, resolves: Bool) throws(Failure) {
        if resolves { try Self.checkOwner(path) }
        let content: [UInt8]
        do throws(FileFailure) {
            content = try PosixVolume(root: path.givenFolder).content(of: path.lastName)
        } catch { throw Failure(.cannotOpenInput, error.description) }
        try self.init(content, path, resolves: resolves)
    }

    init(_ content: [UInt8], _ path: String, resolves: Bool) throws(Failure) {
        (self.path, self.resolves) = (path, resolves)
        let bytes = Self.withoutComments(content)
        do throws(JSONError) { document = try JSONDocument(bytes) } catch {
            throw Failure(
                .badConfiguration,
                "\(path):\(Self.place(error.offset, in: bytes)): \(error.code.sentence)")
        }
    }

    /// The files that make up a configuration: the one that is named, then those in the folder of its name
    /// with `.d` behind it, in the order of their names.
    static func all(_ path: String, resolves: Bool) throws(Failure) -> [ConfigurationFile] {
        var files = [try ConfigurationFile(path, resolves: resolves)]
        let folder = path + ".d"
        guard unsafe access(folder, F_OK) == 0 else { return files }
        let names: [String]
        do throws(FileFailure) { names = try PosixVolume(root: folder).list("") } catch {
            throw Failure(.cannotOpenInput, error.description)
        }
        for name in names.sorted() where name.hasSuffix(".json") && !name.hasPrefix(".") {
            files.append(try ConfigurationFile("\(folder)/\(name)", resolves: resolves))
        }
        return files
    }

    /// The same bytes with comments as blanks, so that every other byte stays where it is. A string of JSON holds
    /// no line break, so no line within one is taken for a comment.
    static func withoutComments(_ content: [UInt8]) -> [UInt8] {
        var (bytes, isLineStart, isComment) = (content, true, false)
        for index in bytes.indices {
            if bytes[index] == 0x0A {
                (isLineStart, isComment) = (true, false)
                continue
            }
            if isLineStart { isComment = bytes[index] == UInt8(ascii: "#") }
            isLineStart = false
            if isComment { bytes[index] = 0x20 }
        }
        return bytes
    }

    /// `line:column` of a byte, from 1.
    static func place(_ offset: Int, in bytes: [UInt8]) -> String {
        let before = bytes.prefix(offset)
        let line = before.count { $0 == 0x0A } + 1
        let column = offset - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
        return "\(line):\(column)"
    }

    func place(of index: Int) -> String {
        let token = document.tokens[index]
        // Of a text with its quotes.
        let quote = token.kind == .key || token.kind == .string ? 1 : 0
        return "\(path):\(Self.place(token.bytes.lowerBound - quote, in: document.bytes))"
    }

    /// Refuses a file that others could change: it decides who may do what.
    static func checkOwner(_ path: String) throws(Failure) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw Failure(.badConfiguration, "\(path) is not a regular file")
        }
        let isOurs = status.st_uid == 0 || status.st_uid == geteuid()
        guard isOurs, status.st_mode & 0o022 == 0 else {
            throw Failure(
                .badConfiguration,
                "\(path) can be changed by others: it must belong to root or to the daemon's user, "
                    + "and neither group nor others may write to it; "
                    + "run `\(isOurs ? "chmod go-w" : "chown root") \(path)`")
        }
        let folder = path.givenFolder
        guard unsafe stat(folder, &status) == 0, status.st_mode & 0o002 != 0,
            status.st_mode & UInt32(S_ISVTX) == 0
        else { return }
        throw Failure(
            .badConfiguration,
            "\(path) can be replaced by others, because everybody may write to \(folder); move it to "
                + "a folder that only root or the daemon's user may write to, such as /etc/stardust"
        )
    }
}
