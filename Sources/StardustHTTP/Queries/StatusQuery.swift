internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Publishing
internal import StardustCore

/// `/v1/status`: how the daemon is. It needs only memory, so that it is answered whatever the disk does.
enum StatusQuery {
    static func status(_ request: QueryRequest) -> Query {
        Query { context in
            let ledger = context.ledger
            return Answer { json in
                json.beginObject()
                json.identity(ledger)
                json.state(ledger)
                json.key("index")
                json.index(ledger.follower)
                json.key("publishing")
                json.publishing(ledger.publisher)
                json.key("model")
                json.model(ledger)
                json.key("archive")
                json.archive(ledger)
                json.health(ledger)
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
    fileprivate mutating func identity(_ ledger: RunningLedger) {
        member("version", ledger.inForce.values.version)
        member("started_at", ledger.startedAt.description)
        member("ledger_id", ledger.identity.ledgerID)
        member("origin", ledger.identity.origin)
        member("created_at", ledger.identity.createdAt.description)
        member("verifier_key", ledger.identity.verifierKey.description)
    }

    fileprivate mutating func state(_ ledger: RunningLedger) {
        let head = ledger.map?.head
        member("phase", ledger.phaseName)
        key("reasons")
        array(ledger.unreadiness) { $1.string($0) }
        member("ledger_size", Int(head?.size.entries ?? 0))
        key("last_entry_hash")
        if let head { string(head.lastHash.tagged) } else { null() }
        key("last_received_at")
        if let time = head?.lastReceivedAt { string(time.description) } else { null() }
        member("segments", ledger.map?.segmentCount ?? 0)
        key("clock_warning")
        if let warning = ledger.clock.warning { string(warning) } else { null() }
    }

    fileprivate mutating func model(_ ledger: RunningLedger) {
        guard let service = ledger.model?.service else { return null() }
        beginObject()
        member("following", service.isFollowing)
        key("error")
        if let failure = service.failure { string(failure) } else { null() }
        key("waiting_for")
        if let reason = service.waitingFor { string(reason) } else { null() }
        endObject()
    }

    /// What is looked up every few seconds.
    fileprivate mutating func health(_ ledger: RunningLedger) {
        let sample = ledger.health.sample
        let segments = ledger.map?.extents.reduce(0) { $0 + ($1.isArchived ? 0 : $1.bytes) } ?? 0
        member("ledger_bytes", segments + (ledger.follower?.fileBytes ?? 0))
        key("disk")
        if let disk = sample.disk {
            beginObject()
            member("free_bytes", disk.freeBytes)
            key("bytes_per_day")
            if let growth = disk.bytesPerDay { integer(UInt64(max(0, growth))) } else { null() }
            key("full_in_seconds")
            if let time = disk.fullIn { integer(UInt64(time / .seconds(1))) } else { null() }
            endObject()
        } else {
            null()
        }
        for (name, record) in [("verified", sample.verify), ("backup", sample.backup)] {
            key(name)
            if let record {
                beginObject()
                member("at", record.time.description)
                member("size", record.size.entries)
                member("passed", record.isPassed)
                endObject()
            } else {
                null()
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
        member("answers", ledger.health.sample.archive != nil)
        key("obstacle")
        if let obstacle = ledger.leaver?.obstacle { string(obstacle) } else { null() }
        endObject()
    }

    fileprivate mutating func publishing(_ publisher: Publisher?) {
        let published = publisher?.published?.checkpoint
        beginObject()
        member("phase", publisher?.phase.name ?? "closed")
        key("published_at")
        if let time = publisher?.publishedAt { string(time.description) } else { null() }
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
