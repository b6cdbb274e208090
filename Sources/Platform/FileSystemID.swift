internal import Glibc

/// Tells file systems apart.
package enum FileSystemID {
    /// The number of the file system that has a path; nil if it cannot be looked at.
    package static func of(path: String) -> UInt64? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        return UInt64(status.st_dev)
    }
}
