internal import LedgerFormat
package import LedgerStorage
package import ObjectStore
package import Platform

/// A shipped ledger as a folder that is only read, so that whatever reads a ledger's files can read it
/// in its store. Nothing in it is trusted.
package struct ArchiveVolume: Volume {
    private let files: [String: any VolumeFile]
    /// Parts that are missing between others.
    package let findings: [Finding]

    /// Reads the first lines of the parts and all checkpoints.
    package init(_ ledger: ShippedLedger, _ patience: Patience) throws(ArchiveFailure) {
        var files: [String: any VolumeFile] = [
            LedgerLayout.identity: Self.file(LedgerLayout.identity, ledger.identityBytes)
        ]
        func pieces(_ name: String, _ pieces: [Piece]) -> RemoteFile {
            Self.file(name, pieces, ledger.stores, patience)
        }
        var (checkpoints, findings): ([Piece], [Finding]) = ([], [])
        var last: UInt64?
        for segment in ledger.segments {
            let path = LedgerLayout.segment(segment.first)
            switch segment {
            case .sealed(let mark, let epoch):
                let key = ledger.layout.segment(mark.first, epoch, .segment)
                files[path] = pieces(path, [Piece(key: key, start: 0, count: mark.bytes)])
                Self.add(
                    Piece(
                        key: ledger.layout.segment(mark.first, epoch, .checkpoints), start: 0,
                        count: mark.checkpoints.count), at: mark.checkpoints.lowerBound,
                    goesOn: epoch == last, to: &checkpoints)
                last = epoch
            case .inParts(let first, let epoch):
                let read = try Self.read(
                    first, epoch, ledger, patience, &findings)
                var all = read.map {
                    Piece(key: $0.key, start: $0.part.line.count, count: $0.part.bytes)
                }
                // What came after the epoch's end is not of this ledger.
                if let end = ledger.epochs.end(of: epoch),
                    let count = try Self.bytes(of: pieces(path, all), path, before: end)
                {
                    Self.cut(&all, to: count)
                }
                files[path] = pieces(path, all)
                for (key, part) in read {
                    Self.add(
                        Piece(
                            key: key, start: part.line.count + part.bytes,
                            count: part.checkpointBytes), at: part.checkpointOffset,
                        goesOn: epoch == last, to: &checkpoints)
                    last = epoch
                }
            }
        }
        checkpoints.removeAll { $0.count == 0 }
        if let end = ledger.end {
            // Nor does what was signed for it there.
            let file = pieces(LedgerLayout.checkpoints, checkpoints)
            Self.cut(&checkpoints, to: try Self.checkpoints(of: file, upTo: end))
        }
        if !checkpoints.isEmpty {
            let file = pieces(LedgerLayout.checkpoints, checkpoints)
            files[LedgerLayout.checkpoints] = file
            if let newest = try Self.newest(in: file) {
                files[LedgerLayout.checkpoint] = Self.file(LedgerLayout.checkpoint, newest)
            }
        }
        (self.files, self.findings) = (files, findings)
    }

    /// Bytes of an object that stand in a file.
    private struct Piece: Sendable {
        var key: String
        var start: Int
        var count: Int
    }

    /// Adds what stands at a place of the original's file. What another epoch has takes the place of what
    /// was there; one epoch's bytes are the same wherever they stand.
    private static func add(
        _ piece: Piece, at offset: Int, goesOn: Bool, to pieces: inout [Piece]
    ) {
        var piece = piece
        if goesOn {
            let known = min(max(0, pieces.reduce(0) { $0 + $1.count } - offset), piece.count)
            piece.start += known
            piece.count -= known
        } else {
            cut(&pieces, to: offset)
        }
        pieces.append(piece)
    }

    private static func cut(_ pieces: inout [Piece], to count: Int) {
        var end = pieces.reduce(0) { $0 + $1.count }
        while end > count, let last = pieces.last {
            let kept = max(0, last.count - (end - count))
            end -= last.count - kept
            pieces[pieces.count - 1].count = kept
            if kept == 0 { pieces.removeLast() }
        }
    }

    /// Bytes of a segment before the record of a position; nil if it has none.
    private static func bytes(
        of file: any VolumeFile, _ name: String, before end: Position
    ) throws(ArchiveFailure) -> Int? {
        do throws(FileFailure) {
            guard case .success(let header) = try SegmentCursor.open(file, name: name) else {
                return nil
            }
            var cursor = try SegmentCursor(file, header: header)
            var offset = cursor.offset
            while case .record(let record) = try cursor.next() {
                if record.entry.position >= end { return offset }
                offset = cursor.offset
            }
            return nil
        } catch { throw .file(error) }
    }

    /// The parts of a segment that follow each other, with their first lines, from the store that has
    /// most of it.
    private static func read(
        _ first: Position, _ epoch: UInt64, _ ledger: ShippedLedger, _ patience: Patience,
        _ findings: inout [Finding]
    ) throws(ArchiveFailure) -> [(key: String, part: ArchivePart)] {
        let parts = ledger.parts(of: epoch)
        let store = parts.indices.max {
            (parts[$0].chain(first).last?.offset ?? -1)
                < (parts[$1].chain(first).last?.offset ?? -1)
        }!
        var (found, offset): ([(String, ArchivePart)], Int) = ([], 0)
        for part in parts[store].chain(first) {
            var objects = ShippedObjects(ledger, patience)
            var head: [UInt8] = []
            let count = min(part.objectBytes, ArchivePart.lineBytesMax)
            try objects.read(part.key, 0..<count, in: store) { () throws(ArchiveFailure) in
                head = []
            } take: { (piece) throws(ArchiveFailure) in
                for index in piece.indices { head.append(piece[index]) }
            } isRight: { () throws(ArchiveFailure) in
                ArchivePart(head)?.objectBytes == part.objectBytes
                    ? nil : "the object is not a part"
            }
            let read = ArchivePart(head)!
            found.append((part.key, read))
            offset = read.offset + read.bytes
        }
        if let beyond = parts[store].all(first).filter({ $0.offset > offset }).min(by: {
            $0.offset < $1.offset
        }) {
            findings.append(
                Finding(
                    .archiveGap, file: "\(ledger.stores[store].name)/\(beyond.key)",
                    position: first, offset: ByteOffset(offset),
                    "the part before this one is missing"))
        }
        return found
    }

    /// Bytes of the checkpoints of sizes up to a position.
    private static func checkpoints(
        of file: any VolumeFile, upTo end: Position
    ) throws(ArchiveFailure) -> Int {
        do throws(FileFailure) {
            var cursor = try CheckpointCursor(file)
            var count = 0
            while case .record(let record) = try cursor.next(),
                record.published.checkpoint.size.entries <= end.value
            { count = cursor.offset }
            return count
        } catch { throw .file(error) }
    }

    private static func newest(in file: any VolumeFile) throws(ArchiveFailure) -> [UInt8]? {
        do throws(FileFailure) {
            var cursor = try CheckpointCursor(file)
            var newest: [UInt8]?
            while case .record(let record) = try cursor.next() {
                newest = record.published.note.bytes
            }
            return newest
        } catch { throw .file(error) }
    }

    private static func file(_ name: String, _ bytes: [UInt8]) -> RemoteFile {
        RemoteFile(name, bytes: bytes.count) { (offset, count) throws(StoreFailure) in
            Array(bytes[offset...].prefix(count))
        }
    }

    private static func file(
        _ name: String, _ pieces: [Piece], _ stores: [any ObjectStore], _ patience: Patience
    ) -> RemoteFile {
        var starts: [Int] = []
        var end = 0
        for piece in pieces {
            starts.append(end)
            end += piece.count
        }
        let places = starts
        return RemoteFile(name, bytes: end) { (offset, count) throws(StoreFailure) in
            let index = places.lastIndex { $0 <= offset }!
            let (piece, place) = (pieces[index], offset - places[index])
            let first = piece.start + place
            let range = first..<first + min(count, piece.count - place)
            var failure: StoreFailure?
            for store in stores {
                var bytes: [UInt8] = []
                do throws(StoreFailure) {
                    try store.get(piece.key, range, version: nil, patience) { part in
                        for index in part.indices { bytes.append(part[index]) }
                    }
                    return bytes
                } catch { failure = failure ?? error }
            }
            throw failure ?? StoreFailure(.missing, piece.key, "there is no store")
        }
    }

    // MARK: Volume

    package func open(_ path: String, _ access: FileAccess) throws(FileFailure) -> any VolumeFile {
        guard access == .read else { throw readOnly(.open, path) }
        guard let file = files[path] else {
            throw FileFailure(.open, path, errorNumber: FileFailure.missingNumber)
        }
        return file
    }

    package func list(_ folder: String) throws(FileFailure) -> [String] {
        let prefix = folder.isEmpty ? "" : folder + "/"
        return Set(
            files.keys.filter { $0.hasPrefix(prefix) }
                .map { String($0.dropFirst(prefix.count).prefix { $0 != "/" }) }
        ).sorted()
    }

    private func readOnly(_ operation: FileFailure.Operation, _ path: String) -> FileFailure {
        FileFailure(operation, path, errorNumber: FileFailure.readOnlyNumber)
    }

    package func makeFolder(_ path: String) throws(FileFailure) {
        throw readOnly(.makeFolder, path)
    }
    package func rename(_ old: String, to new: String) throws(FileFailure) {
        throw readOnly(.rename, old)
    }
    package func renameNew(_ old: String, to new: String) throws(FileFailure) {
        throw readOnly(.rename, old)
    }
    package func remove(_ path: String) throws(FileFailure) { throw readOnly(.remove, path) }
    package func requireInPlace() throws(FileFailure) {}
    package func syncFolder(_ folder: String) throws(FileFailure) {}
}
