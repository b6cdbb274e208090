internal import LedgerFormat
internal import ObjectStore
internal import Platform

extension FileFailure {
    /// The file can be read, but is not what it must be.
    static func broken(_ detail: String) -> FileFailure {
        FileFailure(.read, "", errorNumber: 0, detail)
    }

    var brokenDetail: String? { errorNumber == 0 ? detail : nil }
}

/// Takes a part's bytes: its first line, then those of the segment, then those of the checkpoints.
/// Writes what is beyond what was reached.
struct PartWriter {
    private let named: ArchivedParts.Part
    private let file: any VolumeFile
    private let checkpoints: any VolumeFile
    private let reached: (bytes: Int, checkpoints: Int)
    private var head: [UInt8] = []
    private var taken = 0
    private(set) var part: ArchivePart?

    init(
        _ named: ArchivedParts.Part, _ file: any VolumeFile, _ checkpoints: any VolumeFile,
        _ reached: (bytes: Int, checkpoints: Int)
    ) {
        (self.named, self.file, self.checkpoints) = (named, file, checkpoints)
        self.reached = reached
    }

    /// Whether it added bytes to the segment.
    var hasBytes: Bool { part.map { $0.offset + $0.bytes > reached.bytes } ?? false }

    var problem: String? {
        guard let part, part.first == named.first, part.offset == named.offset,
            part.checkpointOffset == named.checkpointOffset
        else { return "the object is not the part that its name says" }
        return taken == part.bytes + part.checkpointBytes
            ? nil : "the object has not as many bytes as its first line says"
    }

    private func damaged(_ detail: String) -> ArchiveFailure {
        .store(StoreFailure(.damaged, named.key, detail))
    }

    mutating func take(_ piece: Span<UInt8>) throws(ArchiveFailure) {
        var piece = piece
        if part == nil {
            let wanted = min(ArchivePart.lineBytesMax - head.count, piece.count)
            let before = head.count
            for index in 0..<wanted { head.append(piece[index]) }
            guard let found = ArchivePart(head) else {
                guard head.count < ArchivePart.lineBytesMax else {
                    throw damaged("the object is not a part")
                }
                return
            }
            part = found
            piece = piece.extracting((found.line.count - before)...)
        }
        guard let part else { return }
        guard taken + piece.count <= part.bytes + part.checkpointBytes else {
            throw damaged("the object is longer than its first line says")
        }
        do throws(FileFailure) {
            let own = min(max(part.bytes - taken, 0), piece.count)
            try Self.write(
                piece.extracting(0..<own), at: part.offset + taken, beyond: reached.bytes, to: file)
            try Self.write(
                piece.extracting(own...), at: part.checkpointOffset + taken + own - part.bytes,
                beyond: reached.checkpoints, to: checkpoints)
            taken += piece.count
        } catch { throw .file(error) }
    }

    private static func write(
        _ bytes: Span<UInt8>, at offset: Int, beyond reached: Int, to file: any VolumeFile
    ) throws(FileFailure) {
        let skipped = min(max(reached - offset, 0), bytes.count)
        guard skipped < bytes.count else { return }
        try file.write(bytes.extracting(skipped...), at: offset + skipped)
    }
}
