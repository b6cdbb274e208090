import Foundation
import LedgerFormat
import TestSupport

/// A log of 70,000 leaves that six other implementations agree on.
struct LogVectors: Decodable {
    var checkpoint: String
    var cosignedCheckpoint: String
    var cosignatureLine: String
    var cosignatureMessage: String
    var consistencyTo70000: [String: [String]]
    var logSeedHex: String
    var logSkey: String
    var logVkey: String
    var origin: String
    var roots: [String: String]
    var tileCount: Int
    var tilesSha256: [String: String]
    var tlogProofs: [String: String]
    var treeSize: Int
    var witnessSeedHex: String
    var witnessTime: UInt64
    var witnessVkey: String

    static func read() throws -> LogVectors {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(
            LogVectors.self, from: Data(try Repository.content("Tests/Vectors/log70000.json")))
    }

    func leaf(_ index: Int) -> [UInt8] {
        let digits = String(index)
        return Array(
            ("stardust-" + String(repeating: "0", count: 6 - digits.count) + digits).utf8)
    }

    var size: LedgerSize { LedgerSize(UInt64(treeSize)) }
    var logKey: NoteSigner { NoteSigner(logSkey)! }
    var witnessKey: NoteSigner {
        NoteSigner(
            name: String(witnessVkey.prefix { $0 != "+" }), type: .cosignature,
            Ed25519Key(seed: [UInt8](hexadecimal: witnessSeedHex.utf8)!))
    }
}
