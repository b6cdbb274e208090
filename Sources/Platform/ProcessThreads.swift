internal import Glibc

/// What the kernel says of this process: proc(5).
package enum ProcessThreads {
    /// Whether the thread of a name runs or wants to. False if it waits, in whatever call, or is not there.
    package static func isRunning(_ name: String) -> Bool {
        guard let folder = unsafe opendir("/proc/self/task") else { return false }
        defer { unsafe closedir(folder) }
        while let entry = unsafe readdir(folder) {
            let id = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard id.first?.isNumber == true,
                let text = text("/proc/self/task/\(id)/stat"),
                let open = text.firstIndex(of: "("), let close = text.lastIndex(of: ")")
            else { continue }
            guard text[text.index(after: open)..<close] == name else { continue }
            return text[close...].dropFirst(2).first == "R"
        }
        return false
    }

    /// Bytes that calls of this process have read since it began, whether from a disk or not.
    package static var bytesRead: Int {
        let line = text("/proc/self/io")?.split(separator: "\n").first { $0.hasPrefix("rchar:") }
        return line.flatMap { Int($0.dropFirst("rchar: ".count)) } ?? 0
    }

    private static func text(_ path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1024)
        let count = unsafe read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }
}
