internal import Glibc
internal import LedgerFormat
internal import LedgerStorage

/// A blocking connection to the daemon, with as little between it and the socket as there can be:
/// the generator shares the machine with what it measures.
final class LoadConnection {
    let descriptor: Int32
    private var received: [UInt8] = []
    private var receivedCount = 0
    /// Whether `body` is wanted of each response.
    var keepsBodies = false
    private(set) var body: [UInt8] = []

    init(socket path: String) throws(Failure) {
        descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < 108 else { throw Failure(.badInput, "\(path) is too long") }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
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

    /// The process that listens at the other end.
    var peer: pid_t {
        var credentials: (pid: pid_t, uid: uid_t, gid: gid_t) = (0, 0, 0)
        var size = socklen_t(MemoryLayout.size(ofValue: credentials))
        // Safety: SO_PEERCRED fills the three numbers of the kernel's `struct ucred`.
        _ = unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size)
        return credentials.pid
    }

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

    /// Takes the response that was received, if it is whole. One at a time: its Content-Length is
    /// looked for only once its header has ended. Gives its status.
    func takeResponse() -> Int? {
        let received = received
        let bytes = received.span.extracting(0..<receivedCount)
        guard let headEnd = Self.find("\r\n\r\n", in: bytes, from: 0),
            let field = Self.find("content-length: ", in: bytes, from: 0)
        else { return nil }
        var (length, index) = (0, field + 16)
        while bytes[index] != 0x0D {
            length = length * 10 + Int(bytes[index] - 0x30)
            index += 1
        }
        guard receivedCount == headEnd + 4 + length else { return nil }
        if keepsBodies { body = Array(received[headEnd + 4..<receivedCount]) }
        receivedCount = 0
        return (9..<12).reduce(0) { $0 * 10 + Int(received[$1] - 0x30) }
    }

    /// What was received since the last time.
    func takeReceived() -> ArraySlice<UInt8> {
        defer { receivedCount = 0 }
        return received[..<receivedCount]
    }

    private static func find(
        _ text: StaticString, in bytes: Span<UInt8>, from start: Int
    ) -> Int? {
        var index = start
        search: while index + text.utf8CodeUnitCount <= bytes.count {
            for place in 0..<text.utf8CodeUnitCount
            where bytes[index + place] != text.byte(at: place) {
                index += 1
                continue search
            }
            return index
        }
        return nil
    }
}
