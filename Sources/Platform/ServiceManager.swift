package import Glibc

/// What the service manager passed to this process, by the documented protocols: sd_listen_fds(3), sd_notify(3) and
/// sd_watchdog_enabled(3).
package struct ServiceManager: Sendable {
    /// Listening sockets by their names; those of no name have an empty one.
    package let listeners: [(name: String, descriptor: Int32)]
    /// How often it wants a sign of life; nil if it wants none.
    package let watchdog: Duration?
    /// Where it wants to be told; nil if it wants nothing.
    private let address: String?

    /// A variable that is not what the protocols say, or a descriptor that is no listening socket.
    package struct Malformed: Error, CustomStringConvertible {
        package let description: String
    }

    /// Reads the variables of this process and removes them, so that no other program takes them for its own.
    /// Called before there are threads.
    package static func ofProcess() throws(Malformed) -> ServiceManager {
        let names = [
            "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS",
            "LISTEN_FDNAMES",
        ]
        var variables: [String: String] = [:]
        for name in names {
            // Safety: the text is copied before the variable is removed.
            if let value = unsafe getenv(name) { variables[name] = unsafe String(cString: value) }
            _ = unsafe unsetenv(name)
        }
        return try ServiceManager(variables, pid: getpid())
    }

    package init(_ variables: [String: String], pid: pid_t) throws(Malformed) {
        func isOurs(_ name: String) -> Bool { variables[name].map { $0 == "\(pid)" } ?? false }
        address = variables["NOTIFY_SOCKET"].flatMap { $0.isEmpty ? nil : $0 }
        if let text = variables["WATCHDOG_USEC"],
            variables["WATCHDOG_PID"] == nil || isOurs("WATCHDOG_PID")
        {
            guard let number = Int64(text), number > 0 else {
                throw Malformed(
                    description: "WATCHDOG_USEC is \(text), not a number of microseconds")
            }
            watchdog = .microseconds(number)
        } else {
            watchdog = nil
        }
        guard let text = variables["LISTEN_FDS"], isOurs("LISTEN_PID") else {
            listeners = []
            return
        }
        guard let count = Int32(text), (0...64).contains(count) else {
            throw Malformed(description: "LISTEN_FDS is \(text), not a number of descriptors")
        }
        let given = (variables["LISTEN_FDNAMES"] ?? "").split(
            separator: ":", omittingEmptySubsequences: false)
        var listeners: [(String, Int32)] = []
        for number in 0..<count {
            let name = given.indices.contains(Int(number)) ? String(given[Int(number)]) : ""
            let descriptor = Self.firstDescriptor + number
            try Self.requireListening(descriptor, name)
            listeners.append((name, descriptor))
        }
        self.listeners = listeners
    }

    /// SD_LISTEN_FDS_START of sd-daemon.h.
    private static let firstDescriptor: Int32 = 3

    private static func requireListening(_ descriptor: Int32, _ name: String) throws(Malformed) {
        guard option(descriptor, SO_ACCEPTCONN) == 1,
            option(descriptor, SO_TYPE) == Int32(SOCK_STREAM.rawValue)
        else {
            throw Malformed(
                description:
                    "descriptor \(descriptor), passed as \"\(name)\", is no listening stream "
                    + "socket; correct the socket unit")
        }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    }

    /// AF_UNIX, AF_INET or AF_INET6.
    package static func family(of descriptor: Int32) -> Int32? { option(descriptor, SO_DOMAIN) }

    private static func option(_ descriptor: Int32, _ name: Int32) -> Int32? {
        var (value, size) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
        guard unsafe getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 else {
            return nil
        }
        return value
    }

    /// Whether anybody wants to be told.
    package var listens: Bool { address != nil }

    /// Sends one datagram. Whether it arrives makes no difference to what this process does.
    package func tell(_ lines: [String]) {
        guard let address, !lines.isEmpty else { return }
        UnixSocket.send(Array(lines.joined(separator: "\n").utf8), to: address)
    }
}
