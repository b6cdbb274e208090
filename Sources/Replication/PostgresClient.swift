#if PostgreSQL
    internal import CLibPQ
    internal import Glibc
    internal import ReadModel

    /// A connection to PostgreSQL through libpq. Used by one thread at a time.
    @safe final class PostgresClient: @unchecked Sendable {
        // Unchecked: its owner uses it from one thread at a time; see `ReplicationStream`.
        // Safety: open until deinit.
        private let handle: OpaquePointer
        private let address: SourceAddress
        private let context: SourceContext
        private let notices: NoticeLog
        /// A statement was given up, and its outcome did not come: nothing more can be asked.
        private var isSpent = false

        enum Kind { case sql, replication }

        /// The settings that determine text forms, pinned on every connection: the database's own
        /// settings would change how times and floats look.
        private static let options = """
            -c timezone=UTC -c datestyle=ISO -c extra_float_digits=3 -c bytea_output=hex \
            -c intervalstyle=postgres -c statement_timeout=0 -c lock_timeout=0 \
            -c idle_in_transaction_session_timeout=0 -c row_security=off
            """

        init(
            _ url: String, _ kind: Kind, _ context: SourceContext
        ) throws(ReplicationFailure) {
            let address: SourceAddress
            do throws(SourceAddress.Malformed) { address = try SourceAddress(url) } catch {
                throw .setup("--from: \(error)")
            }
            (self.address, self.context) = (address, context)
            notices = NoticeLog(context.logger)
            let opened = unsafe try PostgresWait.connection(
                Self.parameters(address, kind), notices, context)
            guard let opened = unsafe opened else { throw .connection("libpq ran out of memory") }
            guard unsafe PQstatus(opened) == CONNECTION_OK else {
                let message = unsafe String(cString: PQerrorMessage(opened)).oneLine
                unsafe PQfinish(opened)
                throw .connection(
                    "PostgreSQL: "
                        + (message.isEmpty
                            ? "the server does not answer" : address.withoutSecrets(message)))
            }
            unsafe handle = opened
            try stayIdle()
        }

        deinit { unsafe PQfinish(handle) }

        private static func parameters(_ address: SourceAddress, _ kind: Kind) -> [String: String] {
            var parameters = address.parameters
            parameters["options"] = [parameters["options"], Self.options].compactMap(\.self)
                .joined(separator: " ")
            parameters["client_encoding"] = "UTF8"
            let defaults = [
                ("application_name", "stardust"), ("connect_timeout", "10"),
                ("tcp_user_timeout", "15000"), ("keepalives_idle", "30"),
                ("keepalives_interval", "10"), ("keepalives_count", "3"),
            ]
            for (name, value) in defaults { parameters[name] = parameters[name] ?? value }
            if kind == .replication { parameters["replication"] = "database" }
            return parameters
        }

        /// Between two questions this connection may be idle for long; servers before 14 do not
        /// know the setting.
        private func stayIdle() throws(ReplicationFailure) {
            guard unsafe PQserverVersion(handle) >= 140_000 else { return }
            _ = try rows("SET idle_session_timeout = 0")
        }

        /// Lends a list of C strings that ends with nil.
        static func withTexts<Result>(
            _ texts: [String], _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> Result
        ) -> Result {
            let copies = unsafe texts.map { unsafe strdup($0) }
            defer { for index in unsafe copies.indices { unsafe free(copies[index]) } }
            let pointers = unsafe copies.map { unsafe UnsafePointer($0) } + [nil]
            // Safety: the copies live until the body has returned, and the list ends with nil.
            return unsafe pointers.withUnsafeBufferPointer { list in
                unsafe body(list.baseAddress!)
            }
        }

        // MARK: Queries

        /// The rows of a statement, with every value as text. `within` limits how long the server
        /// may take, if anything does: creating a slot waits for the transactions of others. Throws
        /// `stopped` if the context says so first. `whileWaiting` is called now and then.
        func rows(
            _ sql: String, _ values: [String] = [],
            within limit: Duration? = ReplicationLimits.catalogueTime, whileWaiting: () -> Void = {}
        ) throws(ReplicationFailure) -> [[String?]] {
            let result = unsafe try result(sql, values, within: limit, whileWaiting)
            defer { unsafe PQclear(result) }
            while let more = unsafe PQgetResult(handle) { unsafe PQclear(more) }
            return unsafe try rows(of: result)
        }

        /// Replication commands take no values, and need the simple protocol.
        private func result(
            _ sql: String, _ values: [String] = [],
            within limit: Duration? = ReplicationLimits.catalogueTime,
            _ whileWaiting: () -> Void = {}
        ) throws(ReplicationFailure) -> OpaquePointer? {
            guard !isSpent else {
                throw .connection("PostgreSQL: an earlier statement was given up")
            }
            let isSent = unsafe Self.withTexts(values) { texts in
                unsafe values.isEmpty
                    ? PQsendQuery(handle, sql) == 1
                    : PQsendQueryParams(
                        handle, sql, Int32(values.count), nil, texts, nil, nil, 0) == 1
            }
            guard isSent else { throw connectionFailure }
            let deadline = limit.map { ContinuousClock.now + $0 }
            var reported = ContinuousClock.now
            while unsafe PQisBusy(handle) == 1 {
                if context.isStopped() { throw givenUp(.stopped) }
                if let deadline, let limit, ContinuousClock.now > deadline {
                    throw givenUp(.connection("PostgreSQL has not answered within \(limit)"))
                }
                waitForInput()
                try consume()
                if ContinuousClock.now - reported > ReplicationLimits.reportInterval {
                    reported = .now
                    whileWaiting()
                }
            }
            return unsafe PQgetResult(handle)
        }

        /// Ends the statement at the server, if it still answers.
        private func givenUp(_ failure: ReplicationFailure) -> ReplicationFailure {
            isSpent = unsafe !(context.cancels && PostgresWait.cancel(handle))
            return failure
        }

        /// Waits until something arrives, but not for long.
        private func waitForInput() {
            var descriptor = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
            let milliseconds = Int32(ReplicationLimits.wakeInterval / .milliseconds(1))
            // An interrupted wait merely ends early.
            _ = unsafe poll(&descriptor, 1, milliseconds)
        }

        private func rows(of result: OpaquePointer?) throws(ReplicationFailure) -> [[String?]] {
            switch unsafe PQresultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK: break
            default: throw unsafe failure(result)
            }
            return unsafe (0..<PQntuples(result)).map { row in
                unsafe (0..<PQnfields(result)).map { column in
                    unsafe PQgetisnull(result, row, column) == 1
                        ? nil : String(cString: PQgetvalue(result, row, column))
                }
            }
        }

        /// Lends the lines of a `COPY … TO STDOUT`.
        func copyOut(
            _ sql: String, _ take: (Span<UInt8>) throws(ReplicationFailure) -> Void
        ) throws(ReplicationFailure) {
            let result = unsafe try result(sql, within: nil)
            defer { unsafe PQclear(result) }
            guard unsafe PQresultStatus(result) == PGRES_COPY_OUT else {
                throw unsafe failure(result)
            }
            while let message = try waitForCopyData() { try message.lend(take) }
            let end = unsafe PQgetResult(handle)
            defer { unsafe PQclear(end) }
            // Read until nothing more comes: only then is the connection free again.
            while let more = unsafe PQgetResult(handle) { unsafe PQclear(more) }
            guard unsafe PQresultStatus(end) == PGRES_COMMAND_OK else {
                throw unsafe failure(end)
            }
        }

        // MARK: Streaming

        func beginStreaming(_ sql: String) throws(ReplicationFailure) {
            let result = unsafe try result(sql)
            defer { unsafe PQclear(result) }
            guard unsafe PQresultStatus(result) == PGRES_COPY_BOTH else {
                throw unsafe failure(result)
            }
        }

        /// A message in libpq's memory, which is freed with this value.
        @safe struct CopyData: ~Copyable {
            // Safety: owned, and freed once in deinit.
            private let bytes: UnsafeMutablePointer<CChar>
            private let count: Int

            fileprivate init(_ bytes: UnsafeMutablePointer<CChar>, _ count: Int) {
                unsafe self.bytes = bytes
                self.count = count
            }

            deinit { unsafe PQfreemem(bytes) }

            borrowing func lend(
                _ take: (Span<UInt8>) throws(ReplicationFailure) -> Void
            ) throws(ReplicationFailure) {
                // Safety: the bytes are accessed as raw memory, and live as long as this value.
                let raw = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
                try unsafe take(Span<UInt8>(_unsafeBytes: raw))
            }
        }

        /// The next message of a stream; nil if none has arrived.
        func nextCopyData() throws(ReplicationFailure) -> CopyData? {
            var bytes: UnsafeMutablePointer<CChar>?
            let count = unsafe PQgetCopyData(handle, &bytes, 1)
            if count > 0 { return unsafe CopyData(bytes!, Int(count)) }
            if count == 0 { return nil }
            guard count == -1 else { throw connectionFailure }
            let result = unsafe PQgetResult(handle)
            defer { unsafe PQclear(result) }
            throw unsafe PQresultStatus(result) == PGRES_FATAL_ERROR
                ? failure(result) : .connection("PostgreSQL has ended the stream")
        }

        /// The next message of a copy; nil at its end. Throws `stopped`.
        private func waitForCopyData() throws(ReplicationFailure) -> CopyData? {
            while true {
                var bytes: UnsafeMutablePointer<CChar>?
                let count = unsafe PQgetCopyData(handle, &bytes, 1)
                if count > 0 { return unsafe CopyData(bytes!, Int(count)) }
                if count == -1 { return nil }
                guard count == 0 else { throw connectionFailure }
                if context.isStopped() { throw givenUp(.stopped) }
                waitForInput()
                try consume()
            }
        }

        /// Reads what the socket has.
        func consume() throws(ReplicationFailure) {
            guard unsafe PQconsumeInput(handle) == 1 else { throw connectionFailure }
        }

        func send(_ bytes: [UInt8]) throws(ReplicationFailure) {
            // Safety: the bytes are copied within the call.
            let isSent = unsafe bytes.withUnsafeBufferPointer { buffer in
                unsafe buffer.withMemoryRebound(to: CChar.self) { text in
                    unsafe PQputCopyData(handle, text.baseAddress, Int32(text.count)) == 1
                        && PQflush(handle) == 0
                }
            }
            guard isSent else { throw connectionFailure }
        }

        var socket: Int32 { unsafe PQsocket(handle) }

        /// The server's process for this connection.
        var serverPID: Int32 { unsafe PQbackendPID(handle) }

        // MARK: Failures

        private var connectionFailure: ReplicationFailure {
            let message = unsafe String(cString: PQerrorMessage(handle)).oneLine
            return .connection(
                "PostgreSQL: "
                    + (message.isEmpty
                        ? "the connection is lost" : address.withoutSecrets(message)))
        }

        private func failure(_ result: OpaquePointer?) -> ReplicationFailure {
            guard
                let state = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "C")))
                    .map({ unsafe String(cString: $0) })
            else { return connectionFailure }
            let parts = [UInt8(ascii: "M"), UInt8(ascii: "D"), UInt8(ascii: "H")].compactMap {
                field in
                unsafe PQresultErrorField(result, Int32(field)).map { unsafe String(cString: $0) }
            }
            return .server(
                state: state, address.withoutSecrets(parts.joined(separator: ". ").oneLine))
        }
    }

    extension String {
        /// The same on one line.
        var oneLine: String {
            split(whereSeparator: \.isWhitespace).joined(separator: " ")
        }
    }
#endif
