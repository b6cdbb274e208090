internal import Glibc
package import LedgerFormat

/// When something that runs now and then last ended, and how, in a file of its own.
package struct RunRecord: Hashable, Sendable {
    package enum Kind: String, Sendable { case drill, verify, backup }

    package var kind: Kind
    package var time: Timestamp
    /// Entries that it was about.
    package var size: LedgerSize
    package var isPassed: Bool
    /// Nil in records of versions that did not name it.
    package var ledgerID: UUID128?

    private static let failed = "failed"
    private static let ledger = "ledger "

    package init(
        _ kind: Kind, of ledgerID: UUID128?, at time: Timestamp, size: LedgerSize,
        isPassed: Bool = true
    ) {
        (self.kind, self.time, self.size, self.isPassed) = (kind, time, size, isPassed)
        self.ledgerID = ledgerID
    }

    /// Replaces the file; durable on return.
    package func write(to path: String) throws(FileFailure) {
        let (folder, name) = Self.parts(path)
        let volume = try PosixVolume(root: folder)
        var lines = ["stardust-\(kind)/1", "\(time)", "\(size)"]
        if let ledgerID { lines.append("\(Self.ledger)\(ledgerID)") }
        if !isPassed { lines.append(Self.failed) }
        let content = Array((lines.joined(separator: "\n") + "\n").utf8)
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

    /// Fails where the file could not be written, or is something else: only such a record is ever replaced.
    package static func check(_ kind: Kind, _ path: String) throws(FileFailure) {
        let (folder, name) = parts(path)
        let volume = try PosixVolume(root: folder)
        guard !name.isEmpty else { throw FileFailure(.create, path, errorNumber: EISDIR) }
        guard try volume.list("").contains(name) else { return }
        _ = try volume.open(name, .update)
        let content = try volume.content(of: name, atMost: bytesMax)
        guard content.isEmpty || content.starts(with: "stardust-\(kind)/1\n".utf8) else {
            throw FileFailure(.create, path, errorNumber: EEXIST)
        }
    }

    private static let bytesMax = 1 << 20

    /// Nil if nothing has ended yet, or the file is another one, or of another ledger than `ledger`.
    package init?(_ kind: Kind, of path: String, ledger: UUID128?) {
        let (folder, name) = Self.parts(path)
        guard let volume = try? PosixVolume(root: folder),
            let content = try? volume.content(of: name, atMost: 256)
        else { return nil }
        let lines = String(decoding: content, as: UTF8.self).split(separator: "\n")
        guard lines.count >= 3, lines[0] == "stardust-\(kind)/1",
            let time = Timestamp(rfc3339: String(lines[1])),
            let size = UInt64(canonical: lines[2].utf8)
        else { return nil }
        self.init(kind, of: nil, at: time, size: LedgerSize(size))
        for line in lines.dropFirst(3) {
            if line == Self.failed {
                isPassed = false
            } else if line.hasPrefix(Self.ledger), let id = UUID128(line.dropFirst(7)) {
                ledgerID = id
            } else {
                return nil
            }
        }
        if let ledgerID, let ledger, ledgerID != ledger { return nil }
    }

    private static func parts(_ path: String) -> (folder: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (String(path[...slash]), String(path[path.index(after: slash)...]))
    }
}
