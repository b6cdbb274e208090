#if PostgreSQL
    internal import Glibc
    internal import LedgerFormat
    internal import ReadModel
    internal import Synchronization

    /// The stream of a slot. One thread receives; another may report that we are alive.
    final class ReplicationStream: Sendable {
        /// Held while talking to libpq, but never while waiting for the network.
        private let lock = Mutex(())
        private let client: PostgresClient
        private let socket: Int32

        init(
            _ client: PostgresClient, slot: String, publication: String, from lsn: LSN
        ) throws(ReplicationFailure) {
            self.client = client
            socket = client.socket
            let names = publication.quoted.split(separator: "'", omittingEmptySubsequences: false)
                .joined(separator: "''")
            try client.beginStreaming(
                "START_REPLICATION SLOT \(slot.quoted) LOGICAL \(lsn) "
                    + "(proto_version '1', publication_names '\(names)')")
        }

        /// The next message; nil if none has arrived.
        func next() throws(ReplicationFailure) -> PostgresClient.CopyData? {
            try lock.withLock { _ throws(ReplicationFailure) in
                if let message = try client.nextCopyData() { return message }
                try client.consume()
                return try client.nextCopyData()
            }
        }

        /// Waits until something arrives, or until the time is over.
        func wait(atMost time: Duration) {
            var descriptor = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            let milliseconds = Int32(max(1, time / .milliseconds(1)))
            // An interrupted wait merely ends early.
            _ = unsafe poll(&descriptor, 1, milliseconds)
        }

        /// Tells the server that everything before `lsn` is durable here. The slot may then release
        /// that part of the log for good.
        func report(_ lsn: LSN, asksForReply: Bool = false) throws(ReplicationFailure) {
            var message = [UInt8(ascii: "r")]
            for number in [lsn.value, lsn.value, lsn.value, UInt64(bitPattern: SourceClock.now)] {
                for shift in stride(from: 56, through: 0, by: -8) {
                    message.append(UInt8(truncatingIfNeeded: number >> UInt64(shift)))
                }
            }
            message.append(asksForReply ? 1 : 0)
            try lock.withLock { _ throws(ReplicationFailure) in try client.send(message) }
        }
    }

    /// The wrapper around pgoutput's messages (the manual's "Streaming Replication Protocol").
    enum StreamMessage {
        case data(Range<Int>, end: LSN)
        case keepalive(end: LSN, wantsReply: Bool)

        init(_ bytes: Span<UInt8>) throws(ReplicationFailure) {
            var reader = BoundedReader()
            switch try reader.byte(bytes) {
            case UInt8(ascii: "w"):
                _ = try reader.lsn(bytes)
                let end = try reader.lsn(bytes)
                _ = try reader.int64(bytes)
                self = .data(reader.index..<bytes.count, end: end)
            case UInt8(ascii: "k"):
                let end = try reader.lsn(bytes)
                _ = try reader.int64(bytes)
                self = .keepalive(end: end, wantsReply: try reader.byte(bytes) == 1)
            case let kind: throw .protocolViolated("a stream message of kind \(kind)")
            }
        }
    }
#endif
