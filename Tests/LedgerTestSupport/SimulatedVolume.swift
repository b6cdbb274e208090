import LedgerStorage
import PipelineWorkload
import Platform
import Synchronization
import TestSupport

/// A disk in memory that forgets: what was not synced is lost, torn, reordered or turned to junk
/// when the power fails. One seed is one run.
package final class SimulatedVolume: Volume {
    private let disk: Mutex<Disk>

    package init(seed: UInt64) { disk = Mutex(Disk(seed: seed)) }

    private init(_ disk: Disk) { self.disk = Mutex(disk) }

    // MARK: Faults

    /// The power fails at the n-th call from now: it and all later ones fail.
    package func cutPower(after calls: Int) { disk.withLock { $0.callsLeft = calls } }

    package var hasPower: Bool { disk.withLock { $0.callsLeft.map { $0 > 0 } ?? true } }

    /// Calls made so far.
    package var calls: Int { disk.withLock { $0.calls } }

    /// From now on a sync of a file whose path ends so does nothing, and says that it did.
    package func skipSyncs(ofPathsEnding suffix: String) {
        disk.withLock { $0.skippedSuffix = suffix }
    }

    /// The n-th call of an operation from now fails once with an errno.
    package func fail(
        _ operation: FileFailure.Operation, afterCalls: Int = 0, errorNumber: Int32
    ) {
        disk.withLock { $0.injected = (operation, afterCalls, errorNumber) }
    }

    /// Room that is left, in bytes: what would grow beyond it fails for want of space.
    package func limitRoom(to bytes: Int?) { disk.withLock { $0.roomBytes = bytes } }

    /// The disk as it is found when the power is back: any subset of the unsynced sectors, some of
    /// them junk, and any first part of the unsynced names of each folder.
    package func afterPowerCut() -> SimulatedVolume {
        SimulatedVolume(disk.withLock { $0.afterPowerCut() })
    }

    /// Changes a file's bytes behind everybody's back.
    package func damage(_ path: String, _ body: (inout [UInt8]) -> Void) {
        disk.withLock { disk in
            let inode = disk.names[path]!
            body(&disk.inodes[inode]!.content)
            disk.inodes[inode]!.durable = disk.inodes[inode]!.content
        }
    }

    /// A copy that shares nothing with this one.
    package func copy() -> SimulatedVolume { SimulatedVolume(disk.withLock { $0 }) }

    package func bytes(of path: String) -> [UInt8]? {
        disk.withLock { disk in disk.names[path].map { disk.inodes[$0]!.content } }
    }

    /// The paths of all files.
    package var paths: [String] { disk.withLock { $0.names.keys.sorted() } }

    package func put(_ path: String, _ content: [UInt8]?) {
        disk.withLock { disk in
            guard let content else {
                disk.names[path] = nil
                disk.durableNames[path] = nil
                return
            }
            let inode = disk.makeInode()
            disk.inodes[inode] = Disk.Inode(content: content, durable: content)
            disk.names[path] = inode
            disk.durableNames[path] = inode
        }
    }

    // MARK: Volume

    package func open(_ path: String, _ access: FileAccess) throws(FileFailure) -> any VolumeFile {
        let inode = try call(access.creates ? .create : .open, path) { disk throws(FileFailure) in
            if case .create = access {
                guard disk.names[path] == nil else {
                    throw FileFailure(.create, path, errorNumber: FileFailure.existsNumber)
                }
                let inode = disk.makeInode()
                disk.setName(path, inode)
                return inode
            }
            guard let inode = disk.names[path] else {
                throw FileFailure(.open, path, errorNumber: FileFailure.missingNumber)
            }
            return inode
        }
        return SimulatedFile(volume: self, inode: inode, path: path)
    }

    package func list(_ folder: String) throws(FileFailure) -> [String] {
        try call(.list, folder) { disk in
            disk.names.keys.filter { $0.folder == folder }.map(\.lastName)
        }
    }

    package func makeFolder(_ path: String) throws(FileFailure) {}

    package func rename(_ old: String, to new: String) throws(FileFailure) {
        try call(.rename, old) { disk throws(FileFailure) in
            guard let inode = disk.names[old] else {
                throw FileFailure(.rename, old, errorNumber: FileFailure.missingNumber)
            }
            disk.setName(old, nil, new: (new, inode))
        }
    }

    package func renameNew(_ old: String, to new: String) throws(FileFailure) {
        guard bytes(of: new) == nil else {
            throw FileFailure(.rename, old, errorNumber: FileFailure.existsNumber)
        }
        try rename(old, to: new)
    }

    package func requireInPlace() {}

    package func remove(_ path: String) throws(FileFailure) {
        try call(.remove, path) { disk throws(FileFailure) in
            guard disk.names[path] != nil else {
                throw FileFailure(.remove, path, errorNumber: FileFailure.missingNumber)
            }
            disk.setName(path, nil)
        }
    }

    package func syncFolder(_ folder: String) throws(FileFailure) {
        try call(.sync, folder) { $0.syncNames(folder) }
    }

    fileprivate func call<Result: Sendable>(
        _ operation: FileFailure.Operation, _ path: String,
        _ body: (inout Disk) throws(FileFailure) -> Result
    ) throws(FileFailure) -> Result {
        try disk.withLock { disk throws(FileFailure) in
            try disk.count(operation, path)
            return try body(&disk)
        }
    }
}

