internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Publishing
internal import ReadModel
internal import StardustCore

/// Queries for operators and load balancers.
enum OperatorQueries {
    static func livez(_ request: QueryRequest) -> Query {
        Query { _ in
            Answer {
                $0.beginObject()
                $0.member("live", true)
                $0.endObject()
            }
        }
    }

    static func readyz(_ request: QueryRequest) -> Query {
        Query { context in
            let reasons = context.ledger.unreadiness
            return Answer(reasons.isEmpty ? 200 : 503) { json in
                json.beginObject()
                json.member("ready", reasons.isEmpty)
                json.key("reasons")
                json.array(reasons) { $1.string($0) }
                json.endObject()
            }
        }
    }

    static func openAPI(_ request: QueryRequest) -> Query {
        Query { _ in Answer(200, "application/yaml", PackageResources.openapi_yaml) }
    }

    static func metrics(_ request: QueryRequest) -> Query {
        Query { context in
            return Answer(
                200, "text/plain; version=0.0.4; charset=utf-8",
                Array(MetricsPage.text(context.ledger).utf8))
        }
    }

    static func status(_ request: QueryRequest) -> Query {
        Query { context in
            let ledger = context.ledger
            let head = ledger.map?.head
            return Answer { json in
                json.beginObject()
                json.member("ledger_id", ledger.identity.ledgerID)
                json.member("origin", ledger.identity.origin)
                json.member("verifier_key", ledger.identity.verifierKey.description)
                json.member("phase", ledger.phaseName)
                json.key("reasons")
                json.array(ledger.unreadiness) { $1.string($0) }
                json.member("ledger_size", Int(head?.size.entries ?? 0))
                json.key("last_entry_hash")
                if let head { json.string(head.lastHash.tagged) } else { json.null() }
                json.member("segments", ledger.map?.segmentCount ?? 0)
                json.key("index")
                json.index(ledger.follower)
                json.key("publishing")
                json.publishing(ledger.publisher)
                json.key("archive")
                json.archive(ledger)
                json.key("clock_warning")
                if let warning = ledger.clock.warning {
                    json.string(warning)
                } else {
                    json.null()
                }
                let settings = ledger.inForce.report
                json.key("settings")
                settings.write(to: &json)
                json.key("reload")
                settings.writeReload(to: &json)
                json.member("bytes_in_flight", ledger.bytesInFlight)
                json.member("connections", ledger.budgets.used(.connections))
                json.endObject()
            }
        }
    }
}

extension JSONWriter {
    fileprivate mutating func index(_ follower: IndexFollower?) {
        let progress = follower?.progress
        beginObject()
        member("size", Int(progress?.size.entries ?? 0))
        member("phase", progress?.phase.name ?? "closed")
        member("file_bytes", follower?.fileBytes ?? 0)
        endObject()
    }

    fileprivate mutating func archive(_ ledger: RunningLedger) {
        let segments = ledger.map?.extents ?? []
        beginObject()
        member("segments", segments.count(where: \.isArchived))
        key("epoch")
        if let epoch = ledger.epoch?.note { integer(epoch.number) } else { null() }
        key("obstacle")
        if let obstacle = ledger.leaver?.obstacle { string(obstacle) } else { null() }
        endObject()
    }

    fileprivate mutating func publishing(_ publisher: Publisher?) {
        let published = publisher?.published?.checkpoint
        beginObject()
        member("phase", publisher?.phase.name ?? "closed")
        key("reason")
        if let reason = publisher?.phase.reason { string(reason) } else { null() }
        key("checkpoint_size")
        if let published { integer(published.size.entries) } else { null() }
        key("root")
        if let published { string(published.root.tagged) } else { null() }
        key("witnesses")
        array(publisher?.witnessReports ?? []) { witness, json in
            json.beginObject()
            json.member("name", witness.name)
            json.member("size", witness.size.entries)
            json.key("error")
            if let error = witness.error { json.string(error) } else { json.null() }
            json.key("since")
            if let since = witness.since { json.string(since.description) } else { json.null() }
            json.endObject()
        }
        key("keys")
        array(publisher?.history.all ?? []) { $1.string($0.description) }
        endObject()
    }
}
