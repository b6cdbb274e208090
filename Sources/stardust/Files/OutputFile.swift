internal import ArgumentParser
internal import Glibc
internal import Platform

/// Files that a person names for output.
enum OutputFile {
    /// Writes all bytes, or fails. A regular file is replaced as a whole, so that a crash leaves the
    /// old content or the new; anything else, such as a pipe or a link, is written through. `-` is
    /// standard output.
    static func write(_ bytes: [UInt8], to path: String) throws(Failure) {
        if path == "-" { return try Output.foreign(bytes) }
        var status = stat()
        let isThere = unsafe lstat(path, &status) == 0
        guard !isThere || (status.st_mode & S_IFMT == S_IFREG && status.st_nlink == 1) else {
            return try writeThrough(bytes, path)
        }
        let beside = "\(path).\(getpid())-\(UInt32.random(in: .min ... .max)).tmp"
        let mode = isThere ? status.st_mode & 0o777 : 0o666
        let descriptor = unsafe open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw failure(.cannotCreate, path) }
        let number = fill(descriptor, bytes)
        guard number == 0, unsafe rename(beside, path) == 0 else {
            let cause = number == 0 ? errno : number
            unsafe unlink(beside)
            throw unwritten(path, cause)
        }
    }

    /// Makes a file that must not exist, from the pieces that `body` passes on. It appears whole or not at all.
    static func make(
        _ path: String, _ body: (([UInt8]) throws(Failure) -> Void) throws(Failure) -> Void
    ) throws(Failure) {
        let beside = "\(path).\(getpid())-\(UInt32.random(in: .min ... .max)).tmp"
        let descriptor = unsafe open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw failure(.cannotCreate, path) }
        defer { unsafe unlink(beside) }
        do throws(Failure) {
            try body { (bytes) throws(Failure) in
                let number = Output.write(bytes, to: descriptor)
                guard number == 0 else { throw unwritten(path, number) }
            }
        } catch {
            close(descriptor)
            throw error
        }
        guard close(descriptor) == 0 else { throw unwritten(path, errno) }
        guard unsafe link(beside, path) == 0 else { throw failure(.cannotCreate, path) }
    }

    private static func unwritten(_ path: String, _ number: Int32) -> Failure {
        Failure(.inputOutput, "\(path) could not be written: \(errorName(number))")
    }

    private static func writeThrough(_ bytes: [UInt8], _ path: String) throws(Failure) {
        let descriptor = unsafe open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(.cannotCreate, path) }
        let number = fill(descriptor, bytes)
        guard number == 0 else { throw unwritten(path, number) }
    }

    private static func failure(_ exit: ExitCode, _ path: String) -> Failure {
        Failure(exit, "\(path): \(errorName(errno))")
    }

    /// Writes everything and closes. Returns the error number of what failed, or 0.
    private static func fill(_ descriptor: Int32, _ bytes: [UInt8]) -> Int32 {
        let number = Output.write(bytes, to: descriptor)
        let isClosed = close(descriptor) == 0
        return number != 0 ? number : isClosed ? 0 : errno
    }
}
