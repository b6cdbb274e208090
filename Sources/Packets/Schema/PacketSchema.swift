internal import LedgerFormat

/// `packet.schema.json` as code, with one function per definition. Beyond the schema, a time must
/// exist in the calendar.
struct PacketSchema {
    let tokens: [JSONToken]

    private static let entityTypes = EntityTypes.words
    private static let relations = [ShortText](
        texts: "derived_from", "component_of", "input_to", "informed_by", "selected_from",
        "revision_of", "supersedes", "retracts", "retry_of", "triggered_by")
    private static let regionUnits = [ShortText](texts: "s", "frame", "char", "byte")
    private static let evidenceRoles = [ShortText](
        texts: "input", "output", "intermediate", "model", "prompt", "response", "policy", "log",
        "snapshot")

    /// Checks the packet with these tokens and returns what the ledger needs to know about it.
    func facts(_ bytes: Span<UInt8>) throws(SchemaViolation) -> PacketFacts {
        try requireKind(.object, 0, bytes)
        var (stardustID, entityID): (UUID128?, UUID128?)
        var createdAt: Timestamp?
        var entityType: String?
        var hasLineage = false
        for key in JSONChildren(tokens, of: 0) {
            let value = key + 1
            switch name(key, bytes) {
            case .stardustID: stardustID = try uuid4(value, bytes)
            case .entityType: entityType = try self.entityType(value, bytes)
            case .entityID: entityID = try uuid4(value, bytes)
            case .createdAt: createdAt = try time(value, bytes)
            case .decisionChain: try decisionChain(value, bytes)
            case .lineage:
                try lineage(value, bytes)
                hasLineage = true
            default:
                throw violation(.unknownMember, key, bytes, "a packet has no member with this name")
            }
        }
        guard let entityType else { throw missing("entity_type", in: 0, bytes) }
        guard let entityID else { throw missing("entity_id", in: 0, bytes) }
        guard hasLineage else { throw missing("lineage", in: 0, bytes) }
        return PacketFacts(
            stardustID: stardustID, createdAt: createdAt, entityType: entityType,
            entityID: entityID)
    }

    private func entityType(
        _ index: Int, _ bytes: Span<UInt8>
    ) throws(SchemaViolation) -> String {
        try knownWord(Self.entityTypes, orExtension: true, index, bytes)
        return withText(index, bytes) { String(utf8: $0) }
    }

    private func lineage(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try requireKind(.object, index, bytes)
        var (hasTrace, hasParents) = (false, false)
        for key in JSONChildren(tokens, of: index) {
            let value = key + 1
            switch name(key, bytes) {
            case .traceID:
                try traceID(value, bytes)
                hasTrace = true
            case .metaParents:
                try each(value, bytes, atMost: PacketLimits.elementsMax, parent)
                hasParents = true
            case .spanID: try lowerHex(16, value, bytes)
            case .schema: try requireKind(.string, value, bytes)
            case .producer: try producer(value, bytes)
            case .event: try token(value, bytes)
            case .evidence: try each(value, bytes, atMost: PacketLimits.elementsMax, evidence)
            case .decisionContext: try requireKind(.object, value, bytes)
            case .facets: try facets(value, bytes)
            default: break
            }
        }
        guard hasTrace else { throw missing("trace_id", in: index, bytes) }
        guard hasParents else { throw missing("_meta_parents", in: index, bytes) }
    }

    private func producer(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try requireKind(.object, index, bytes)
        var hasWorker = false
        for key in JSONChildren(tokens, of: index) {
            let value = key + 1
            switch name(key, bytes) {
            case .worker:
                try token(value, bytes)
                hasWorker = true
            case .version, .instance: try short(value, bytes)
            case .runID: try token(value, bytes)
            case .seq: try count(value, bytes)
            default: break
            }
        }
        guard hasWorker else { throw missing("worker", in: index, bytes) }
    }

