/// The measurements of one load.
package struct LoadResult: Sendable {
    package var packets = 0
    /// Packets without a receipt, and the daemon's answer to the first of them.
    package var refused = 0
    package var reason: String?
    var wall = Duration.zero
    /// Latencies in microseconds, sorted.
    var latencies: [Int] = []

    var perSecond: Double { Double(packets) / (wall / .seconds(1)) }

    func percentile(_ share: Double) -> Int {
        latencies.isEmpty
            ? 0 : latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))]
    }

    mutating func note(_ status: Int, _ text: @autoclosure () -> String) {
        if status == 201 {
            packets += 1
        } else {
            refused += 1
            reason = reason ?? text()
        }
    }
}

/// Counts the lines of an NDJSON answer by status, however the answer is split into pieces.
package struct AnswerLineCounter {
    package private(set) var result = LoadResult()
    private var line: [UInt8] = []

    package init() {}

    package mutating func take(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        while let end = rest.firstIndex(of: 0x0A) {
            if line.isEmpty {
                count(rest[..<end])
            } else {
                line += rest[..<end]
                count(line[...])
                line.removeAll(keepingCapacity: true)
            }
            rest = rest[(end + 1)...]
        }
        line += rest
    }

    /// A line begins with its status: `{"status":201,`.
    private mutating func count(_ line: ArraySlice<UInt8>) {
        let digits = line.dropFirst(#"{"status":"#.utf8.count).prefix(3)
        let status = digits.reduce(0) { $0 * 10 + Int($1) - 0x30 }
        result.note(status, String(decoding: line, as: UTF8.self))
    }
}
