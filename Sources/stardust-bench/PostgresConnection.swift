#if PostgreSQL
    internal import CLibPQ
    internal import Glibc

    /// A libpq connection to PostgreSQL, with prepared statements. Only one thread at a time may
    /// use it.
    @safe final class PostgresConnection {
        // Safety: open until deinit.
        private let handle: OpaquePointer

        /// Connects as `postgres` through the socket in a folder. The server must trust us.
        init(folder: String, database: String = "postgres") throws(BenchFailure) {
            let address = "host=\(folder) user=postgres dbname=\(database) client_encoding=UTF8"
            guard let opened = unsafe PQconnectdb(address) else {
                throw BenchFailure("libpq is out of memory")
            }
            unsafe handle = opened
            guard unsafe PQstatus(handle) == CONNECTION_OK else { throw failure }
        }

        deinit { unsafe PQfinish(handle) }

        private var failure: BenchFailure {
            BenchFailure("PostgreSQL: " + (unsafe String(cString: PQerrorMessage(handle))))
        }

        /// Runs statements and waits until they finish.
        func run(_ sql: String) throws(BenchFailure) { _ = try values(sql) }

        /// The first column of a query's rows.
        func values(_ sql: String) throws(BenchFailure) -> [String] {
            let result = unsafe PQexec(handle, sql)
            defer { unsafe PQclear(result) }
            try unsafe check(result)
            return unsafe (0..<PQntuples(result)).map {
                unsafe String(cString: PQgetvalue(result, $0, 0))
            }
        }

        /// Sends data through a COPY statement, piece by piece, until a piece is empty.
        func copy(_ sql: String, _ next: () -> [UInt8]) throws(BenchFailure) {
            let result = unsafe PQexec(handle, sql)
            defer { unsafe PQclear(result) }
            guard unsafe PQresultStatus(result) == PGRES_COPY_IN else { throw failure }
            while true {
                let piece = next()
                if piece.isEmpty { break }
                // Safety: the bytes are copied within the call.
                let isSent = unsafe piece.withUnsafeBufferPointer { bytes in
                    unsafe bytes.withMemoryRebound(to: CChar.self) { text in
                        unsafe PQputCopyData(handle, text.baseAddress, Int32(text.count)) == 1
                    }
                }
                guard isSent else { throw failure }
            }
            guard unsafe PQputCopyEnd(handle, nil) == 1 else { throw failure }
            while let end = unsafe PQgetResult(handle) {
                defer { unsafe PQclear(end) }
                try unsafe check(end)
            }
        }

        func prepare(_ name: String, _ sql: String) throws(BenchFailure) {
            let result = unsafe PQprepare(handle, name, sql, 0, nil)
            defer { unsafe PQclear(result) }
            try unsafe check(result)
        }

        /// Executes a prepared statement with text parameters. Returns the number of rows.
        func execute(_ name: String, _ parameters: [String]) throws(BenchFailure) -> Int {
            let copies = unsafe parameters.map { unsafe strdup($0) }
            defer { for index in unsafe copies.indices { unsafe free(copies[index]) } }
            let texts = unsafe copies.map { unsafe UnsafePointer($0) }
            // Safety: the texts live until the call returns.
            let result = unsafe PQexecPrepared(
                handle, name, Int32(texts.count), texts, nil, nil, 0)
            defer { unsafe PQclear(result) }
            try unsafe check(result)
            return Int(unsafe PQntuples(result))
        }

        private func check(_ result: OpaquePointer?) throws(BenchFailure) {
            switch unsafe PQresultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK: return
            default: throw failure
            }
        }
    }
#else
    /// For a benchmark built without libpq: there is no comparison with PostgreSQL.
    final class PostgresConnection {
        init(folder: String, database: String = "postgres") throws(BenchFailure) {
            throw BenchFailure("built without the trait PostgreSQL; omit --postgres")
        }

        func run(_ sql: String) throws(BenchFailure) {}
        func values(_ sql: String) throws(BenchFailure) -> [String] { [] }
        func copy(_ sql: String, _ next: () -> [UInt8]) throws(BenchFailure) {}
        func prepare(_ name: String, _ sql: String) throws(BenchFailure) {}
        func execute(_ name: String, _ parameters: [String]) throws(BenchFailure) -> Int { 0 }
    }
#endif
