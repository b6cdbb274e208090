internal import Glibc
internal import LedgerFormat

/// A connection to PostgreSQL over its Unix socket with prepared statements, as bare as the one to
/// the daemon, so that the two are measured alike (PostgreSQL manual, "Frontend/Backend Protocol").
final class PostgresConnection {
    private let connection: LoadConnection
    private var received: [UInt8] = []

    /// Connects as `postgres`. The server must trust us.
    init(folder: String, database: String = "postgres") throws(Failure) {
        connection = try LoadConnection(socket: folder + "/.s.PGSQL.5432")
        var startup: [UInt8] = []
        startup.append(bigEndian: UInt32(196_608))
        for text in ["user", "postgres", "database", database, ""] {
            startup.append(zeroEnded: text)
        }
        var message: [UInt8] = []
        message.append(bigEndian: UInt32(startup.count + 4))
        try connection.send((message + startup).span)
        try finish()
    }

    /// Runs statements and waits for their end.
    func run(_ sql: String) throws(Failure) {
        var body: [UInt8] = []
        body.append(zeroEnded: sql)
        try connection.send(Self.message("Q", body).span)
        try finish()
    }

    /// The first column of the rows of a query.
    func values(_ sql: String) throws(Failure) -> [String] {
        var body: [UInt8] = []
        body.append(zeroEnded: sql)
        try connection.send(Self.message("Q", body).span)
        var values: [String] = []
        try finish { type, row in
            guard type == UInt8(ascii: "D") else { return }
            let length = Int(row.bigEndian(at: 2))
            values.append(
                String(
                    decoding: row[row.startIndex + 6..<row.startIndex + 6 + length], as: UTF8.self))
        }
        return values
    }

    /// Sends data through a COPY statement, piece by piece until one is empty.
    func copy(_ sql: String, _ next: () -> [UInt8]) throws(Failure) {
        var body: [UInt8] = []
        body.append(zeroEnded: sql)
        try connection.send(Self.message("Q", body).span)
        while true {
            let piece = next()
            guard !piece.isEmpty else { break }
            try connection.send(Self.message("d", piece).span)
        }
        try connection.send(Self.message("c", []).span)
        try finish()
    }

    func prepare(_ name: String, _ sql: String) throws(Failure) {
        var body: [UInt8] = []
        body.append(zeroEnded: name)
        body.append(zeroEnded: sql)
        body += [0, 0]
        try connection.send((Self.message("P", body) + Self.message("S", [])).span)
        try finish()
    }

    /// Executes a prepared statement with text parameters. Gives the number of rows.
    func execute(_ name: String, _ parameters: [String]) throws(Failure) -> Int {
        var bind: [UInt8] = [0]
        bind.append(zeroEnded: name)
        bind += [0, 0]
        bind.append(bigEndian: UInt16(parameters.count))
        for parameter in parameters {
            bind.append(bigEndian: UInt32(parameter.utf8.count))
            bind += Array(parameter.utf8)
        }
        bind += [0, 0]
        let request =
            Self.message("B", bind) + Self.message("E", [0, 0, 0, 0, 0]) + Self.message("S", [])
        try connection.send(request.span)
        var rows = 0
        try finish { type, _ in if type == UInt8(ascii: "D") { rows += 1 } }
        return rows
    }

    private static func message(_ type: StaticString, _ body: [UInt8]) -> [UInt8] {
        var message = [type.byte(at: 0)]
        message.append(bigEndian: UInt32(body.count + 4))
        return message + body
    }

    /// Reads messages until the server is ready for the next query.
    private func finish(
        _ take: (UInt8, ArraySlice<UInt8>) -> Void = { _, _ in }
    ) throws(Failure) {
        var start = 0
        var failure: Failure?
        while true {
            while received.count - start >= 5 {
                let length = Int(received[start...].bigEndian(at: 1))
                guard received.count - start > length else { break }
                let (type, body) = (received[start], received[(start + 5)..<(start + 1 + length)])
                start += length + 1
                take(type, body)
                if type == UInt8(ascii: "E") {
                    failure = Failure(.no, "PostgreSQL: " + String(decoding: body, as: UTF8.self))
                }
                if type == UInt8(ascii: "Z") {
                    received.removeFirst(start)
                    if let failure { throw failure }
                    return
                }
            }
            guard try connection.fill() else {
                throw failure ?? Failure(.unreachable, "PostgreSQL closed the connection")
            }
            received += connection.takeReceived()
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append(zeroEnded text: String) {
        append(contentsOf: text.utf8)
        append(0)
    }

    fileprivate mutating func append(bigEndian value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}

extension ArraySlice<UInt8> {
    /// The 32-bit number at `offset` from the slice's start.
    fileprivate func bigEndian(at offset: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 << 8 | UInt32(self[startIndex + offset + $1]) }
    }
}
