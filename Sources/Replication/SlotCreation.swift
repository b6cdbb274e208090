#if PostgreSQL
    internal import Logging
    internal import Platform
    internal import ReadModel

    /// Makes a slot. The server first waits for every transaction that is open, in all databases;
    /// this says for whose.
    struct SlotCreation {
        let replication: PostgresClient
        let catalog: SourceCatalog
        let observer: any SyncObserver
        let logger: Logger

        /// The slot's start, and the name of a snapshot as of there, which lives until `replication`
        /// runs another command. Whatever it throws, there may be a slot.
        func run(_ name: String) throws(ReplicationFailure) -> (lsn: LSN, snapshot: String) {
            logger.log(.slotCreating, "creating a slot", metadata: ["slot": "\(name)"])
            var told: String?
            defer { observer.waits(for: nil) }
            let made = try replication.rows(
                "CREATE_REPLICATION_SLOT \(name.quoted) LOGICAL pgoutput EXPORT_SNAPSHOT",
                within: nil
            ) {
                // Nobody is stopped because it cannot be said for whom they wait.
                let reason = (try? holder()) ?? nil
                guard reason != told else { return }
                told = reason
                observer.waits(for: reason)
                if let reason {
                    logger.log(
                        .slotWaits, "creating a slot waits", metadata: ["reason": "\(reason)"])
                }
            }
            guard let row = made.first, row.count >= 3, let lsn = row[1].flatMap({ LSN($0) }),
                let snapshot = row[2]
            else { throw .protocolViolated("a slot without a snapshot") }
            return (lsn, snapshot)
        }

        /// Whose transaction the server waits for; nil if it is not known.
        private func holder() throws(ReplicationFailure) -> String? {
            let rows = try catalog.client.rows(
                """
                SELECT quote_literal(p.gid), p.prepared, p.database, a.pid, a.usename,
                       a.application_name, a.xact_start
                FROM pg_locks w
                LEFT JOIN pg_prepared_xacts p ON p.transaction = w.transactionid
                LEFT JOIN pg_locks h ON h.locktype = 'transactionid' AND h.granted
                     AND h.transactionid = w.transactionid
                LEFT JOIN pg_stat_activity a ON a.pid = h.pid
                WHERE w.pid = $1::text::int AND NOT w.granted
                """, ["\(replication.serverPID)"])
            guard let row = rows.first else { return nil }
            if let gid = row[0] {
                return
                    "the new slot waits for the prepared transaction \(gid) in \(row[2] ?? "?"), "
                    + "open since \(row[1] ?? "?"): COMMIT PREPARED \(gid), or ROLLBACK PREPARED "
                    + gid
            }
            guard let pid = row[3] else { return nil }
            let application = row[5].flatMap { $0.isEmpty ? nil : ", \($0)" } ?? ""
            let since = row[6].map { ", open since \($0)" } ?? ""
            return "the new slot waits for the transaction of process \(pid) (\(row[4] ?? "?")"
                + "\(application))\(since). To end it: SELECT pg_terminate_backend(\(pid))"
        }
    }
#endif
