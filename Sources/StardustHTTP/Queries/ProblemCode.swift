package import Packets
package import ReadModel

extension Problem {
    /// The kind of problem: the last part of `urn:stardust:error:<code>`.
    package enum Code: Hashable, Sendable {
        /// The bytes are not JSON the ledger accepts.
        case json(JSONError.Code)
        /// Valid JSON, but not a valid packet.
        case packet(SchemaViolation.Code)
        /// Not a valid row change.
        case row(ModelRefusal.Code)
        case request(RequestCode)

        /// Every code that clients may see.
        package static var all: [Code] {
            JSONError.Code.allCases.map(Code.json) + SchemaViolation.Code.allCases.map(Code.packet)
                + ModelRefusal.Code.allCases.map(Code.row)
                + RequestCode.allCases.filter { $0 != .wouldBlock && $0 != .wouldFetch }.map(
                    Code.request)
        }

        package var text: String {
            switch self {
            case .json(let code): code.rawValue
            case .packet(let code): code.rawValue
            case .row(let code): code.rawValue
            case .request(let code): code.rawValue
            }
        }

        package var status: Int {
            switch self {
            case .json: 400
            case .packet: 422
            case .row(.notAChange): 400
            case .row(.rowNotFound): 404
            case .row(.notUnique): 409
            case .row: 422
            case .request(let code): code.status
            }
        }

        /// The code in words.
        package var title: String {
            let words = String(text.map { $0 == "_" ? " " : $0 })
            return words.prefix(1).uppercased() + words.dropFirst()
        }
    }

    /// Codes about requests and about the daemon's own state.
    package enum RequestCode: String, CaseIterable, Sendable {
        // 400
        case malformedRequest = "malformed_request"
        case badRequest = "bad_request"
        case badParameter = "bad_parameter"
        case badID = "bad_id"
        case badPosition = "bad_position"
        case badSQL = "bad_sql"
        case answerTooLarge = "answer_too_large"
        // 403
        case forbidden
        case notARead = "not_a_read"
        case crossSite = "cross_site"
        // 404
        case notFound = "not_found"
        case noModel = "no_model"
        case noArchive = "no_archive"
        // 405, 408
        case methodNotAllowed = "method_not_allowed"
        case requestTimeout = "request_timeout"
        // 409
        case stardustIDConflict = "stardust_id_conflict"
        case followsPostgres = "follows_postgres"
        case modelLocked = "model_locked"
        // 413, 415
        case packetTooLarge = "packet_too_large"
        case tooLarge = "too_large"
        case unsupportedMediaType = "unsupported_media_type"
        // 416, 417, 421
        case rangeNotSatisfiable = "range_not_satisfiable"
        case expectationFailed = "expectation_failed"
        case misdirected
        // 431
        case headerTooLarge = "header_too_large"
        // 500
        case damaged
        case modelDrifted = "model_drifted"
        // 501
        case notImplemented = "not_implemented"
        // 503
        case forbiddenMember = "forbidden_member"
        case archiveBehind = "archive_behind"
        case tooMuchInFlight = "too_much_in_flight"
        case tooManyConnections = "too_many_connections"
        case tooManyFollowers = "too_many_followers"
        case tooManyQueries = "too_many_queries"
        case clockAhead = "clock_ahead"
        case recovering
        case stopping
        case readOnly = "read_only"
        case superseded
        case outcomeUnknown = "outcome_unknown"
        case failed
        case readFailed = "read_failed"
        case indexBehind = "index_behind"
        case indexFailed = "index_failed"
        case timeIsOver = "time_is_over"
        case tooMuchMemory = "too_much_memory"
        case notPublished = "not_published"
        case treeDamaged = "tree_damaged"
        case feedBusy = "feed_busy"
        case modelFailed = "model_failed"
        case archiveUnreachable = "archive_unreachable"
        case archiveDamaged = "archive_damaged"
        /// Never sent. The answer must come from a thread that may wait for the disk.
        case wouldBlock = "would_block"
        /// Never sent. The answer must come from a thread that may wait for the archive.
        case wouldFetch = "would_fetch"
        // 507
        case noSpace = "no_space"

        package var status: Int {
            switch self {
            case .malformedRequest, .badRequest, .badParameter, .badID, .badPosition, .badSQL,
                .answerTooLarge:
                400
            case .forbidden, .notARead, .crossSite: 403
            case .notFound, .noModel, .noArchive: 404
            case .methodNotAllowed: 405
            case .requestTimeout: 408
            case .stardustIDConflict, .followsPostgres, .modelLocked: 409
            case .packetTooLarge, .tooLarge: 413
            case .unsupportedMediaType: 415
            case .rangeNotSatisfiable: 416
            case .expectationFailed: 417
            case .misdirected: 421
            case .forbiddenMember: 422
            case .headerTooLarge: 431
            case .damaged, .modelDrifted: 500
            case .notImplemented: 501
            case .archiveBehind, .tooMuchInFlight, .tooManyConnections, .tooManyFollowers,
                .tooManyQueries,
                .clockAhead, .recovering, .stopping, .readOnly, .superseded, .outcomeUnknown,
                .failed,
                .readFailed, .indexBehind, .indexFailed, .timeIsOver, .tooMuchMemory,
                .notPublished, .treeDamaged, .feedBusy, .modelFailed, .archiveUnreachable,
                .archiveDamaged, .wouldBlock, .wouldFetch:
                503
            case .noSpace: 507
            }
        }
    }
}