    private func parent(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        if tokens[index].kind == .string {
            _ = try uuid4(index, bytes)
            return
        }
        try requireKind(.object, index, bytes, or: "a stardust_id")
        var (hasReference, hasType, hasID) = (false, false, false)
        for key in JSONChildren(tokens, of: index) {
            let value = key + 1
            switch name(key, bytes) {
            case .stardustID:
                _ = try uuid4(value, bytes)
                hasReference = true
            case .packetHash:
                try digest(value, bytes)
                hasReference = true
            case .uri:
                try text(value, bytes, atMost: 2048)
                hasReference = true
            case .entityType:
                try token(value, bytes)
                hasType = true
            case .entityID:
                _ = try uuid(value, bytes)
                hasID = true
            case .relation: try knownWord(Self.relations, orExtension: true, value, bytes)
            case .region: try parentRegion(value, bytes)
            case .node: try token(value, bytes)
            case .why: try short(value, bytes)
            default: break
            }
        }
        guard hasReference || (hasType && hasID) else {
            throw missing(
                "stardust_id, packet_hash, uri, or both entity_type and entity_id", in: index,
                bytes)
        }
    }

    private func parentRegion(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try requireKind(.object, index, bytes)
        var (hasStart, hasEnd) = (false, false)
        for key in JSONChildren(tokens, of: index) {
            let value = key + 1
            switch name(key, bytes) {
            case .start:
                try requireKind(.number, value, bytes)
                hasStart = true
            case .end:
                try requireKind(.number, value, bytes)
                hasEnd = true
            case .unit: try knownWord(Self.regionUnits, value, bytes)
            default: break
            }
        }
        guard hasStart else { throw missing("start", in: index, bytes) }
        guard hasEnd else { throw missing("end", in: index, bytes) }
    }

    private func evidence(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        if tokens[index].kind == .string { return try digest(index, bytes) }
        try requireKind(.object, index, bytes, or: "a digest")
        var hasDigest = false
        for key in JSONChildren(tokens, of: index) {
            let value = key + 1
            switch name(key, bytes) {
            case .digest:
                try digest(value, bytes)
                hasDigest = true
            case .id: try token(value, bytes)
            case .uri: try text(value, bytes, atMost: 2048)
            case .mediaType: try mediaType(value, bytes)
            case .bytes: try count(value, bytes)
            case .role: try knownWord(Self.evidenceRoles, value, bytes)
            case .retainUntil: _ = try time(value, bytes)
            case .region: try requireKind(.object, value, bytes)
            default: break
            }
        }
        guard hasDigest else { throw missing("digest", in: index, bytes) }
    }

    private func facets(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try requireKind(.object, index, bytes)
        for key in JSONChildren(tokens, of: index) {
            guard isFacetName(bytes.text(tokens[key])) else {
                throw violation(
                    .wrongFormat, key, bytes,
                    "a facet's name must be a lower-case letter, then at most 63 of a-z 0-9 _ .")
            }
            try requireKind(.object, key + 1, bytes)
            var hasSchema = false
            for inner in JSONChildren(tokens, of: key + 1) where name(inner, bytes) == .schema {
                try requireKind(.string, inner + 1, bytes)
                hasSchema = true
            }
            guard hasSchema else { throw missing("_schema", in: key + 1, bytes) }
        }
    }

    private func isFacetName(_ text: [UInt8]) -> Bool {
        guard let first = text.first, first.isLowerLetter, text.count <= 64 else { return false }
        return text.allSatisfy { $0.isLowerLetter || $0.isDigit || $0 == 0x5F || $0 == 0x2E }
    }
}

/// The entity types that packets may have.
package enum EntityTypes {
    static let words = [ShortText](
        texts: "creators", "posts", "videos", "analysis", "clips", "edit_jobs", "upload_jobs",
        "schedules", "logs", "stardust_metadata")

    /// Those of the engine.
    package static let known = [
        "creators", "posts", "videos", "analysis", "clips", "edit_jobs", "upload_jobs",
        "schedules", "logs", "stardust_metadata",
    ]

    /// Whether a packet may have this type: one of the engine's, or an extension.
    package static func mayBe(_ type: String) -> Bool {
        known.contains(type) || Array(type.utf8).isExtensionWord
    }

    /// Which of the engine's types a word that is none may mean, such as its plural.
    package static func nearest(to word: String) -> String? {
        let word = word.lowercased()
        guard word.count >= 3 else { return nil }
        return known.first { $0.hasPrefix(word) || word.hasPrefix($0) }
    }
}
