#if PostgreSQL
    internal import CLibPQ
    internal import Glibc
    package import Logging
    internal import Platform

    /// What the connections to a source share: when to give up waiting, and where notices go.
    package struct SourceContext: Sendable {
        package var isStopped: @Sendable () -> Bool
        package var logger: Logger
        /// Whether the server is asked to end what is given up, which takes a moment.
        var cancels = true

        package init(
            _ logger: Logger, isStopped: @escaping @Sendable () -> Bool = { false }
        ) {
            (self.logger, self.isStopped) = (logger, isStopped)
        }
    }

    extension ReplicationFailure {
        static let stopped = ReplicationFailure.connection("stopped while waiting for PostgreSQL")
    }

    /// Runs blocking calls of libpq on threads of their own, so that their callers can be stopped.
    enum PostgresWait {
        private enum Call {
            case running, abandoned
            case done(UInt)
        }

        /// A connection, open or failed. Nil if libpq has no memory. Throws `stopped`, and then closes
        /// a connection that opens later.
        static func connection(
            _ parameters: [String: String], _ notices: NoticeLog, _ context: SourceContext
        ) throws(ReplicationFailure) -> OpaquePointer? {
            let call = Monitor(Call.running)
            startThread("connect") {
                let opened = unsafe open(parameters, notices)
                let isWanted = call.change { call in
                    if case .abandoned = call { return false }
                    call = .done(UInt(bitPattern: opened))
                    return true
                }
                if !isWanted { unsafe PQfinish(opened) }
            }
            while true {
                let result = call.wait(until: .now + ReplicationLimits.wakeInterval) { call in
                    if case .done(let address) = call { address } else { nil as UInt? }
                }
                if let result { return unsafe OpaquePointer(bitPattern: result) }
                guard context.isStopped() else { continue }
                let late = call.change { call in
                    defer { call = .abandoned }
                    return if case .done(let address) = call { address } else { nil as UInt? }
                }
                if let late { unsafe PQfinish(OpaquePointer(bitPattern: late)) }
                throw .stopped
            }
        }

        /// Connects as `PQconnectdbParams` does, but with our notices from the first on. Its time
        /// limit is libpq's for each host, together; `tcp_user_timeout` ends the wait for one.
        private static func open(
            _ parameters: [String: String], _ notices: NoticeLog
        ) -> OpaquePointer? {
            let names = Array(parameters.keys)
            let opened = unsafe PostgresClient.withTexts(names) { keywords in
                unsafe PostgresClient.withTexts(names.map { parameters[$0]! }) { values in
                    unsafe PQconnectStartParams(keywords, values, 0)
                }
            }
            guard let opened = unsafe opened else { return nil }
            unsafe notices.listen(to: opened)
            let hosts = parameters["host"]?.split(separator: ",").count ?? 1
            // As in libpq, 0 is no limit, and the least is two seconds.
            let limit = parameters["connect_timeout"].flatMap { Int($0) } ?? 0
            let seconds = limit > 0 ? max(limit, 2) : 1 << 30
            let deadline = ContinuousClock.now + .seconds(seconds * max(hosts, 1))
            var state = PGRES_POLLING_WRITING
            while unsafe PQstatus(opened) != CONNECTION_BAD, ContinuousClock.now < deadline {
                let isReading = state == PGRES_POLLING_READING
                var descriptor = pollfd(
                    fd: unsafe PQsocket(opened), events: Int16(isReading ? POLLIN : POLLOUT),
                    revents: 0)
                // An interrupted wait merely ends early.
                guard unsafe poll(&descriptor, 1, 100) > 0 else { continue }
                state = unsafe PQconnectPoll(opened)
                if state == PGRES_POLLING_OK || state == PGRES_POLLING_FAILED { break }
            }
            return unsafe opened
        }

        /// Asks the server to end what a connection waits for, and reads the outcome. False if that
        /// does not come soon: nothing more can be asked on this connection.
        static func cancel(_ handle: OpaquePointer) -> Bool {
            guard let request = unsafe PQgetCancel(handle) else { return false }
            let address = UInt(bitPattern: request)
            startThread("cancel") {
                // Safety: this thread alone uses the request, and frees it.
                let request = unsafe OpaquePointer(bitPattern: address)
                var message = [CChar](repeating: 0, count: 256)
                _ = unsafe PQcancel(request, &message, Int32(message.count))
                unsafe PQfreeCancel(request)
            }
            let deadline = ContinuousClock.now + ReplicationLimits.cancelTime
            while ContinuousClock.now < deadline {
                if unsafe PQisBusy(handle) == 0 {
                    guard let result = unsafe PQgetResult(handle) else { return true }
                    let isCopying = unsafe PQresultStatus(result) == PGRES_COPY_OUT
                    unsafe PQclear(result)
                    // What is left of a copy has no result until it is read.
                    if isCopying { return false }
                    continue
                }
                var descriptor = pollfd(
                    fd: unsafe PQsocket(handle), events: Int16(POLLIN), revents: 0)
                _ = unsafe poll(&descriptor, 1, 50)
                guard unsafe PQconsumeInput(handle) == 1 else { return false }
            }
            return false
        }
    }

    /// Writes the server's notices to the log, where libpq would write them to standard error as
    /// they are.
    final class NoticeLog: Sendable {
        private let logger: Logger

        init(_ logger: Logger) { self.logger = logger }

        private func note(_ text: String) {
            logger.log(.postgresNotice, "PostgreSQL sent a notice", metadata: ["notice": "\(text)"])
        }

        /// Whoever keeps the connection keeps this object as long.
        func listen(to handle: OpaquePointer) {
            // Safety: this object lives as long as libpq may call.
            _ = unsafe PQsetNoticeProcessor(
                handle,
                { log, text in
                    guard let log = unsafe log, let text = unsafe text else { return }
                    let line = unsafe String(cString: text).oneLine
                    unsafe Unmanaged<NoticeLog>.fromOpaque(log).takeUnretainedValue().note(line)
                }, Unmanaged.passUnretained(self).toOpaque())
        }
    }
#endif
