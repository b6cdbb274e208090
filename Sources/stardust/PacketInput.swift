internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Synchronization

/// Packets from files or standard input, as an NDJSON body in pieces. Packets without an id get
/// one.
// Unchecked: the task that sends is the only one that reads; `packetsSent` is asked when it ended.
final class PacketInput: @unchecked Sendable {
    private var files: ArraySlice<String>
    private var descriptor: Int32?
    private var rest: [UInt8] = []
    /// The line that was passed on last has not ended.
    private var isWithinLongLine = false
    /// Nobody wants what is still to come.
    private let isCancelled = Atomic<Bool>(false)
    private var reader = PacketReader()
    /// How often each packet without an id has come.
    private var repetitions: [Digest: UInt64] = [:]
    private(set) var packetsSent = 0
    /// Size of all files; nil where one is not a plain file.
    let totalBytes: Int?

    private static let chunkBytes = 256 << 10

    init(files: [String]) {
        self.files = files[...]
        var total: Int? = 0
        for file in files {
            var status = stat()
            let isPlain =
                unsafe file != "-" && stat(file, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
            total = isPlain ? total.map { $0 + Int(status.st_size) } : nil
        }
        totalBytes = total
    }

    /// Refuses the whole command before anything is sent where a file cannot be read.
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

    /// The next whole lines; nil at the end. Blocks.
    func next() throws(Failure) -> [UInt8]? {
        while !isCancelled.load(ordering: .relaxed) {
            guard let descriptor = try openNext() else { return nil }
            // A pipe may be silent for long: look now and then whether anybody still waits for it.
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if unsafe Glibc.poll(&poll, 1, 100) == 0 { continue }
            var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
            // Safety: the count is that of the array that is lent.
            let count = unsafe chunk.withUnsafeMutableBytes {
                unsafe read(descriptor, $0.baseAddress, $0.count)
            }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                throw Failure(.inputOutput, "\(files.first ?? "input"): \(errorName(errno))")
            }
            if count == 0 {
                close(descriptor)
                self.descriptor = nil
                files.removeFirst()
                guard !rest.isEmpty else { continue }
                defer { rest = [] }
                return prepared(rest)
            }
            let before = rest.count
            rest += chunk.prefix(count)
            if let end = chunk[..<count].lastIndex(of: 0x0A) {
                let lines = Array(rest[...(before + end)])
                rest.removeSubrange(...(before + end))
                defer { isWithinLongLine = false }
                return isWithinLongLine ? lines : prepared(lines)
            }
            // No daemon takes a line of this length: it is passed on, to be refused there.
            guard rest.count > PacketLimits.packetBytesMax else { continue }
            if !isWithinLongLine { packetsSent += 1 }
            isWithinLongLine = true
            defer { rest = [] }
            return rest
        }
        return nil
    }

    /// Ends the input where it is; from any thread.
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

    // MARK: Ids

    private func prepared(_ lines: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(lines.count)
        for line in lines.split(separator: 0x0A, omittingEmptySubsequences: false) {
            let packet = Array(line)
            let payload = JSONText.trimmed(packet.span)
            if !payload.isEmpty { packetsSent += 1 }
            result += withID(packet, payload)
            result.append(0x0A)
        }
        result.removeLast(lines.last == 0x0A ? 1 : 0)
        return result
    }

    /// What is no packet is left as it is: the daemon says why.
    private func withID(_ line: [UInt8], _ payload: Range<Int>) -> [UInt8] {
        let bytes = line.span.extracting(payload)
        guard let facts = try? reader.read(bytes), facts.stardustID == nil else { return line }
        let digest = Digest.sha256(bytes)
        let repetition = repetitions[digest, default: 0]
        repetitions[digest] = repetition + 1
        let member = "\"stardust_id\":\"\(Self.id(digest, repetition))\","
        return Array(line[..<(payload.lowerBound + 1)]) + Array(member.utf8)
            + Array(line[(payload.lowerBound + 1)...])
    }

    /// The same for the same packet at the same repetition, whenever it is sent.
    private static func id(_ digest: Digest, _ repetition: UInt64) -> UUID128 {
        var hasher = SHA256Hasher()
        hasher.update(digest)
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            hasher.update(UInt8(truncatingIfNeeded: repetition >> shift))
        }
        let bytes = hasher.finish().bytes
        return UUID128(bytes.span, at: 0).shapedAsVersion4
    }
}
