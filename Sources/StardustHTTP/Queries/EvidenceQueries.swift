internal import Cleanup
internal import LedgerFormat
internal import LedgerIndex
internal import Packets
internal import Reconstruction
internal import StardustCore

/// Who used a file, and what rests on it.
enum EvidenceQueries {
    static let parameters: Endpoint.ParameterNames = .some(["as_of"])

    static func evidence(_ request: QueryRequest) throws(Problem) -> Query {
        let digest = request.variables.text("digest")
        guard digest.wholeMatch(of: /(sha256|blake3):[0-9a-f]{64}/) != nil else {
            throw .badParameter(
                "digest", "\(digest) is not sha256: or blake3: and 64 lower-case hexadecimal digits"
            )
        }
        let ledger = try LedgerAtSize(request)
        return Query { (context) throws(Problem) in
            let source = try context.source(ledger)
            let report = try context.searching { () throws(PacketSearch.Failure) in
                let candidates = try source.positions(
                    oneOf: EvidenceReport.terms(digest, source.key))
                var report = try EvidenceReport(digest, candidates, in: source)
                for uri in report.uris {
                    guard let asset = AssetURI(uri) else { continue }
                    try source.each(of: .entity(CleanupRecord.assets, asset.id)) {
                        (position) throws(PacketSearch.Failure) in
                        if let packet = try source.packet(at: position) {
                            report.cleanedUp.append(packet)
                        }
                        return true
                    }
                }
                return report
            }
            guard report.isKnown else { throw context.unknown("evidence \(digest)") }
            return Answer { report.write(to: &$0) }
        }
    }
}
