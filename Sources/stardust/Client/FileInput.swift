internal import Glibc
internal import LedgerStorage
internal import Platform
internal import Synchronization

/// Reads lines from files or standard input, in pieces.
// Unchecked: only the sending task reads; `cancel` may be called from any thread.
final class FileInput: @unchecked Sendable {
    private var files: ArraySlice<String>
    private let lineBytesMax: Int
    private var descriptor: Int32?
    private var rest: [UInt8] = []
    /// The last piece passed on ended in the middle of a line.
    private var isWithinLongLine = false
    /// The rest of the input is no longer wanted.
    private let isCancelled = Atomic<Bool>(false)
    /// Size of all files; nil if any is not a plain file.
    let totalBytes: Int?

    private static let chunkBytes = 256 << 10

    enum Piece {
        case lines([UInt8])
        /// Part of a line longer than the daemon accepts.
        case longLine([UInt8], isStart: Bool)
    }

    init(_ files: [String], lineBytesMax: Int) {
        self.files = files[...]
        self.lineBytesMax = lineBytesMax
        var total: Int? = 0
        for file in files {
            var status = stat()
            let isPlain =
                unsafe file != "-" && stat(file, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
            total = isPlain ? total.map { $0 + Int(status.st_size) } : nil
        }
        totalBytes = total
    }

    /// Fails before anything is sent if a file cannot be read.
    func checkFiles() throws(Failure) {
        for file in files where file != "-" {
            var status = stat()
            if unsafe stat(file, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
                throw Failure(.cannotOpenInput, "\(file) is a folder")
            }
            guard unsafe access(file, R_OK) == 0 else {
                throw Failure(.cannotOpenInput, "\(file): \(errorName(errno))")
            }
        }
    }

    /// The next whole lines, or a part of a long one; nil at the end. Blocks.
    func next() throws(Failure) -> Piece? {
        while !isCancelled.load(ordering: .relaxed) {
            if let piece = whole() { return piece }
            guard let descriptor = try openNext() else { return nil }
            // A pipe may stay silent for long, so wake up regularly to notice a cancellation.
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if unsafe Glibc.poll(&poll, 1, 100) == 0 { continue }
            var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
            // Safety: the count is that of the borrowed array.
            let count = unsafe chunk.withUnsafeMutableBytes {
                unsafe read(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                throw Failure(.inputOutput, "\(files.first ?? "input"): \(errorName(errno))")
            }
            rest += chunk.prefix(count)
            guard count == 0 else { continue }
            close(descriptor)
            self.descriptor = nil
            files.removeFirst()
            // A file's last line may lack its line end.
            if isWithinLongLine || (rest.last ?? 0x0A) != 0x0A { rest.append(0x0A) }
        }
        return nil
    }

    /// The part of the bytes read so far that can be passed on.
    private func whole() -> Piece? {
        if isWithinLongLine {
            guard !rest.isEmpty else { return nil }
            let end = rest.firstIndex(of: 0x0A)
            isWithinLongLine = end == nil
            return .longLine(take(end.map { $0 + 1 } ?? rest.count), isStart: false)
        }
        if let end = rest.lastIndex(of: 0x0A) { return .lines(take(end + 1)) }
        // No daemon accepts a line this long. It is passed on so that the daemon refuses it.
        guard rest.count > lineBytesMax else { return nil }
        isWithinLongLine = true
        return .longLine(take(rest.count), isStart: true)
    }

    private func take(_ count: Int) -> [UInt8] {
        defer { rest.removeSubrange(..<count) }
        return Array(rest[..<count])
    }

    /// Stops reading at once. May be called from any thread.
    func cancel() { isCancelled.store(true, ordering: .relaxed) }

    private func openNext() throws(Failure) -> Int32? {
        if let descriptor { return descriptor }
        guard let file = files.first else { return nil }
        descriptor = file == "-" ? 0 : unsafe open(file, O_RDONLY)
        guard descriptor! >= 0 else {
            throw Failure(.cannotOpenInput, "\(file): \(errorName(errno))")
        }
        return descriptor
    }
}

/// A request body that arrives in pieces, for `LineExchange`.
protocol BodyInput: Sendable {
    /// The next bytes; nil at the end. Blocks.
    func next() throws(Failure) -> [UInt8]?
    /// Stops reading at once. May be called from any thread.
    func cancel()
}

extension FileInput {
    /// The lines, unchanged.
    struct Plain: BodyInput {
        let input: FileInput

        func next() throws(Failure) -> [UInt8]? {
            switch try input.next() {
            case nil: nil
            case .lines(let bytes), .longLine(let bytes, isStart: _): bytes
            }
        }

        func cancel() { input.cancel() }
    }
}