extension FileAccess {
    fileprivate var creates: Bool { if case .create = self { true } else { false } }
}

private final class SimulatedFile: VolumeFile {
    let volume: SimulatedVolume
    let inode: Int
    let path: String

    init(volume: SimulatedVolume, inode: Int, path: String) {
        self.volume = volume
        self.inode = inode
        self.path = path
    }

    func permissions() throws(FileFailure) -> UInt32 { 0o400 }

    func isPrivate() throws(FileFailure) -> Bool { true }

    func linkCount() throws(FileFailure) -> Int { 1 }

    func lock() throws(FileFailure) {}

    func size() throws(FileFailure) -> Int {
        try volume.call(.size, path) { $0.inodes[inode]!.content.count }
    }

    func read(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int {
        let bytes = try volume.call(.read, path) { disk in
            let content = disk.inodes[inode]!.content
            return Array(content.dropFirst(offset).prefix(range.count))
        }
        buffer.replaceSubrange(range.lowerBound..<range.lowerBound + bytes.count, with: bytes)
        return bytes.count
    }

    func readCached(
        into buffer: inout [UInt8], _ range: Range<Int>, at offset: Int
    ) throws(FileFailure) -> Int? { try read(into: &buffer, range, at: offset) }

    func write(_ bytes: Span<UInt8>, at offset: Int) throws(FileFailure) {
        let copy = (0..<bytes.count).map { bytes[$0] }
        try volume.call(.write, path) { disk throws(FileFailure) in
            try disk.takeRoom(inode, end: offset + copy.count, path, .write)
            disk.inodes[inode]!.write(copy, at: offset)
        }
    }

    func allocate(_ size: Int) throws(FileFailure) {
        try volume.call(.allocate, path) { disk throws(FileFailure) in
            try disk.takeRoom(inode, end: size, path, .allocate)
            disk.inodes[inode]!.resize(to: size)
        }
    }

    func truncate(to size: Int) throws(FileFailure) {
        try volume.call(.truncate, path) { $0.inodes[inode]!.resize(to: size) }
    }

    func syncData() throws(FileFailure) { try sync() }

    func sync() throws(FileFailure) {
        try volume.call(.sync, path) { disk in
            if let suffix = disk.skippedSuffix, path.hasSuffix(suffix) { return }
            disk.inodes[inode]!.sync()
        }
    }

    func dropCache() throws(FileFailure) {}
}

/// What a `SimulatedVolume` guards.
private struct Disk: Sendable {
    static let sectorBytes = 512

    struct Inode: Sendable {
        /// As readers see it.
        var content: [UInt8] = []
        /// As it was at the last sync.
        var durable: [UInt8] = []
        /// Since then, in order.
        var pending: [Change] = []

        enum Change: Sendable {
            case write([UInt8], at: Int)
            case resize(to: Int)
        }

        mutating func write(_ bytes: [UInt8], at offset: Int) {
            Self.apply(.write(bytes, at: offset), to: &content)
            pending.append(.write(bytes, at: offset))
        }

        mutating func resize(to size: Int) {
            Self.apply(.resize(to: size), to: &content)
            pending.append(.resize(to: size))
        }

        mutating func sync() {
            durable = content
            pending = []
        }

        static func apply(_ change: Change, to content: inout [UInt8]) {
            switch change {
            case .resize(let size):
                if size < content.count {
                    content.removeLast(content.count - size)
                } else {
                    content += [UInt8](repeating: 0, count: size - content.count)
                }
            case .write(let bytes, let offset):
                let end = offset + bytes.count
                if end > content.count { apply(.resize(to: end), to: &content) }
                content.replaceSubrange(offset..<end, with: bytes)
            }
        }
    }

