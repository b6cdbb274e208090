internal import HeapModule
internal import LedgerFormat
internal import LedgerStorage
internal import Platform

/// Finds hashes that occur more than once among any number, in bounded memory. If they do not fit,
/// sorted runs go to a temporary folder and are merged at the end.
struct DuplicateFinder: ~Copyable {
    private let idsInMemory: Int
    private let folder: String
    private var pending: [UInt64] = []
    private var runs: [Run] = []

    /// A sorted run in a file that is already unlinked, so that not even a crash leaves it behind.
    private struct Run {
        let file: any VolumeFile
        let count: Int
    }

    private static let key: (UInt64, UInt64) = {
        var generator = SystemRandomNumberGenerator()
        return (generator.next(), generator.next() | 1)
    }()

    /// A hash that the ledger's author cannot predict.
    static func hash(_ id: UUID128) -> UInt64 {
        let product = (id.high ^ key.0).multipliedFullWidth(by: id.low ^ key.1)
        return product.high ^ product.low
    }

    init(idsInMemory: Int, folder: String) {
        self.idsInMemory = idsInMemory
        self.folder = folder
    }

    mutating func add(_ hashes: [UInt64]) throws(FileFailure) {
        pending += hashes
        if pending.count >= idsInMemory { try spill() }
    }

    /// Hashes that occurred more than once.
    consuming func finish() throws(FileFailure) -> Set<UInt64> {
        var found: Set<UInt64> = []
        if runs.isEmpty {
            pending.sort()
            for index in pending.indices.dropFirst() where pending[index] == pending[index - 1] {
                found.insert(pending[index])
            }
            return found
        }
        try spill()
        var merge = try SortedMerge(runs.map { ($0.file, $0.count) })
        var last: UInt64?
        while let hash = try merge.next() {
            if hash == last { found.insert(hash) }
            last = hash
        }
        return found
    }

    private mutating func spill() throws(FileFailure) {
        pending.sort()
        let volume = try PosixVolume(root: folder)
        let name = "stardust-verify-\(UInt64.random(in: 0 ... .max))"
        // Nothing is synced. A crash between these two calls leaves an empty temporary file.
        let file = try volume.open(name, .create(mode: 0o600))
        try volume.remove(name)
        var bytes = [UInt8](repeating: 0, count: pending.count * 8)
        var span = bytes.mutableSpan
        for (index, hash) in pending.enumerated() { span.store(hash, at: index * 8) }
        try file.write(bytes.span, at: 0)
        runs.append(Run(file: file, count: pending.count))
        pending.removeAll(keepingCapacity: true)
    }
}

/// Reads sorted runs side by side, smallest first.
private struct SortedMerge {
    private struct Reader {
        let file: any VolumeFile
        let count: Int
        var taken = 0
        var buffer: [UInt8] = []
        var bufferStart = 0

        var isDone: Bool { taken == count }

        mutating func peek() throws(FileFailure) -> UInt64 {
            if (taken - bufferStart) * 8 >= buffer.count {
                bufferStart = taken
                buffer = [UInt8](repeating: 0, count: min(count - taken, 8192) * 8)
                _ = try file.read(into: &buffer, 0..<buffer.count, at: taken * 8)
            }
            return buffer.span.littleEndian(at: (taken - bufferStart) * 8)
        }
    }

    private var readers: [Reader]
    private var heap: Heap<Head>

    /// What a reader returns next.
    private struct Head: Comparable {
        let hash: UInt64
        let reader: Int

        static func < (left: Head, right: Head) -> Bool { left.hash < right.hash }
    }

    init(_ runs: [(file: any VolumeFile, count: Int)]) throws(FileFailure) {
        readers = runs.map { Reader(file: $0.file, count: $0.count) }
        heap = Heap()
        for index in readers.indices { try push(index) }
    }

    private mutating func push(_ reader: Int) throws(FileFailure) {
        guard !readers[reader].isDone else { return }
        heap.insert(Head(hash: try readers[reader].peek(), reader: reader))
    }

    mutating func next() throws(FileFailure) -> UInt64? {
        guard let head = heap.popMin() else { return nil }
        readers[head.reader].taken += 1
        try push(head.reader)
        return head.hash
    }
}
