/// Every problem that the daemon reports, by the last part of `urn:stardust:error:<code>`.
extension Problem {
    package enum Code: String, CaseIterable, Sendable {
        // 400: the bytes are not JSON as the ledger admits it.
        case unexpectedEnd = "unexpected_end"
        case unexpectedByte = "unexpected_byte"
        case trailingBytes = "trailing_bytes"
        case byteOrderMark = "byte_order_mark"
        case invalidUTF8 = "invalid_utf8"
        case controlCharacter = "control_character"
        case nullCharacter = "null_character"
        case invalidEscape = "invalid_escape"
        case loneSurrogate = "lone_surrogate"
        case invalidNumber = "invalid_number"
        case numberTooLong = "number_too_long"
        case exponentTooLarge = "exponent_too_large"
        case duplicateKey = "duplicate_key"
        case tooDeep = "too_deep"
        case tooManyMembers = "too_many_members"
        case tooLong = "too_long"
        // 400: the request is wrong.
        case malformedRequest = "malformed_request"
        case badRequest = "bad_request"
        case badParameter = "bad_parameter"
        case badID = "bad_id"
        case badPosition = "bad_position"
        case badSQL = "bad_sql"
        case answerTooLarge = "answer_too_large"
        case notAChange = "not_a_change"
        // 403
        case forbidden
        case notARead = "not_a_read"
        // 404
        case notFound = "not_found"
        case noModel = "no_model"
        case rowNotFound = "row_not_found"
        // 405, 408
        case methodNotAllowed = "method_not_allowed"
        case requestTimeout = "request_timeout"
        // 409
        case stardustIDConflict = "stardust_id_conflict"
        case followsPostgres = "follows_postgres"
        case modelLocked = "model_locked"
        case notUnique = "not_unique"
        // 413, 415
        case packetTooLarge = "packet_too_large"
        case tooLarge = "too_large"
        case unsupportedMediaType = "unsupported_media_type"
        // 422: valid JSON, but not a valid packet or row.
        case missingMember = "missing_member"
        case unknownMember = "unknown_member"
        case wrongType = "wrong_type"
        case wrongFormat = "wrong_format"
        case unknownValue = "unknown_value"
        case wrongLength = "wrong_length"
        case outOfRange = "out_of_range"
        case unknownTable = "unknown_table"
        case unknownColumn = "unknown_column"
        case missingValue = "missing_value"
        case checkViolated = "check_violated"
        // 431
        case headerTooLarge = "header_too_large"
        // 500
        case damaged
        case modelDrifted = "model_drifted"
        // 503
        case tooMuchInFlight = "too_much_in_flight"
        case recovering
        case stopping
        case readOnly = "read_only"
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
        /// Never sent: the answer must be given where one may wait for the disk.
        case wouldBlock = "would_block"
        // 507
        case noSpace = "no_space"

        /// The codes that clients may meet.
        package static var sent: [Code] { allCases.filter { $0 != .wouldBlock } }

        package var status: Int {
            switch self {
            case .unexpectedEnd, .unexpectedByte, .trailingBytes, .byteOrderMark, .invalidUTF8,
                .controlCharacter, .nullCharacter, .invalidEscape, .loneSurrogate,
                .invalidNumber, .numberTooLong, .exponentTooLarge, .duplicateKey, .tooDeep,
                .tooManyMembers, .tooLong, .malformedRequest, .badRequest, .badParameter, .badID,
                .badPosition, .badSQL, .answerTooLarge, .notAChange:
                400
            case .forbidden, .notARead: 403
            case .notFound, .noModel, .rowNotFound: 404
            case .methodNotAllowed: 405
            case .requestTimeout: 408
            case .stardustIDConflict, .followsPostgres, .modelLocked, .notUnique: 409
            case .packetTooLarge, .tooLarge: 413
            case .unsupportedMediaType: 415
            case .missingMember, .unknownMember, .wrongType, .wrongFormat, .unknownValue,
                .wrongLength, .outOfRange, .unknownTable, .unknownColumn, .missingValue,
                .checkViolated:
                422
            case .headerTooLarge: 431
            case .damaged, .modelDrifted: 500
            case .tooMuchInFlight, .recovering, .stopping, .readOnly, .outcomeUnknown, .failed,
                .readFailed, .indexBehind, .indexFailed, .timeIsOver, .tooMuchMemory,
                .notPublished, .treeDamaged, .feedBusy, .modelFailed, .wouldBlock:
                503
            case .noSpace: 507
            }
        }

        /// The code in words.
        package var title: String {
            let words = String(rawValue.map { $0 == "_" ? " " : $0 })
            return words.prefix(1).uppercased() + words.dropFirst()
        }
    }
}