    var generator: SeededGenerator
    var inodes: [Int: Inode] = [:]
    var names: [String: Int] = [:]
    var durableNames: [String: Int] = [:]
    /// Unsynced changes of names, in order: each sets some names at once.
    var pendingNames: [[(path: String, inode: Int?)]] = []
    var nextInode = 1

    var calls = 0
    var callsLeft: Int?
    var skippedSuffix: String?
    var injected: (operation: FileFailure.Operation, after: Int, errorNumber: Int32)?
    var roomBytes: Int?

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    mutating func count(_ operation: FileFailure.Operation, _ path: String) throws(FileFailure) {
        calls += 1
        if let left = callsLeft {
            callsLeft = max(0, left - 1)
            if left <= 0 {
                throw FileFailure(operation, path, errorNumber: FileFailure.inputOutputNumber)
            }
        }
        guard let (wanted, after, number) = injected, wanted == operation else { return }
        injected = after > 0 ? (wanted, after - 1, number) : nil
        if after == 0 { throw FileFailure(operation, path, errorNumber: number) }
    }

    mutating func takeRoom(
        _ inode: Int, end: Int, _ path: String, _ operation: FileFailure.Operation
    ) throws(FileFailure) {
        let growth = end - inodes[inode]!.content.count
        guard growth > 0, let room = roomBytes else { return }
        guard growth <= room else {
            throw FileFailure(operation, path, errorNumber: FileFailure.noSpaceNumber)
        }
        roomBytes = room - growth
    }

    mutating func makeInode() -> Int {
        defer { nextInode += 1 }
        inodes[nextInode] = Inode()
        return nextInode
    }

    mutating func setName(_ path: String, _ inode: Int?, new: (String, Int)? = nil) {
        var change: [(path: String, inode: Int?)] = [(path, inode)]
        if let new { change.append((new.0, new.1)) }
        for (path, inode) in change { names[path] = inode }
        pendingNames.append(change)
    }

    mutating func syncNames(_ folder: String) {
        for change in pendingNames where change[0].path.folder == folder {
            for (path, inode) in change { durableNames[path] = inode }
        }
        pendingNames.removeAll { $0[0].path.folder == folder }
    }

    mutating func afterPowerCut() -> Disk {
        var found = self
        found.callsLeft = nil
        found.injected = nil
        found.calls = 0
        var cut: Set<String> = []
        for change in pendingNames {
            // Names of a folder become durable in order, as far as the journal got.
            let folder = change[0].path.folder
            if cut.contains(folder) || Bool.random(using: &generator) {
                cut.insert(folder)
                continue
            }
            for (path, inode) in change { found.durableNames[path] = inode }
        }
        found.names = found.durableNames
        found.pendingNames = []
        for (number, inode) in inodes {
            let content = remains(of: inode)
            found.inodes[number] = Inode(content: content, durable: content)
        }
        found.generator = SeededGenerator(seed: generator.next())
        return found
    }

    /// The durable content with some of the sectors that were written since.
    private mutating func remains(of inode: Inode) -> [UInt8] {
        var content = inode.durable
        // All, none, or each sector by itself.
        let fate = Int.random(in: 0..<4, using: &generator)
        for change in inode.pending {
            switch change {
            case .resize:
                if fate != 0 { Inode.apply(change, to: &content) }
            case .write(let bytes, let offset):
                var start = 0
                while start < bytes.count {
                    let end = min(
                        bytes.count,
                        (offset + start) / Self.sectorBytes * Self.sectorBytes + Self.sectorBytes
                            - offset)
                    keep(Array(bytes[start..<end]), at: offset + start, fate, &content)
                    start = end
                }
            }
        }
        return content
    }

    private mutating func keep(
        _ sector: [UInt8], at offset: Int, _ fate: Int, _ content: inout [UInt8]
    ) {
        switch fate {
        case 0: return
        case 1: Inode.apply(.write(sector, at: offset), to: &content)
        default:
            switch Int.random(in: 0..<8, using: &generator) {
            case 0...3: Inode.apply(.write(sector, at: offset), to: &content)
            case 4:
                let part = Int.random(in: 0...sector.count, using: &generator)
                Inode.apply(.write(Array(sector.prefix(part)), at: offset), to: &content)
            case 5:
                let junk = sector.map { _ in UInt8.random(in: 1...255, using: &generator) }
                Inode.apply(.write(junk, at: offset), to: &content)
            default: return
            }
        }
    }
}
