internal import CPlatform
internal import Glibc
package import Platform

/// One process's exclusive right to write a ledger: `flock` on the folder itself, so removing a
/// file cannot defeat it. Held as long as the value exists; the kernel releases it if the process
/// ends.
package final class LedgerLock: Sendable {
    private let descriptor: Int32

    package enum Failure: Error, Hashable, CustomStringConvertible {
        /// Another process holds it. The pid is nil if /proc does not show it.
        case held(by: Int32?)
        case failed(FileFailure)

        package var description: String {
            switch self {
            case .held(let pid?): "the ledger is in use by process \(pid); stop it first"
            case .held(nil): "the ledger is in use by another process; stop it first"
            case .failed(let failure): failure.description
            }
        }
    }

    /// Never waits.
    package init(folder: String) throws(Failure) {
        let opened = unsafe stardust_open(folder, O_RDONLY | O_DIRECTORY, 0)
        guard opened >= 0 else {
            throw .failed(FileFailure(.open, folder, errorNumber: -opened))
        }
        descriptor = opened
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            throw number == EWOULDBLOCK
                ? .held(by: Self.holder(of: folder))
                : .failed(FileFailure(.lock, folder, errorNumber: number))
        }
    }

    deinit { close(descriptor) }

    /// The process that holds a folder's lock according to /proc/locks. Does not take the lock.
    package static func holder(of folder: String) -> Int32? {
        var status = stat()
        guard unsafe stat(folder, &status) == 0 else { return nil }
        // How glibc packs the two numbers of a device into one.
        let major = status.st_dev >> 8 & 0xFFF | status.st_dev >> 32 & ~0xFFF
        let minor = status.st_dev & 0xFF | status.st_dev >> 12 & ~0xFF & 0xFFFF_FFFF
        let place = [
            String(major, radix: 16, padding: 2), String(minor, radix: 16, padding: 2),
            String(status.st_ino),
        ].joined(separator: ":")
        // Without /proc/locks the holder is unknown: nil.
        guard let text = ProcessFile.text("/proc/locks") else { return nil }
        for line in text.split(separator: "\n") {
            // "7: FLOCK  ADVISORY  WRITE 4711 fe:00:1835009 0 EOF"
            let fields = line.split(separator: " ")
            if fields.count >= 6, fields[1] == "FLOCK", fields[5] == place {
                return Int32(fields[4])
            }
        }
        return nil
    }
}

extension String {
    fileprivate init(_ value: some BinaryInteger, radix: Int, padding: Int) {
        let digits = String(value, radix: radix)
        self = String(repeating: "0", count: Swift.max(0, padding - digits.utf8.count)) + digits
    }
}
