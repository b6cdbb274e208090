internal import LedgerFormat

/// The definitions `decisionChain`, `node` and `option` of the schema.
extension PacketSchema {
    private static let nodeKinds = [ShortText](
        texts: "observation", "analysis", "proposal", "vote", "tally", "score", "rule", "tool",
        "selection", "override", "approval", "rejection", "schedule", "commit", "correction", "note"
    )
    private static let agentTypes = [ShortText](
        texts: "software", "model", "human", "committee", "rule")
    private static let statuses = [ShortText](
        texts: "proposed", "accepted", "rejected", "overridden", "failed", "superseded")

    func decisionChain(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        switch tokens[index].kind {
        case .null: return
        case .array: return try each(index, bytes, atMost: PacketLimits.elementsMax, node)
        default: try requireKind(.object, index, bytes, or: "an array or null")
        }
        var hasNodes = false
        for key in JSONChildren(tokens, of: index) {
            let value = key + 1
            switch name(key, bytes) {
            case .nodes:
                try each(value, bytes, atMost: PacketLimits.elementsMax, node)
                hasNodes = true
            case .question: try short(value, bytes)
            case .decisionKey: try token(value, bytes)
            case .outcome: try requireKind(.string, value, bytes)
            case .halolux: try requireKind(.object, value, bytes)
            default: break
            }
        }
        guard hasNodes else { throw missing("nodes", in: index, bytes) }
    }

    private func node(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try requireKind(.object, index, bytes)
        var (hasID, hasKind) = (false, false)
        for key in JSONChildren(tokens, of: index) {
            let value = key + 1
            switch name(key, bytes) {
            case .id:
                try token(value, bytes)
                hasID = true
            case .kind:
                try knownWord(Self.nodeKinds, orExtension: true, value, bytes)
                hasKind = true
            case .agent: try agent(value, bytes)
            case .title, .method: try short(value, bytes)
            case .rationale: try prose(value, bytes)
            case .parents: try each(value, bytes, nodeReference)
            case .inputs: try each(value, bytes, input)
            case .evidence: try each(value, bytes, token)
            case .votes: try eachMember(value, bytes, vote)
            case .options, .alternatives: try each(value, bytes, option)
            case .chosen:
                if tokens[value].kind == .array {
                    throw violation(.wrongType, value, bytes, "must not be an array")
                }
            case .score: try requireKind(.number, value, bytes)
            case .scores: try eachMember(value, bytes, numberOrNull)
            case .confidence: try fraction(value, bytes)
            case .threshold: try eachMember(value, bytes, number)
            case .status: try knownWord(Self.statuses, value, bytes)
            case .at: _ = try time(value, bytes)
            case .durationMS: try notNegative(value, bytes)
            default: break
            }
        }
        guard hasID else { throw missing("id", in: index, bytes) }
        guard hasKind else { throw missing("kind", in: index, bytes) }
    }

    private func agent(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        if tokens[index].kind == .string { return try token(index, bytes) }
        try requireKind(.object, index, bytes, or: "a string")
        var hasID = false
        for key in JSONChildren(tokens, of: index) {
            let value = key + 1
            switch name(key, bytes) {
            case .id:
                try token(value, bytes)
                hasID = true
            case .type: try knownWord(Self.agentTypes, value, bytes)
            case .version, .model: try short(value, bytes)
            case .onBehalfOf: try token(value, bytes)
            default: break
            }
        }
        guard hasID else { throw missing("id", in: index, bytes) }
    }

    private func vote(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        guard tokens[index].kind == .object else {
            if tokens[index].kind == .array {
                throw violation(.wrongType, index, bytes, "must be a scalar or an object")
            }
            return
        }
        for key in JSONChildren(tokens, of: index) {
            let value = key + 1
            switch name(key, bytes) {
            case .vote:
                if tokens[value].kind == .array || tokens[value].kind == .object {
                    throw violation(.wrongType, value, bytes, "must be a scalar")
                }
            case .option: try token(value, bytes)
            case .score: try requireKind(.number, value, bytes)
            case .weight: try notNegative(value, bytes)
            case .confidence: try fraction(value, bytes)
            case .rationale: try prose(value, bytes)
            case .abstain:
                if tokens[value].kind != .true && tokens[value].kind != .false {
                    throw violation(.wrongType, value, bytes, "must be true or false")
                }
            default: break
            }
        }
    }

    private func option(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try requireKind(.object, index, bytes)
        var hasID = false
        for key in JSONChildren(tokens, of: index) {
            let value = key + 1
            switch name(key, bytes) {
            case .id:
                try token(value, bytes)
                hasID = true
            case .label: try short(value, bytes)
            case .score: try requireKind(.number, value, bytes)
            case .whyNot: try prose(value, bytes)
            default: break
            }
        }
        guard hasID else { throw missing("id", in: index, bytes) }
    }

    private func input(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        if tokens[index].kind != .string {
            try requireKind(.object, index, bytes, or: "a string")
        }
    }

    private func number(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try requireKind(.number, index, bytes)
    }

    private func numberOrNull(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        if tokens[index].kind != .null { try requireKind(.number, index, bytes, or: "null") }
    }

    /// Names a node: by its id in this packet, or as `stardust:<stardust_id>#<node>` in another.
    private func nodeReference(_ index: Int, _ bytes: Span<UInt8>) throws(SchemaViolation) {
        try requireKind(.string, index, bytes)
        let isReference = withText(index, bytes) { text in
            var sharp = 0
            while sharp < text.count, text[sharp] != UInt8(ascii: "#") { sharp += 1 }
            if sharp == text.count { return isNodeName(text, 0..<sharp, allowsLineEnds: true) }
            guard sharp == Self.foreignPrefixCount + UUID128.textCount,
                ShortText(text, 0..<Self.foreignPrefixCount) == Self.foreignPrefix
            else { return false }
            for place in Self.foreignPrefixCount..<sharp
            where hexadecimalValue(text[place]) == nil && text[place] != UInt8(ascii: "-") {
                return false
            }
            return isNodeName(text, sharp + 1..<text.count, allowsLineEnds: false)
        }
        guard isReference else {
            throw violation(
                .wrongFormat, index, bytes,
                "must be a node id of 1 to 128 characters without #, or "
                    + "stardust:<stardust_id>#<node>")
        }
    }

    private static let foreignPrefix = ShortText("stardust:")
    private static let foreignPrefixCount = 9

    /// 1 to 128 characters. In a reference to another packet, line ends are not allowed.
    private func isNodeName(
        _ text: Span<UInt8>, _ range: Range<Int>, allowsLineEnds: Bool
    ) -> Bool {
        let name = text.extracting(range)
        var (scalars, hasLineEnd) = (0, false)
        for index in 0..<name.count {
            let byte = name[index]
            if byte & 0xC0 != 0x80 { scalars += 1 }
            // U+2028 and U+2029 are E2 80 A8 and E2 80 A9.
            let isSeparator =
                byte & 0xFE == 0xA8 && index >= 2 && name[index - 1] == 0x80
                && name[index - 2] == 0xE2
            if byte == 0x0A || byte == 0x0D || isSeparator { hasLineEnd = true }
        }
        return (1...128).contains(scalars) && (allowsLineEnds || !hasLineEnd)
    }
}
