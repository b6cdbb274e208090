internal import ArgumentParser
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Platform

/// Files named on the command line or in the configuration.
enum InputFile {
    /// Larger than any file that is meant to be read whole.
    private static let bytesMax = 64 << 20

    /// The whole content; `-` is standard input.
    static func content(_ path: String) throws(Failure) -> [UInt8] {
        let descriptor = unsafe path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw Failure(.cannotOpenInput, "\(path): \(errorName(errno))")
        }
        defer { if descriptor > 0 { close(descriptor) } }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            // Safety: the count is that of the borrowed array.
            let count = unsafe read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else {
                throw Failure(.cannotOpenInput, "\(path): \(errorName(errno))")
            }
            if count == 0 { return content }
            content += chunk.prefix(count)
            guard content.count <= bytesMax else {
                throw Failure(.badInput, "\(path) is larger than \(bytesMax) bytes")
            }
        }
    }

    /// A signed note, checkpoint or proof, less what mail and editors do to it: a byte order mark,
    /// CRLF for LF, and more or fewer line ends at the end.
    static func note(_ path: String) throws(Failure) -> [UInt8] {
        var bytes = try content(path)
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        let text = bytes
        bytes = text.indices.filter { place in
            text[place] != 0x0D || place + 1 == text.count || text[place + 1] != 0x0A
        }.map { text[$0] }
        while bytes.last == 0x0A { bytes.removeLast() }
        return bytes.isEmpty ? [] : bytes + [0x0A]
    }

    /// A witness policy (C2SP tlog-policy).
    static func policy(_ path: String, _ exit: ExitCode) throws(Failure) -> WitnessPolicy {
        let text = String(decoding: try note(path), as: UTF8.self)
        do throws(WitnessPolicy.DecodeError) { return try WitnessPolicy(text) } catch {
            throw Failure(exit, "\(path): \(error)")
        }
    }
}

/// Verifier keys given on the command line.
enum VerifierKeyArgument {
    static func read(_ text: String) throws(Failure) -> NoteVerifier {
        // A shell keeps the carriage return that mail put behind a line.
        let text = String(text.unicodeScalars.filter { !$0.properties.isWhitespace })
        do throws(NoteVerifier.DecodeError) { return try NoteVerifier(text) } catch {
            throw Failure(.usage, "\(text): \(error)")
        }
    }
}
