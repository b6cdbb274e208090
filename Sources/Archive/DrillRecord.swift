package import LedgerFormat
package import Platform

/// Says when a drill last passed, in a file of its own.
package struct DrillRecord: Hashable, Sendable {
    package var time: Timestamp
    /// Size of the newest checkpoint that came back.
    package var size: LedgerSize

    private static let firstLine = "stardust-drill/1"

    package init(at time: Timestamp, size: LedgerSize) { (self.time, self.size) = (time, size) }

    /// Replaces the file; durable on return.
    package func write(to path: String) throws(FileFailure) {
        let (folder, name) = Self.parts(path)
        let volume = try PosixVolume(root: folder)
        try volume.replace(name, with: Array("\(Self.firstLine)\n\(time)\n\(size)\n".utf8))
    }

    /// Nil if no drill has passed, or the file is another one.
    package init?(of path: String) {
        let (folder, name) = Self.parts(path)
        guard let volume = try? PosixVolume(root: folder),
            let content = try? volume.content(of: name, atMost: 256)
        else { return nil }
        let lines = String(decoding: content, as: UTF8.self).split(separator: "\n")
        guard lines.count == 3, lines[0] == Self.firstLine,
            let time = Timestamp(rfc3339: String(lines[1])),
            let size = UInt64(canonical: lines[2].utf8)
        else { return nil }
        self.init(at: time, size: LedgerSize(size))
    }

    private static func parts(_ path: String) -> (folder: String, name: String) {
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        let folder = path.dropLast(name.utf8.count)
        return (folder.isEmpty ? "." : String(folder), name)
    }
}
