internal import LedgerFormat
internal import LedgerStorage
internal import ObjectStore
internal import Platform

/// Where the records of checkpoints are that belong to a segment.
enum CheckpointPlaces {
    /// Where the first record from `start` on begins whose size is beyond a position, or where the
    /// file ends. Position 0 has those of size 0 too.
    static func first(
        in file: any VolumeFile, from start: Int, beyond first: Position
    ) throws(StoreFailure) -> Int {
        if first == Position(0) { return 0 }
        if let found = try search(file, from: start, beyond: first) { return found }
        do throws(FileFailure) { return try file.size() } catch {
            throw StoreFailure(.source, "", "\(error)")
        }
    }

    /// Likewise, but nil if there is no such record yet.
    static func search(
        _ file: any VolumeFile, from start: Int, beyond position: Position
    ) throws(StoreFailure) -> Int? {
        do throws(FileFailure) {
            var cursor = try CheckpointCursor(file, from: start)
            while true {
                switch try cursor.next() {
                case .end: return nil
                case .damage(let damage):
                    throw FileFailure(
                        .read, LedgerLayout.checkpoints, errorNumber: FileFailure.inputOutputNumber,
                        damage.detail)
                case .record(let record):
                    let size = record.published.checkpoint.size
                    if size.entries > position.value { return record.offset }
                }
            }
        } catch { throw StoreFailure(.source, "", "\(error)") }
    }
}
