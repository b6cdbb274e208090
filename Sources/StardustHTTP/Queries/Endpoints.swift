internal import Reconstruction
internal import StardustCore

extension Endpoint {
    /// Every request the socket accepts. The first is the one workers send.
    package static let all: [Endpoint] =
        (emitting + packets + entries + lists + auditing + model + source + operating).numbered

    static let router = Router(all)

    private static let emitting = [
        Endpoint(
            .post, "/v1/packets", .append, .withBody, .some(["wait", "receipts"]),
            .body(Emission.begin))
    ]

    private static let packets: [Endpoint] = [
        .get(
            "/v1/packets/{stardust_id}", .read, .brieflyElse(on: .disk), PacketQueries.parameters,
            PacketQueries.packet),
        .get(
            "/v1/packets/{stardust_id}/raw", .read, .brieflyElse(on: .disk),
            PacketQueries.parameters, PacketQueries.rawPacket),
        .get(
            "/v1/packets/{stardust_id}/parents", .read, .brieflyElse(on: .waiting),
            ListQueries.parameters, EdgeQueries.parents),
        .get(
            "/v1/packets/{stardust_id}/children", .read, .brieflyElse(on: .waiting),
            ListQueries.parameters, EdgeQueries.children),
        .get(
            "/v1/packets/{stardust_id}/chain", .read, .brieflyElse(on: .chains),
            ChainQueries.parameters, ChainQueries.packetChain),
        .get(
            "/v1/packets/{stardust_id}/proof", .read, .brieflyElse(on: .waiting), .none,
            ProofQueries.packetProof),
    ]

    private static let entries: [Endpoint] = [
        .get(
            "/v1/entries/{position}", .read, .brieflyElse(on: .disk), PacketQueries.parameters,
            PacketQueries.entry),
        .get(
            "/v1/entries/{position}/raw", .read, .brieflyElse(on: .disk),
            PacketQueries.parameters, PacketQueries.rawEntry),
        .get(
            "/v1/entries/{position}/proof", .read, .brieflyElse(on: .waiting), .none,
            ProofQueries.entryProof),
    ]

    private static let lists: [Endpoint] = [
        .get(
            "/v1/packets", .read, .brieflyElse(on: .waiting), ListQueries.findParameters,
            ListQueries.find),
        PostedQuery.packets.endpoint("/v1/packets/query"),
        // Its name in version 0.9.
        PostedQuery.packets.endpoint("/v1/find"),
        .get(
            "/v1/steps", .read, .brieflyElse(on: .waiting), StepQueries.parameters,
            StepQueries.steps),
        PostedQuery.steps.endpoint("/v1/steps/query"),
        PostedQuery.chains.endpoint("/v1/chains/query"),
        .get(
            "/v1/conflicts", .read, .brieflyElse(on: .waiting), StandingQueries.parameters,
            StandingQueries.conflicts),
        .get(
            "/v1/evidence/{digest}", .read, .brieflyElse(on: .chains), EvidenceQueries.parameters,
            EvidenceQueries.evidence),
        .get(
            "/v1/diff", .read, .brieflyElse(on: .chains), DiffQueries.parameters,
            DiffQueries.diff),
        .get(
            "/v1/paths", .read, .brieflyElse(on: .chains), PathQueries.parameters,
            PathQueries.path),
        .get(
            "/v1/entities/{type}/{id}/packets", .read, .brieflyElse(on: .waiting),
            ListQueries.parameters, ListQueries.entityPackets),
        .get(
            "/v1/entities/{type}/{id}/chain", .read, .brieflyElse(on: .chains),
            ChainQueries.parameters, ChainQueries.entityChain),
        .get(
            "/v1/traces/{trace_id}/packets", .read, .brieflyElse(on: .waiting),
            ListQueries.parameters, ListQueries.tracePackets),
        .get(
            "/v1/traces/{trace_id}/chain", .read, .brieflyElse(on: .chains),
            ChainQueries.parameters, ChainQueries.traceChain),
        Endpoint(.get, "/v1/follow", .read, .following, FollowStream.parameters, .follow),
    ]

    private static let auditing: [Endpoint] = [
        .get("/checkpoint", .audit, .paced, .none, ProofQueries.checkpoint),
        .get("/v1/checkpoint", .audit, .paced, .none, ProofQueries.checkpoint),
        .get(
            "/v1/proofs/consistency", .audit, .brieflyElse(on: .waiting), .some(["from", "to"]),
            ProofQueries.consistency),
        .get("/tile/{level}/{index}", .audit, .brieflyElse(on: .disk), .none, ProofQueries.tile),
    ]

    private static let model: [Endpoint] = [
        Endpoint(
            .post, "/v1/model/changes", .admin, .withBody, .ignored,
            .body { (connection, _) throws(Problem) in
                try MediaType.requireNDJSON(of: connection)
                return FeedStream(connection)
            }),
        Endpoint(
            .post, "/v1/model/sql", .read, .withBody, .ignored,
            .body { (connection, _) throws(Problem) in
                try SQLRequest.begin(connection)
            }),
        .get("/v1/model/tables/{table}", .read, .on(.waiting), .columns, ModelQueries.tableRows),
        .get("/v1/model/tables/{table}/{id}", .read, .on(.waiting), .none, ModelQueries.row),
        .get("/v1/model/views/{view}", .read, .on(.waiting), .columns, ModelQueries.viewRows),
        .get("/v1/model/status", .read, .on(.waiting), .none, ModelQueries.status),
        .get("/v1/model/drift", .read, .on(.drift), .none, ModelQueries.drift),
    ]

    private static let source: [Endpoint] = [
        .get("/v1/source", .audit, .onLoop, .none, SourceQueries.source),
        .get("/v1/source/identity", .audit, .onLoop, .none, SourceQueries.identity),
        .get("/v1/source/epoch", .audit, .onLoop, .none, SourceQueries.epoch),
        Endpoint(
            .post, "/v1/source/superseded", .audit, .withBody, .none,
            .body { (connection, _) throws(Problem) in SourceQueries.superseded(connection) }),
        .get(
            "/v1/source/segments/{position}", .audit, .on(.disk), SourceQueries.parameters,
            SourceQueries.segment),
        .get(
            "/v1/source/checkpoints", .audit, .on(.disk), SourceQueries.parameters,
            SourceQueries.checkpoints),
    ]

    private static let operating: [Endpoint] = [
        Endpoint(
            .post, "/v1/archive/recall", .admin, .withBody, .none,
            .body { (connection, _) throws(Problem) in
                try ArchiveQueries.beginRecall(connection)
            }),
        .get("/v1/status", .admin, .onLoop, .ignored, StatusQuery.status),
        .get("/metrics", .admin, .on(.waiting), .ignored, OperatorQueries.metrics),
        .get("/livez", nil, .onLoop, .ignored, OperatorQueries.livez),
        .get("/readyz", nil, .onLoop, .ignored, OperatorQueries.readyz),
        .get("/openapi.yaml", nil, .onLoop, .ignored, OperatorQueries.openAPI),
    ]
}
