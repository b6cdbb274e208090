internal import Glibc
internal import LedgerFormat
internal import Platform

/// A blocking HTTP connection to the daemon. It does as little work as possible, because the load
/// generator shares the machine with what it measures.
final class LoadConnection {
    let descriptor: Int32
    private var reader = ResponseReader()
    private var buffer = [UInt8](repeating: 0, count: 1 << 16)
    private var answers: [Answer] = []
    private var unfinished = Answer()

    struct Answer {
        var status = 0
        var body: [UInt8] = []
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    init(socket path: String) throws(BenchFailure) {
        descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw BenchFailure("\(path) is too long for a socket; choose a shorter --folder")
        }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) {
            unsafe $0.copyBytes(from: path.utf8)
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        // Safety: the address stays a valid sockaddr_un during the call.
        let status = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, size)
            }
        }
        guard status == 0 else { throw BenchFailure("\(path): \(errorName(errno))") }
    }

    deinit { close(descriptor) }

    /// The process at the other end.
    var peer: pid_t {
        var credentials: (pid: pid_t, uid: uid_t, gid: gid_t) = (0, 0, 0)
        var size = socklen_t(MemoryLayout.size(ofValue: credentials))
        // Safety: SO_PEERCRED fills the three numbers of the kernel's `struct ucred`.
        _ = unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size)
        return credentials.pid
    }

    func send(_ bytes: Span<UInt8>) throws(BenchFailure) {
        var done = 0
        while done < bytes.count {
            // Safety: `done` is below the count of the borrowed bytes.
            let count = unsafe bytes.withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress! + done, $0.count - done)
            }
            guard count > 0 else { throw BenchFailure("write: \(errorName(errno))") }
            done += count
        }
    }

    /// Reads what has arrived, at least one byte, and passes it to `take`; false at the end.
    func read(
        _ take: (inout ResponseReader, ArraySlice<UInt8>) throws(ResponseReader.Malformed) -> Void
    ) throws(BenchFailure) -> Bool {
        // Safety: the count is that of the borrowed array.
        let count = unsafe buffer.withUnsafeMutableBytes {
            unsafe Glibc.read(descriptor, $0.baseAddress, $0.count)
        }
        guard count >= 0 else { throw BenchFailure("read: \(errorName(errno))") }
        do throws(ResponseReader.Malformed) {
            try take(&reader, buffer[..<count])
        } catch { throw BenchFailure("the daemon's answer is not HTTP: \(error.line)") }
        return count > 0
    }

    /// Reads once; returns an answer if one is complete by then.
    func receive() throws(BenchFailure) -> Answer? {
        if let answer = takeAnswer() { return answer }
        let isOpen = try read { (reader, bytes) throws(ResponseReader.Malformed) in
            if bytes.isEmpty { return try reader.finish(self.take) }
            try reader.take(bytes, self.take)
        }
        if let answer = takeAnswer() { return answer }
        guard isOpen else { throw BenchFailure("the daemon closed a connection") }
        return nil
    }

    private func takeAnswer() -> Answer? { answers.isEmpty ? nil : answers.removeFirst() }

    private func take(_ event: ResponseReader.Event) {
        switch event {
        case .head(let status): unfinished = Answer(status: status)
        case .body(let bytes): unfinished.body += bytes
        case .end: answers.append(unfinished)
        }
    }

    /// Requests a path and waits for the answer.
    func get(_ path: String) throws(BenchFailure) -> Answer {
        try send(Array("GET \(path) HTTP/1.1\r\nhost: x\r\n\r\n".utf8).span)
        while true {
            if let answer = try receive() { return answer }
        }
    }

    func post(_ path: String, _ body: String) throws(BenchFailure) -> Answer {
        let head = "POST \(path) HTTP/1.1\r\nhost: x\r\ncontent-length: \(body.utf8.count)\r\n\r\n"
        try send(Array((head + body).utf8).span)
        while true {
            if let answer = try receive() { return answer }
        }
    }
}
