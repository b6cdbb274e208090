/// The part of a file that was read last. What lies near is often wanted next, and copying a few
/// kilobytes more costs less than another system call.
struct ReadWindow: ~Copyable {
    private var file: (any VolumeFile)?
    private(set) var bytes: [UInt8] = []
    /// Where in the file `bytes` begins.
    private var start = 0
    private var count = 0
    private let firstBytes: Int

    private static let bytesMax = 32 << 10

    /// Reads so many bytes at a time at first, and twice as many as before for a place that is no
    /// further behind the window than the window is long.
    init(firstBytes: Int) { self.firstBytes = firstBytes }

    /// Where in `bytes` the file's bytes from `offset` on are, and how many: at least `wanted`,
    /// unless the file ends. `isFresh` where they were read now.
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

    /// Forgets what was read, which may have been written anew.
    mutating func forget() { (file, count) = (nil, 0) }
}
