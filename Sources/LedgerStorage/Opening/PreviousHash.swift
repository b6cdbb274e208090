internal import LedgerFormat
internal import Platform

extension LedgerMap.State {
    /// The hash that the entry at a position links to; nil if the entry is missing or cannot be read.
    func previous(
        of position: Position, _ volume: any Volume
    ) throws(FileFailure) -> Digest? {
        switch self.place(of: position) {
        case nil: return nil
        case .inMemory(let slot, let header):
            guard slot.isReadable else { return nil }
            return try Self.previous(
                in: volume.open(LedgerLayout.segment(header.firstPosition), .read), slot)
        case .open(let slot, let file, _): return try Self.previous(in: file, slot)
        case .sealed(let header, let position):
            if position == header.firstPosition { return header.previous }
            let ids = try volume.open(LedgerLayout.ids(header.firstPosition), .read)
            let ordinal = Int(position.value - header.firstPosition.value)
            var window = ReadWindow(firstBytes: IDsFile.slotBytes)
            guard let slot = try IDsFile.Reader(ids)?.slot(ordinal, &window, .blocking) else {
                return nil
            }
            return try Self.previous(
                in: volume.open(LedgerLayout.segment(header.firstPosition), .read), slot)
        }
    }

    private static func previous(
        in file: any VolumeFile, _ slot: IDsFile.Slot
    ) throws(FileFailure) -> Digest? {
        var bytes = [UInt8](repeating: 0, count: Entry.byteCount)
        let start = Int(slot.offset) + RecordFrame.byteCount
        guard try file.read(into: &bytes, 0..<bytes.count, at: start) == bytes.count else {
            return nil
        }
        // The walk over the segment has already reported an entry that cannot be read.
        return try? Entry(bytes.span, at: 0).previous
    }
}
