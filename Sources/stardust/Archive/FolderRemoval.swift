internal import Glibc
internal import LedgerStorage
internal import Platform

/// Removes what an interrupted `restore` left, and nothing else.
enum FolderRemoval {
    static func removeRestoring(_ path: String) throws(FileFailure) {
        let volume = try PosixVolume(root: path)
        let known: Set<String> = [
            LedgerLayout.identity, LedgerLayout.segments, LedgerLayout.ids, LedgerLayout.archived,
            LedgerLayout.checkpoints, LedgerLayout.checkpoint, LedgerLayout.restored,
        ]
        for name in try volume.list("") {
            let plain = name.hasSuffix(".tmp") ? String(name.dropLast(4)) : name
            guard known.contains(plain) else {
                throw FileFailure(
                    .remove, "\(path)/\(name)", errorNumber: EEXIST,
                    "no restore wrote this; remove \(path) yourself if it is not needed")
            }
        }
        for folder in [LedgerLayout.segments, LedgerLayout.ids, LedgerLayout.archived] {
            for name in try volume.list(folder) { try volume.remove("\(folder)/\(name)") }
            _ = unsafe rmdir("\(path)/\(folder)")
        }
        for name in try volume.list("") { try volume.remove(name) }
        guard unsafe rmdir(path) == 0 else { throw FileFailure(.remove, path, errorNumber: errno) }
    }
}
