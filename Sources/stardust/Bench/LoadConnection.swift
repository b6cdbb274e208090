internal import Glibc
internal import LedgerStorage

/// A blocking connection to the daemon, with as little between it and the socket as there can be:
/// the generator shares the machine with what it measures.
final class LoadConnection {
    let descriptor: Int32
    private var received: [UInt8] = []
    private var receivedCount = 0

    init(socket path: String) throws(Failure) {
        descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < 108 else { throw Failure(.badInput, "\(path) is too long") }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        // Safety: the address is a sockaddr_un for as long as the call lasts.
        let status = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, size)
            }
        }
        guard status == 0 else { throw Failure(.unreachable, "\(path): \(errorName(errno))") }
        received = [UInt8](repeating: 0, count: 1 << 16)
    }

    deinit { close(descriptor) }

    func send(_ bytes: Span<UInt8>) throws(Failure) {
        var done = 0
        while done < bytes.count {
            // Safety: `done` is below the count of what is lent here.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress! + done, $0.count - done)
            }
            guard count > 0 else { throw Failure(.unreachable, "write: \(errorName(errno))") }
            done += count
        }
    }

    /// Reads what is there, at least one byte; false at the end.
    func fill() throws(Failure) -> Bool {
        if receivedCount == received.count { received += [UInt8](repeating: 0, count: 1 << 16) }
        // Safety: the room behind what was received belongs to the array.
        let count = unsafe received.withUnsafeMutableBytes {
            unsafe read(descriptor, $0.baseAddress! + receivedCount, $0.count - receivedCount)
        }
        guard count >= 0 else { throw Failure(.unreachable, "read: \(errorName(errno))") }
        receivedCount += count
        return count > 0
    }

    /// Takes one whole response with a Content-Length, if it is there. Gives its status.
    func takeResponse() -> Int? {
        guard let headEnd = find([0x0D, 0x0A, 0x0D, 0x0A]) else { return nil }
        let head = String(decoding: received[..<headEnd], as: UTF8.self)
        let length = head.split(separator: "\r\n").first { $0.hasPrefix("content-length: ") }
            .flatMap { Int($0.dropFirst("content-length: ".count)) }
        let end = headEnd + 4 + (length ?? 0)
        guard receivedCount >= end else { return nil }
        drop(end)
        return Int(head.dropFirst("HTTP/1.1 ".count).prefix(3))
    }

    /// What was received since the last time.
    func takeReceived() -> ArraySlice<UInt8> {
        defer { receivedCount = 0 }
        return received[..<receivedCount]
    }

    private func find(_ text: [UInt8]) -> Int? {
        guard receivedCount >= text.count else { return nil }
        return (0...(receivedCount - text.count)).first {
            received[$0] == text[0] && received[$0 + 3] == text[3] && received[$0 + 1] == text[1]
        }
    }

    private func drop(_ count: Int) {
        received.replaceSubrange(0..<(receivedCount - count), with: received[count..<receivedCount])
        receivedCount -= count
    }
}
