internal import Glibc
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
        let content = Array("\(Self.firstLine)\n\(time)\n\(size)\n".utf8)
        // Whoever watches it is another user, and it is no secret.
        let beside = ".\(name).\(UInt64.random(in: 0 ... .max))"
        _ = try volume.createWhole(beside, mode: 0o644) { (file) throws(FileFailure) in
            try file.write(content.span, at: 0)
        }
        do throws(FileFailure) { try volume.rename(beside, to: name) } catch {
            try? volume.remove(beside)
            throw error
        }
        try volume.syncFolder("")
    }

    /// Fails where the file could not be written.
    package static func check(_ path: String) throws(FileFailure) {
        let (folder, name) = parts(path)
        let volume = try PosixVolume(root: folder)
        guard !name.isEmpty else { throw FileFailure(.create, path, errorNumber: EISDIR) }
        guard try volume.list("").contains(name) else { return }
        _ = try volume.open(name, .update)
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
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (String(path[...slash]), String(path[path.index(after: slash)...]))
    }
}
