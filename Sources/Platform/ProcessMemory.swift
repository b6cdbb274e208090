internal import CPlatform
internal import Glibc

/// Memory of a process as the kernel accounts for it.
package enum ProcessMemory {
    /// Returns this process's free memory to the system. Blocks for some milliseconds.
    package static func giveBack() { stardust_give_back_memory() }

    /// Resident memory of this process in bytes; 0 if /proc does not show it.
    package static var residentBytes: Int { residentBytes(ofProcess: "self") }

    /// The same for the process with this pid.
    package static func residentBytes(ofProcess pid: String) -> Int {
        // Where /proc is missing there is nothing to report, and nothing depends on it.
        guard let file = try? PosixVolume(root: "/proc/\(pid)").open("statm", .read) else {
            return 0
        }
        var text = [UInt8](repeating: 0, count: 256)
        // A process that has just ended occupies nothing.
        let count = (try? file.read(into: &text, 0..<text.count, at: 0)) ?? 0
        let fields = String(decoding: text.prefix(count), as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * sysconf(Int32(_SC_PAGESIZE)) : 0
    }
}
