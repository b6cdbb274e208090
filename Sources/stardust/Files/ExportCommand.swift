import ArgumentParser
internal import CPlatform
internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a ledger to a tar file for an auditor.",
        discussion: """
            The file has everything that `stardust verify` judges, and neither private keys, nor the \
            read model, nor what can be derived. Works while the daemon serves; the copy may then end \
            within the last write, which verify calls a torn tail.

              stardust export LEDGER ledger.tar && tar -tf ledger.tar
            """)

    @Argument(help: "The ledger's folder.", completion: .directory)
    var ledger: String

    @Argument(help: "The file, which must not exist yet.", completion: .file())
    var file: String

    @OptionGroup var result: ResultOptions

    func run() throws {
        let volume: PosixVolume
        do throws(FileFailure) { volume = try PosixVolume(root: ledger) } catch {
            throw Failure(OpenFailure.file(error))
        }
        let identity: LedgerIdentity
        do throws(OpenFailure) { identity = try Ledger.identity(volume) } catch {
            throw Failure(error)
        }
        guard !volume.contains(file) else {
            throw Failure(
                .cannotCreate, "\(file) would lie in the ledger's own folder; name another place")
        }
        let archive = try TarFile(file)
        var entries = 0
        do throws(FileFailure) {
            // What says how far the ledger goes comes first, and the newest segment last.
            let names = [
                LedgerLayout.checkpoint, LedgerLayout.checkpoints, LedgerLayout.closeMarker,
                LedgerLayout.forkAlarm, LedgerLayout.identity,
            ]
            let there = Set(try volume.list(""))
            for name in names where there.contains(name) {
                try archive.add(volume, name, in: "stardust-\(identity.ledgerID)")
                entries += 1
            }
            let segments = try volume.list(LedgerLayout.segments).filter { $0.hasSuffix(".seg") }
            for name in segments.sorted() {
                let path = "\(LedgerLayout.segments)/\(name)"
                try archive.add(
                    volume, path, in: "stardust-\(identity.ledgerID)",
                    withoutZerosAtEnd: segments.filter { $0 > name }.count < 2)
                entries += 1
            }
        } catch { throw Failure(.inputOutput, error.description) }
        try archive.finish()
        try result.show("\(entries) files of \(identity.origin); no private key, no read model") {
            json in
            json.member("files", entries)
            json.member("origin", identity.origin)
        }
    }
}

extension PosixVolume {
    /// Whether a path's folder is this one, or within it.
    fileprivate func contains(_ path: String) -> Bool {
        // Safety: the system allocates the text; it is copied and freed.
        guard let folder = unsafe realpath(path.givenFolder, nil) else { return false }
        defer { unsafe free(folder) }
        return unsafe (String(cString: folder) + "/").hasPrefix(root + "/")
    }
}

/// Writes the `ustar` format (POSIX.1-2017, pax, "ustar Interchange Format") beside a file, and puts it
/// in that file's place at the end.
private final class TarFile {
    private let path: String
    private let beside: String
    private let descriptor: Int32
    private var isFinished = false

    private static let block = 512
    private static let chunk = 1 << 20

    init(_ path: String) throws(Failure) {
        (self.path, beside) = (path, "\(path).\(getpid()).tmp")
        var status = stat()
        guard unsafe lstat(path, &status) != 0 else {
            throw Failure(.cannotCreate, "\(path) exists already; name a file that does not")
        }
        descriptor = unsafe open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Failure(.cannotCreate, "\(path): \(errorName(errno))")
        }
    }

    deinit {
        close(descriptor)
        if !isFinished { unsafe unlink(beside) }
    }

    /// Zeros at the end of the newest segment are room for more records; the one before it may still
    /// have some while the newest begins.
    func add(
        _ volume: PosixVolume, _ name: String, in folder: String, withoutZerosAtEnd: Bool = false
    ) throws(FileFailure) {
        let source = try volume.open(name, .read)
        let whole = try source.size()
        let size = withoutZerosAtEnd ? try Self.end(of: source, whole) : whole
        try write(Self.header("\(folder)/\(name)", size))
        var buffer = [UInt8](repeating: 0, count: Self.chunk)
        var done = 0
        while done < size {
            let count = try source.read(
                into: &buffer, 0..<min(Self.chunk, size - done), at: done)
            guard count > 0 else { throw FileFailure(.read, name, errorNumber: EIO) }
            try write(Array(buffer[..<count]))
            done += count
        }
        try write([UInt8](repeating: 0, count: (Self.block - size % Self.block) % Self.block))
    }

    /// Where a file's last byte is that is not zero, at the next multiple of eight: records end there.
    private static func end(of file: any VolumeFile, _ size: Int) throws(FileFailure) -> Int {
        var buffer = [UInt8](repeating: 0, count: chunk)
        var start = (size - 1) / chunk * chunk
        while start >= 0 {
            let count = try file.read(into: &buffer, 0..<min(chunk, size - start), at: start)
            if let last = buffer[..<count].lastIndex(where: { $0 != 0 }) {
                return min(size, (start + last) / 8 * 8 + 8)
            }
            start -= chunk
        }
        return 0
    }

    private static func header(_ name: String, _ size: Int) -> [UInt8] {
        var header = [UInt8](repeating: 0, count: block)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() { header[offset + index] = byte }
        }
        func octal(_ value: Int, _ digits: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        put(name, at: 0)
        put(octal(0o400, 7), at: 100)
        put(octal(0, 7), at: 108)
        put(octal(0, 7), at: 116)
        put(octal(size, 11), at: 124)
        put(octal(time(nil), 11), at: 136)
        put("        ", at: 148)
        put("0", at: 156)
        put("ustar\u{0}00", at: 257)
        put(octal(header.reduce(0) { $0 + Int($1) }, 6) + "\u{0} ", at: 148)
        return header
    }

    private func write(_ bytes: [UInt8]) throws(FileFailure) {
        let number = Output.write(bytes, to: descriptor)
        if number != 0 { throw FileFailure(.write, path, errorNumber: number) }
    }

    /// Two blocks of zeros end the archive.
    func finish() throws(Failure) {
        do throws(FileFailure) {
            try write([UInt8](repeating: 0, count: 2 * Self.block))
        } catch { throw Failure(.inputOutput, error.description) }
        guard fsync(descriptor) == 0 else {
            throw Failure(.inputOutput, "\(path) could not be written: \(errorName(errno))")
        }
        // Somebody may have made the file meanwhile.
        let code = unsafe stardust_rename_new(beside, path)
        guard code == 0 else {
            throw Failure(.cannotCreate, "\(path) could not be made: \(errorName(-code))")
        }
        isFinished = true
    }
}
