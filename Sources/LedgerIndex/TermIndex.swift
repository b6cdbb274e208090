package import LedgerFormat
internal import LedgerStorage
package import Packets
package import Platform
internal import Synchronization

/// The term index: a log-structured inverted index beside the ledger. The newest packets are in a
/// buffer, full buffers become sorted runs, and runs of one size class are merged. All of it can be
/// deleted and rebuilt from the segments.
///
/// Invariants:
///  1. Runs, waiting buffers and the active buffer follow each other without gaps from position 0.
///  2. Every file has the same key and states which ledger and which positions it covers.
package final class TermIndex: Sendable {
    /// The format of its files; files of another format are rebuilt.
    package static let formatVersion = RunHeader.formatVersion

    package let key: TermKey
    private let volume: any Volume
    private let identity: Digest
    private let state: Mutex<State>

    private struct State {
        var runs: [TermRun] = []
        /// Full buffers that are not yet written.
        var waiting: [TermBuffer] = []
        var active: TermBuffer
        /// Runs that are being merged.
        var claimed: Set<ObjectIdentifier> = []
    }

    // MARK: Opening

    /// Opens the runs in the folder `LedgerLayout.index` that belong to this ledger and follow each
    /// other, and removes all other files, such as those a crash left. `hash` returns the hash of
    /// the last entry at a size; nil beyond the ledger. Without `keepsFiles` nothing is changed on
    /// disk, and what is added stays in memory.
    package init(
        _ volume: any Volume, identity: Digest, keepsFiles: Bool = true,
        hash: (LedgerSize) throws(IndexFailure) -> Digest?
    ) throws(IndexFailure) {
        self.volume = volume
        self.identity = identity
        do throws(FileFailure) {
            if keepsFiles, try !volume.list("").contains(LedgerLayout.index) {
                try volume.makeFolder(LedgerLayout.index)
            }
        } catch { throw IndexFailure(error) }
        var runs: [TermRun] = []
        for run in try Self.runs(volume, keepsFiles: keepsFiles) {
            let start = runs.last?.header.end ?? Position(0)
            let header = run.header
            let isOurs =
                header.first == start && header.identity == identity
                && header.key == runs.first?.header.key ?? header.key
            if isOurs, try hash(LedgerSize(header.end.value)) == header.lastHash {
                runs.append(run)
            } else if keepsFiles {
                try Self.remove(run.path, volume)
            }
        }
        key = runs.first?.header.key ?? .random()
        let end = runs.last?.header.end ?? Position(0)
        state = Mutex(State(runs: runs, active: TermBuffer(first: end)))
    }

    /// The runs that can be opened, by first position, the longest first: a crash in a merge can
    /// leave the merged run and those that it replaces. Removes all other files.
    private static func runs(
        _ volume: any Volume, keepsFiles: Bool
    ) throws(IndexFailure) -> [TermRun] {
        let names: [String]
        do throws(FileFailure) { names = try volume.list(LedgerLayout.index) } catch {
            throw IndexFailure(error)
        }
        var runs: [TermRun] = []
        for name in names {
            let path = LedgerLayout.index + "/" + name
            do throws(IndexFailure) {
                guard name.hasSuffix(".run") else { throw .unusable(path) }
                runs.append(try TermRun(volume, path: path))
            } catch .unusable { if keepsFiles { try remove(path, volume) } }
        }
        return runs.sorted {
            ($0.header.first.value, $1.header.end.value)
                < ($1.header.first.value, $0.header.end.value)
        }
    }

    private static func remove(_ path: String, _ volume: any Volume) throws(IndexFailure) {
        do throws(FileFailure) { try volume.remove(path) } catch  where error.isMissing {} catch {
            throw IndexFailure(error)
        }
    }

    // MARK: State

    /// How much of the ledger the index covers.
    package var size: LedgerSize { LedgerSize(state.withLock { $0.active }.end.value) }

    package var waitingBuffers: Int { state.withLock { $0.waiting.count } }

    /// Total bytes of its files.
    package var fileBytes: Int { state.withLock { $0.runs.reduce(0) { $0 + $1.fileBytes } } }

    package func snapshot() -> TermSnapshot {
        let (runs, waiting, active) = state.withLock { ($0.runs, $0.waiting, $0.active) }
        return TermSnapshot(
            key: key, size: LedgerSize(active.end.value),
            sources: runs.map(TermSource.run)
                + (waiting + [active]).map(TermSource.buffer))
    }

    // MARK: Growing, by one thread

    /// Adds the next packet. Queues a full buffer for writing.
    package func add(
        _ packet: TermBuffer.Packet, _ scanner: borrowing TermScanner, isReadable: Bool
    ) {
        let active = state.withLock { $0.active }
        active.add(packet, scanner, isReadable: isReadable)
        if active.isFull { beginBuffer() }
    }

    /// Queues the active buffer for writing and begins another.
    package func beginBuffer() {
        state.withLock { state in
            guard state.active.count > 0 else { return }
            state.waiting.append(state.active)
            state.active = TermBuffer(first: state.active.end)
        }
    }

    // MARK: Files, by any thread

    /// Writes the oldest waiting buffer. False if there is none. Buffers that a crash loses are
    /// filled again from the ledger.
    package func writeWaitingBuffer() throws(IndexFailure) -> Bool {
        guard let buffer = state.withLock({ $0.waiting.first }) else { return false }
        let run = try written(buffer)
        state.withLock { state in
            state.waiting.removeFirst()
            state.runs.append(run)
        }
        return true
    }

    /// Writes a buffer that was filled separately, to be passed to `append` in its turn.
    package func write(_ buffer: TermBuffer) throws(IndexFailure) -> FinishedRun {
        FinishedRun(run: try written(buffer))
    }

    package struct FinishedRun: Sendable {
        fileprivate let run: TermRun
        package var range: Range<UInt64> { run.header.first.value..<run.header.end.value }
    }

    /// Adds a run that follows the existing ones. No packet may be in memory yet.
    package func append(_ finished: FinishedRun) {
        state.withLock { state in
            precondition(state.active.count == 0 && state.waiting.isEmpty)
            precondition(state.active.first.value == finished.range.lowerBound)
            state.runs.append(finished.run)
            state.active = TermBuffer(first: finished.run.header.end)
        }
    }

    private func written(_ buffer: TermBuffer) throws(IndexFailure) -> TermRun {
        let terms = buffer.sort()
        let contents = buffer.contents
        let end = Position(buffer.first.value + UInt64(contents.count))
        let path = LedgerLayout.index + "/" + RunHeader.fileName(buffer.first, end)
        var writer = try RunWriter(
            volume, path: path,
            RunHeader(
                identity: identity, key: key, first: buffer.first, end: end,
                lastHash: contents.lastHash, termsMax: terms))
        for range in contents.ranges.indices {
            for pair in contents.ranges[range] {
                try writer.add(TermBuffer.term(of: pair), TermBuffer.ordinal(of: pair))
            }
        }
        try writer.finish(
            zones: contents.zones, unindexed: contents.unindexed, flags: contents.flags)
        return try TermRun(volume, path: path)
    }

    // MARK: Merging

    /// Merges a few neighbouring runs of one size class. False if none are due, or if `isCancelled`
    /// said to give up.
    package func merge(isCancelled: () -> Bool = { false }) throws(IndexFailure) -> Bool {
        guard let runs = claim() else { return false }
        defer {
            state.withLock { state in
                for run in runs { state.claimed.remove(ObjectIdentifier(run)) }
            }
        }
        let result = try RunMerge(runs).write(to: volume, isCancelled: isCancelled)
        guard let merged = result else { return false }
        state.withLock { state in
            let start = state.runs.firstIndex { $0 === runs[0] }!
            state.runs.replaceSubrange(start..<start + runs.count, with: [merged])
        }
        // A crash here leaves some of the merged runs beside the new one. Opening removes them.
        for run in runs { try Self.remove(run.path, volume) }
        return true
    }

    /// The first neighbours that are due: `mergeWidth` of one size class, and smaller ones between.
    private func claim() -> [TermRun]? {
        state.withLock { state in
            let classes = state.runs.map(\.sizeClass)
            for wanted in Set(classes).sorted() {
                var members: [Int] = []
                for (index, found) in classes.enumerated() {
                    let isFree = !state.claimed.contains(ObjectIdentifier(state.runs[index]))
                    if found > wanted || !isFree { members = [] }
                    if found == wanted, isFree { members.append(index) }
                    if members.count == IndexLimits.mergeWidth {
                        let runs = Array(state.runs[members[0]...index])
                        state.claimed.formUnion(runs.map { ObjectIdentifier($0) })
                        return runs
                    }
                }
            }
            return nil
        }
    }

    // MARK: Removing

    /// Removes every file of the index in a folder. Readers that have one open can still read it.
    package static func removeFiles(_ volume: any Volume) throws(IndexFailure) {
        do throws(FileFailure) {
            for name in try volume.list(LedgerLayout.index) {
                try volume.remove(LedgerLayout.index + "/" + name)
            }
        } catch { throw IndexFailure(error) }
    }
}
