internal import LedgerFormat
internal import LedgerStorage
internal import Logging
internal import Platform
internal import Synchronization

/// Blocks of archived segments in a folder of their own, the least recently read ones removed first.
/// All of it can be fetched again, so nothing is synced, and what cannot be kept is only read.
final class BlockCache: Sendable {
    static let blockBytes = 256 << 10

    struct Block: Hashable, Sendable {
        var first: Position
        var index: Int

        var offset: Int { index * BlockCache.blockBytes }
        fileprivate var name: String { "\(first)-\(index).block" }

        fileprivate init(_ first: Position, _ index: Int) {
            (self.first, self.index) = (first, index)
        }

        fileprivate init?(name: String) {
            guard name.hasSuffix(".block") else { return nil }
            let parts = name.dropLast(6).split(separator: "-")
            guard parts.count == 2, let first = UInt64(parts[0]), let index = Int(parts[1]) else {
                return nil
            }
            self.init(Position(first), index)
        }
    }

    /// The blocks that have a range's bytes.
    static func blocks(of first: Position, _ range: Range<Int>) -> [Block] {
        let indices = range.lowerBound / blockBytes...(max(range.upperBound, 1) - 1) / blockBytes
        return indices.map { Block(first, $0) }
    }

    /// Nil if nothing is kept.
    private let volume: (any Volume)?
    /// How many blocks stay open.
    private let filesOpen: Int
    private let logger: Logger
    private let state: Mutex<State>

    private struct State {
        var kept: [Block: (bytes: Int, lastUse: UInt64, file: (any VolumeFile)?)] = [:]
        /// Those that this process fetched, and did not find on the disk.
        var fetched: Set<Block> = []
        var bytes = 0
        var bytesMax: Int
        var uses: UInt64 = 0
        var isFull = false
        var openFiles = 0

        mutating func note(_ block: Block, bytes count: Int, _ file: (any VolumeFile)?) {
            forget(block)
            uses += 1
            kept[block] = (count, uses, file)
            bytes += count
        }

        mutating func forget(_ block: Block) {
            guard let old = kept.removeValue(forKey: block) else { return }
            bytes -= old.bytes
            if old.file != nil { openFiles -= 1 }
        }

        /// Keeps a file open, and closes all if there are as many as `limit`.
        mutating func open(_ file: any VolumeFile, of block: Block, _ limit: Int) {
            guard let known = kept[block], known.file == nil else { return }
            if openFiles >= limit {
                for block in kept.keys { kept[block]!.file = nil }
                openFiles = 0
            }
            kept[block]!.file = file
            openFiles += 1
        }
    }

    init(_ volume: (any Volume)?, bytesMax: Int, filesOpen: Int, logger: Logger) {
        (self.volume, self.logger) = (volume, logger)
        self.filesOpen = filesOpen
        var found = State(bytesMax: bytesMax)
        for name in (try? volume?.list("")) ?? [] {
            // Nothing but what was written here is touched.
            if let block = Block(name: name), let file = try? volume?.open(name, .read) {
                found.note(block, bytes: (try? file.size()) ?? 0, nil)
            } else if name.hasSuffix(".block.tmp"), Block(name: String(name.dropLast(4))) != nil {
                try? volume?.remove(name)
            }
        }
        state = Mutex(found)
    }

    /// Bytes of a block; fewer if the block ends. Nil if it is not kept, or cannot be read with
    /// `access`.
    func read(_ block: Block, _ range: Range<Int>, _ access: ReadAccess) -> [UInt8]? {
        guard let volume else { return nil }
        let known = state.withLock { state -> (bytes: Int, file: (any VolumeFile)?)? in
            guard let kept = state.kept[block] else { return nil }
            state.uses += 1
            state.kept[block]!.lastUse = state.uses
            return (kept.bytes, kept.file)
        }
        guard let known else { return nil }
        let range = range.clamped(to: 0..<known.bytes)
        var bytes = [UInt8](repeating: 0, count: range.count)
        do throws(FileFailure) {
            guard let file = known.file else {
                if access == .cachedOnly { return nil }
                let file = try volume.open(block.name, .read)
                let count = try file.read(into: &bytes, 0..<bytes.count, at: range.lowerBound)
                state.withLock { $0.open(file, of: block, filesOpen) }
                return Array(bytes.prefix(count))
            }
            let count =
                access == .cachedOnly
                ? try file.readCached(into: &bytes, 0..<bytes.count, at: range.lowerBound)
                : try file.read(into: &bytes, 0..<bytes.count, at: range.lowerBound)
            return count == bytes.count ? bytes : nil
        } catch {
            // Whoever removed it, it can be fetched again.
            forget(block)
            return nil
        }
    }

    /// The folder; nil if nothing is kept.
    var folder: String? { (volume as? PosixVolume)?.root }

    /// Keeps at most so many bytes from now on.
    func limit(to bytes: Int) {
        state.withLock { $0.bytesMax = bytes }
        makeRoom(for: 0)
    }

    /// Removes what was not read for longest. False if there is no room for so much at all.
    @discardableResult private func makeRoom(for count: Int) -> Bool {
        let victims = state.withLock { state -> [Block]? in
            guard count <= state.bytesMax else { return nil }
            var victims: [Block] = []
            while state.bytes + count > state.bytesMax,
                let oldest = state.kept.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.forget(oldest.key)
                victims.append(oldest.key)
            }
            return victims
        }
        for victim in victims ?? [] { try? volume?.remove(victim.name) }
        return victims != nil
    }

    func keep(_ block: Block, _ bytes: [UInt8]) {
        guard let volume, makeRoom(for: bytes.count) else { return }
        do throws(FileFailure) {
            try volume.replaceDerived(block.name, with: bytes)
            state.withLock { state in
                state.note(block, bytes: bytes.count, nil)
                state.fetched.insert(block)
                state.isFull = false
            }
        } catch {
            let isNew = state.withLock { state in
                defer { state.isFull = true }
                return !state.isFull
            }
            try? volume.remove(block.name + ".tmp")
            if isNew {
                logger.log(
                    .archiveCacheFailed, "what is fetched from the archive cannot be kept: \(error)"
                )
            }
        }
    }

    func forget(_ block: Block) {
        state.withLock { $0.forget(block) }
        try? volume?.remove(block.name)
    }

    /// Whether a block's bytes may be those of the disk, which may have changed them.
    func isOld(_ block: Block) -> Bool {
        state.withLock { $0.kept[block] != nil && !$0.fetched.contains(block) }
    }
}
