import Logging
import ReadModel
import Replication
import TestSupport
import Testing

/// The changes of a stream on a real file, without a server.
@Suite struct ChangeApplierTests {
    struct NoColumns: SourceColumns {
        func valueOfExistingRows(
            _ column: String, of table: String, _ typeOID: UInt32
        ) throws(ReplicationFailure) -> ModelValue { .string("free") }

        func tables() throws(ReplicationFailure) -> [String: SourceTable] { [:] }
        func baseType(of oid: UInt32) -> UInt32 { oid }

        func obstacle() throws(ReplicationFailure) -> String? { nil }
        func position() throws(ReplicationFailure) -> LSN { .zero }
    }

    static let columns: [(String, UInt32)] = [
        ("creator_id", 2950), ("platform", 25), ("username", 25), ("profile_url", 25),
        ("created_at", 1184), ("updated_at", 1184),
    ]
    static let time = "2026-01-01 00:00:00+00"

    final class Model {
        let folder: TemporaryFolder
        let applier: ChangeApplier

        init() throws {
            folder = try TemporaryFolder()
            let copy = try ModelWriter(
                copyingInto: ModelFolder(folder.path), EngineSchema.tables,
                ModelState(.postgres, .copying))
            copy.state.phase = .live
            applier = ChangeApplier(
                try copy.finishCopy(), NoColumns(), schema: "public",
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }

        func apply(_ messages: [UInt8]...) throws(ReplicationFailure) {
            for message in messages { try applier.apply(message.span) }
        }

        func rows(_ sql: String) throws -> [[ModelValue]] {
            try SQLiteConnection(folder.path + "/model.sqlite", .readOnly).rows(sql)
        }
    }

    static func row(_ id: String, _ url: String?) -> [String?] {
        [id, "p", id, url, time, time]
    }
    static func id(_ number: Int) -> String { "00000000-0000-4000-8000-00000000000\(number)" }
    static let relation = Message.relation(7, "creators", columns)

    @Test func `rows and the end of their transaction become durable together`() throws {
        let model = try Model()
        try model.apply(
            Message.begin(100), Self.relation, Message.insert(7, Self.row(Self.id(1), "x")),
            Message.commit(110))
        #expect(try model.rows("SELECT count(*) FROM creators") == [[.integer(0)]])
        try model.applier.commit()
        #expect(
            try model.rows("SELECT count(*), (SELECT lsn FROM model_state) FROM creators") == [
                [.integer(1), .integer(110)]
            ])
        // The same transaction comes again, as after a crash before the feedback.
        try model.apply(
            Message.begin(100), Message.insert(7, Self.row(Self.id(1), "x")), Message.commit(110))
        #expect(!model.applier.hasPending)
        // A transaction that is not whole leaves nothing.
        try model.apply(Message.begin(200), Message.insert(7, Self.row(Self.id(2), nil)))
        model.applier.rollback()
        #expect(try model.rows("SELECT count(*) FROM creators") == [[.integer(1)]])
    }

    @Test func `a large value that did not come stays, also when the key changes`() throws {
        let model = try Model()
        try model.apply(
            Message.begin(100), Self.relation, Message.insert(7, Self.row(Self.id(1), "large")),
            Message.update(7, [Self.id(1), "q", Self.id(1), "\u{0}", Self.time, Self.time]),
            Message.update(
                7, old: [Self.id(1), nil, nil, nil, nil, nil],
                [Self.id(2), "r", Self.id(1), "\u{0}", Self.time, Self.time]),
            Message.commit(110))
        try model.applier.commit()
        #expect(
            try model.rows("SELECT creator_id, platform, profile_url FROM creators")
                == [[.string(Self.id(2)), .string("r"), .string("large")]])
    }

    @Test func `what does not meet one row is drift`() throws {
        for change in [
            Message.update(7, Self.row(Self.id(9), "x")),
            Message.delete(7, [Self.id(9), nil, nil, nil, nil, nil]),
            Message.insert(7, Self.row(Self.id(1), "x")),
        ] {
            let model = try Model()
            try model.apply(
                Message.begin(100), Self.relation, Message.insert(7, Self.row(Self.id(1), "x")),
                Message.commit(110))
            try model.applier.commit()
            try model.apply(Message.begin(200))
            let failure = #expect(throws: ReplicationFailure.self) { try model.apply(change) }
            #expect(failure?.needsResync == true && "\(failure!)".contains("creators"))
            model.applier.rollback()
            #expect(try model.rows("SELECT count(*) FROM creators") == [[.integer(1)]])
        }
    }

    @Test func `an order that no server sends is an error`() throws {
        let wrong: [[[UInt8]]] = [
            [Message.insert(7, Self.row(Self.id(1), "x"))],
            [Message.begin(100), Message.begin(200)],
            [Message.begin(100), Message.insert(9, Self.row(Self.id(1), "x"))],
            [
                Message.begin(100), Self.relation,
                Message.insert(7, Self.row(Self.id(1), "x") + ["more"]),
            ],
            [Message.begin(100), Self.relation, Message.update(7, ["\u{0}", "q"])],
            [Message.begin(100), Self.relation, Message.delete(7, [])],
            [
                Message.begin(100), Self.relation,
                Message.update(7, [nil, "x", nil, nil, nil, nil]),
            ],
        ]
        for messages in wrong {
            let model = try Model()
            #expect(throws: ReplicationFailure.self) {
                for message in messages { try model.apply(message) }
            }
            model.applier.rollback()
        }
    }

    @Test func `a text that is not of its type's form is named`() throws {
        let model = try Model()
        var row = Self.row(Self.id(1), "x")
        row[4] = "22/11/2026 17:16:33 JST"
        try model.apply(Message.begin(100), Self.relation)
        let failure = #expect(throws: ReplicationFailure.self) {
            try model.apply(Message.insert(7, row))
        }
        #expect(
            "\(failure!)".contains("creators.created_at") && "\(failure!)".contains("22/11/2026"))
        model.applier.rollback()
    }

    @Test func `a column that is added fills the rows that stand, in the same transaction`() throws
    {
        let model = try Model()
        try model.apply(
            Message.begin(100), Self.relation, Message.insert(7, Self.row(Self.id(1), "x")),
            Message.commit(110))
        try model.applier.commit()
        let wider = Message.relation(7, "creators", Self.columns + [("tier", 25)])
        try model.apply(
            Message.begin(200), wider, Message.insert(7, Self.row(Self.id(2), "y") + ["paid"]),
            Message.commit(210))
        try model.applier.commit()
        #expect(
            try model.rows("SELECT tier FROM creators ORDER BY creator_id")
                == [[.string("free")], [.string("paid")]])
        // Rolled back, it is not there.
        let wide = Message.relation(7, "creators", Self.columns + [("tier", 25), ("more", 25)])
        try model.apply(Message.begin(300), wide)
        model.applier.rollback()
        #expect(
            try model.rows("SELECT count(*) FROM pragma_table_info('creators')") == [[.integer(7)]])
    }

    @Test func `commits are synced whole`() throws {
        let model = try Model()
        let mode = try model.applier.writer.connection.rows(
            "SELECT * FROM pragma_synchronous, pragma_journal_mode")
        #expect(mode == [[.integer(2), .string("wal")]])
    }
}
