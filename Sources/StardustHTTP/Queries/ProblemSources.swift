internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import StardustCore

/// Converts failures of the lower layers to problems.
extension Problem {
    init(_ error: PacketError) {
        switch error {
        case .json(let error): self.init(error)
        case .schema(let violation):
            let place = violation.pointer.isEmpty ? "the packet" : violation.pointer
            self.init(.packet(violation.code), "\(place): \(violation.detail)")
            pointer = violation.pointer
            offset = violation.offset
        }
    }

    init(_ error: JSONError) {
        self.init(.json(error.code), error.description)
        offset = error.offset
    }

    init(_ refusal: AppendRefusal) {
        switch refusal {
        case .tooMuchInFlight:
            self.init(
                .tooMuchInFlight, "too much is in flight; try again", retryAfterSeconds: 1)
        case .recovering:
            self.init(
                .recovering, "the ledger is being opened; try again", retryAfterSeconds: 1)
        case .stopping:
            self.init(
                .stopping, "the daemon is stopping; try again once it is back",
                retryAfterSeconds: 5)
        case .readOnly(let reason):
            self.init(
                .readOnly,
                "nothing is accepted until an operator intervenes: \(reason)",
                retryAfterSeconds: 60)
        case .superseded(let reason): self.init(.superseded, reason, retryAfterSeconds: 60)
        case .archiveBehind(let reason):
            self.init(.archiveBehind, reason, retryAfterSeconds: 30)
        case .clockAhead(let reason):
            self.init(.clockAhead, reason, retryAfterSeconds: 60)
        case .noSpace(let reason):
            self.init(
                .noSpace, "\(reason). Appends resume when there is room", retryAfterSeconds: 5)
        case .outcomeUnknown(let reason):
            self.init(
                .outcomeUnknown,
                "\(reason). Send it again once the daemon is back: no stardust_id is stored twice",
                retryAfterSeconds: 5)
        case .failed(let reason):
            self.init(
                .failed, "\(reason). Nothing was written; try again", retryAfterSeconds: 1)
        }
    }

    /// Internal only: the query must be answered again on a thread that may wait.
    static let wouldBlock = Problem(.wouldBlock, "the answer would have to wait for the disk")

    var isWouldBlock: Bool { code == .request(.wouldBlock) }

    /// Internal only: the query must be answered again on a thread that may ask the archive.
    static let wouldFetch = Problem(.wouldFetch, "the answer would have to wait for the archive")

    var isWouldFetch: Bool { code == .request(.wouldFetch) }

    init(_ failure: ReadFailure) {
        guard !failure.isWouldBlock else {
            self = .wouldBlock
            return
        }
        switch failure {
        case .file(let failure) where failure.isWouldFetch: self = .wouldFetch
        case .file(let failure) where failure.isArchiveUnreachable:
            self.init(
                .archiveUnreachable, "\(failure); `stardust archive status` says more",
                retryAfterSeconds: 5)
        case .file(let failure) where failure.isArchiveDamaged:
            self.init(
                .archiveDamaged, "\(failure); `stardust verify --archive` names what is damaged",
                retryAfterSeconds: 60)
        case .file(let failure): self.init(.readFailed, "\(failure); try again")
        case .damaged(let finding):
            self.init(
                .damaged, "\(finding). `stardust verify` reports how much of the ledger is intact")
        }
    }

    static func tooLarge(limit: Int) -> Problem {
        var problem = Problem(.packetTooLarge, "a packet may have at most \(limit) bytes")
        problem.limit = limit
        return problem
    }

    static func conflict(_ first: Receipt) -> Problem {
        var problem = Problem(
            .stardustIDConflict,
            "this stardust_id is stored at position \(first.position) with different content; "
                + "a new packet needs its own id")
        problem.position = first.position.value
        return problem
    }

    static func forbidden(_ role: Role) -> Problem {
        Problem(
            .forbidden,
            "this requires the role \(role.rawValue), which the configuration does not grant you")
    }

    static func forbidden(appending type: String) -> Problem {
        Problem(.forbidden, "the configuration does not allow you to append \(type)")
    }

    static let notFound = Problem(.notFound, "there is nothing at this path")

    static func unknown(_ what: String) -> Problem {
        Problem(.notFound, "\(what) is not in the ledger")
    }

    static func notAnEntityType(_ type: String) -> Problem {
        let known = EntityTypes.known.joined(separator: ", ")
        let hint =
            EntityTypes.nearest(to: type).map { "did you mean \($0)?" } ?? "known are \(known)"
        return badParameter(
            "entity_type", "no packet can have the type \(type); \(hint)")
    }

    static func badParameter(_ name: String, _ detail: String) -> Problem {
        Problem(.badParameter, "\(name): \(detail)")
    }

    static func notAUUID(_ text: Substring) -> Problem {
        Problem(.badID, "\(text) is not a UUID: 8-4-4-4-12 hexadecimal digits")
    }

    static let notATile = Problem(
        .notFound,
        "this is not the path of a tile, as in /tile/0/x001/067 or /tile/entries/000.p/12")

    static func notATraceID(_ text: Substring) -> Problem {
        Problem(.badID, "\(text) is not a trace id: a UUID, or 32 hexadecimal digits")
    }
}
