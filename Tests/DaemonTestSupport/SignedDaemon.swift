import Foundation
import LedgerFormat
import TestSupport

extension Daemon {
    /// A daemon with numbered packets, and the key that its ledger began with.
    package static func signed(
        packets: Int = 60, configuration: String? = nil
    ) throws -> (Daemon, vkey: String) {
        let daemon = try Daemon(configuration: configuration)
        try daemon.emit(0..<packets)
        return (daemon, try daemon.vkey)
    }

    /// Emits numbered packets.
    package func emit(_ numbers: Range<Int>) throws {
        let lines = try HTTPClient(socket).emitLines(Sample.body(numbers)).lines
        guard lines.count == numbers.count, lines.allSatisfy({ $0.hasPrefix("{\"status\":20") })
        else { throw Failure("\(lines)") }
    }

    /// The newest checkpoint once it covers a size.
    package func checkpoint(covering size: Int) throws -> SignedCheckpoint {
        let client = try HTTPClient(socket)
        let deadline = Date() + 60
        while Date() < deadline {
            let answer = try client.get("/v1/checkpoint")
            if answer.status == 200 {
                let published = try SignedCheckpoint(answer.body)
                if published.checkpoint.size.entries >= UInt64(size) { return published }
            }
            usleep(20_000)
        }
        throw Failure("no checkpoint over \(size): \(log)")
    }
}

/// Puts a copy of a folder in another's place.
package func copyFolder(_ from: String, to: String) throws {
    // What is not there need not be removed.
    try? FileManager.default.removeItem(atPath: to)
    try FileManager.default.copyItem(atPath: from, toPath: to)
}
