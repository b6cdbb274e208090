internal import Platform

/// The part of a file that was read last. Nearby bytes are often needed next, and copying a few
/// more kilobytes costs less than another system call.
struct ReadWindow: ~Copyable {
    private var file: (any VolumeFile)?
    private(set) var bytes: [UInt8] = []
    /// Where in the file `bytes` begins.
    private var start = 0
    private var count = 0
    private let firstBytes: Int

    private static let bytesMax = 32 << 10

    /// The first read takes `firstBytes`. A read that begins at most one window's length after the
    /// window doubles that, up to `bytesMax`.
    init(firstBytes: Int) { self.firstBytes = firstBytes }

    /// Where in `bytes` the file's bytes from `offset` on begin, and how many there are: at least
    /// `wanted`, unless the file ends. `isFresh` if this call read them.
    mutating func find(
        _ wanted: Int, of file: any VolumeFile, at offset: Int, _ access: ReadAccess
    ) throws(FileFailure) -> (index: Int, count: Int, isFresh: Bool) {
        if file === self.file, offset >= start, offset + wanted <= start + count {
            return (offset - start, start + count - offset, false)
        }
        let goesOn = file === self.file && (start...start + 2 * count).contains(offset)
        let size = goesOn ? min(count * 2, Self.bytesMax) : firstBytes
        let needed = max(wanted, size)
        if bytes.count < needed { bytes = [UInt8](repeating: 0, count: needed) }
        (self.file, start, count) = (file, offset, 0)
        count = try file.read(into: &bytes, 0..<needed, atLeast: wanted, at: offset, access)
        return (0, count, true)
    }

    /// Forgets what was read, because the file may have been written since.
    mutating func forget() { (file, count) = (nil, 0) }
}
