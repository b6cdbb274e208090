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
            throw Failure(.inputOutput, "\(path) could not be written: \(errorName(cause))")
        }
    }

    private static func writeThrough(_ bytes: [UInt8], _ path: String) throws(Failure) {
        let descriptor = unsafe open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(.cannotCreate, path) }
        let number = fill(descriptor, bytes)
        guard number == 0 else {
            throw Failure(.inputOutput, "\(path) could not be written: \(errorName(number))")
        }
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
