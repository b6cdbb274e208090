#if PostgreSQL
    internal import LedgerFormat
    internal import ReadModel

    /// A row on both sides; nil where there is none.
    struct RowPair: Hashable {
        var here: [ModelValue]?
        var there: [ModelValue]?
    }

    struct ComparedColumns {
        let table: String
        let key: String
        let names: [String]
        let types: [ColumnType]
        let schema: String

        /// The keys' order is that of their bytes on both sides.
        func source(_ condition: String = "true") -> String {
            "SELECT \(key.quoted)::text, \(names.map(\.quoted).joined(separator: ", ")) FROM "
                + "\(schema.quoted).\(table.quoted) WHERE \(condition) "
                + "ORDER BY \(key.quoted)::text COLLATE \"C\""
        }

        func model(_ condition: String = "1") -> String {
            "SELECT CAST(\(key.quoted) AS TEXT), \(names.map(\.quoted).joined(separator: ", ")) "
                + "FROM \(table.quoted) WHERE \(condition) ORDER BY 1 COLLATE BINARY"
        }

        func difference(_ key: String, _ pair: RowPair) -> String {
            guard let here = pair.here else { return "\(key) is only at the source" }
            guard let there = pair.there else { return "\(key) is only in the read model" }
            let places = names.indices.filter { here[$0] != there[$0] }
            return "\(key): "
                + places.map { "\(names[$0]) is \(here[$0].shown) here, \(there[$0].shown) there" }
                .joined(separator: "; ")
        }
    }

    /// The model's rows, one after the other.
    final class ModelRows {
        private let statement: SQLiteStatement
        private(set) var current: (key: String, values: [ModelValue])?

        init(_ connection: SQLiteConnection, _ sql: String) throws(ReplicationFailure) {
            do throws(SQLiteFailure) { statement = try connection.prepare(sql) } catch {
                throw .model(.database(error))
            }
            try advance()
        }

        func advance() throws(ReplicationFailure) {
            do throws(SQLiteFailure) {
                guard try statement.step() else {
                    current = nil
                    return
                }
            } catch { throw .model(.database(error)) }
            let values = (1..<statement.columnCount).map(statement.value)
            current = (statement.value(0).string ?? "", values)
        }
    }

    /// Reads the source's rows as the model stores them: through SQLite, as they are copied.
    final class SourceRows {
        private let types: [ColumnType]
        private let statement: SQLiteStatement
        private var line = CopyLine()
        private var binder = ValueBinder()

        init(_ types: [ColumnType]) throws(ReplicationFailure) {
            self.types = types
            let places = types.indices.map { "?\($0 + 1)" }.joined(separator: ", ")
            do throws(SQLiteFailure) {
                statement = try SQLiteConnection(":memory:", .create).prepare("SELECT " + places)
            } catch { throw .model(.database(error)) }
        }

        func row(
            _ bytes: Span<UInt8>
        ) throws(ReplicationFailure) -> (key: String, values: [ModelValue]) {
            guard line.read(bytes), line.fields.count == types.count + 1, let key = line.fields[0]
            else { throw .protocolViolated("a row not in COPY's text format") }
            do throws(SQLiteFailure) {
                let texts = line.text
                for (number, type) in types.enumerated() {
                    guard let field = line.fields[number + 1] else {
                        try statement.bindNull(number + 1)
                        continue
                    }
                    let text = texts.span.extracting(field)
                    guard try binder.bind(statement, number + 1, type, text) else {
                        throw SQLiteFailure.mismatch(
                            "a value does not have the form of its type", place: ":memory:")
                    }
                }
                _ = try statement.step()
                let values = types.indices.map(statement.value)
                // Runs to the end, so that it can be used again.
                try statement.run()
                return (String(decoding: line.text[key], as: UTF8.self), values)
            } catch { throw .model(.database(error)) }
        }
    }

    /// SHA-256 over rows: of the hash so far and the next row.
    struct RowHash {
        private(set) var digest = Digest.zero
        private(set) var count = 0

        mutating func add(_ values: [ModelValue]) {
            count += 1
            var bytes: [UInt8] = Array("\(digest.hex)".utf8)
            for value in values {
                let (kind, text): (UInt8, [UInt8]) =
                    switch value {
                    case .null: (0, [])
                    case .integer(let number): (1, Array("\(number)".utf8))
                    // Zero has no sign in the read model.
                    case .real(let number): (2, Array("\(number == 0 ? 0 : number)".utf8))
                    case .text(let text): (3, text)
                    }
                bytes.append(kind)
                bytes += Array("\(text.count):".utf8) + text
            }
            digest = .sha256(bytes)
        }
    }

    extension String {
        func comesBefore(_ other: String) -> Bool {
            utf8.lexicographicallyPrecedes(other.utf8)
        }
    }

    extension ModelValue {
        /// For people: cut, and on one line.
        var shown: String {
            switch self {
            case .null: "null"
            case .integer(let number): "\(number)"
            case .real(let number): "\(number)"
            case .text:
                "\((string ?? "").prefix(60).debugDescription)"
                    + ((string ?? "").count > 60 ? "…" : "")
            }
        }
    }
#endif
