internal import Glibc
internal import LedgerFormat
internal import Platform

/// How fast the disk and the processor are.
extension Examination {
    private static let writes = 20
    private static let writeBytes = 4096
    private static let hashedBytes = 64 << 20

    mutating func measure() {
        let path = "\(ledger)/doctor.tmp"
        do throws(FileFailure) {
            let times = try Self.commits(path)
            let (median, longest) = (times[times.count / 2], times.last!)
            let text =
                "\(Self.writes) writes of 4 KiB, each durable: median \(Self.milliseconds(median)), "
                + "longest \(Self.milliseconds(longest))"
            add(
                median < .milliseconds(50)
                    ? .ok(.disk, text)
                    : .warning(.disk, text, "each batch waits so long; a faster disk helps most"))
        } catch {
            add(.failure(.disk, "\(error)", "run this as the daemon's user"))
        }
        let bytes = [UInt8](repeating: 7, count: Self.hashedBytes)
        let start = ContinuousClock.now
        _ = Digest.sha256(bytes)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        add(
            .ok(
                .processor,
                "SHA-256: \(Words.bytes(Int(Double(Self.hashedBytes) / seconds))) a second"))
    }

    private static func commits(_ path: String) throws(FileFailure) -> [Duration] {
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw FileFailure(.create, path, errorNumber: errno) }
        defer {
            close(file)
            _ = unsafe unlink(path)
        }
        let bytes = [UInt8](repeating: 0, count: writeBytes)
        var times: [Duration] = []
        for _ in 0..<writes {
            let start = ContinuousClock.now
            guard Output.write(bytes, to: file) == 0, fdatasync(file) == 0 else {
                throw FileFailure(.sync, path, errorNumber: errno)
            }
            times.append(ContinuousClock.now - start)
        }
        return times.sorted()
    }

    private static func milliseconds(_ time: Duration) -> String {
        let tenths = Int((time / .microseconds(100)).rounded())
        return "\(tenths / 10).\(tenths % 10) ms"
    }
}
