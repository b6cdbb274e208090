internal import Glibc

/// A folder for files that are needed as long as the value exists. A process that is killed leaves it.
package final class ScratchFolder: Sendable {
    package let path: String

    /// `parent` is where temporary files go.
    package init(in parent: String, _ name: String) throws(FileFailure) {
        var template = Array("\(parent)/\(name)-XXXXXX".utf8CString)
        // Safety: the template ends with a zero byte, and mkdtemp changes it in place.
        guard unsafe mkdtemp(&template) != nil else {
            throw FileFailure(.makeFolder, parent, errorNumber: errno)
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    /// Removes a folder and what is in it. What cannot be removed stays, for the system's own cleaning.
    private static func remove(_ path: String) {
        guard let volume = try? PosixVolume(root: path), let names = try? volume.list("") else {
            return
        }
        for name in names {
            var status = stat()
            let full = path + "/" + name
            guard unsafe lstat(full, &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR { remove(full) } else { _ = unsafe unlink(full) }
        }
        _ = unsafe rmdir(path)
    }
}
