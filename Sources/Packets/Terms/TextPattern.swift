/// Words and phrases that texts must have.
package struct TextPattern: Sendable {
    /// As `Words.folded` has them; a phrase is several words in their order, in one text.
    private let phrases: [[UInt8]]

    /// More than anybody asks for; it bounds what one packet costs.
    package static let wordsMax = 64

    package enum Invalid: Error, Equatable {
        case noWord, tooManyWords, openQuotationMark
    }

    /// Words stand alone, phrases in quotation marks.
    package init(_ text: String) throws(Invalid) {
        let parts = text.split(separator: "\"", omittingEmptySubsequences: false)
        guard parts.count.isMultiple(of: 2) == false else { throw .openQuotationMark }
        var (phrases, words) = ([[UInt8]](), 0)
        for (index, part) in parts.enumerated() {
            let bytes = Array(part.utf8)
            let folded = Words.folded(bytes.span)
            let found = Self.words(folded)
            words += found.count
            guard words <= Self.wordsMax else { throw .tooManyWords }
            if index.isMultiple(of: 2) {
                phrases += found.map { [Words.border] + $0 + [Words.border] }
            } else if !found.isEmpty {
                phrases.append(folded)
            }
        }
        guard !phrases.isEmpty else { throw .noWord }
        self.phrases = phrases
    }

    private static func words(_ folded: [UInt8]) -> [ArraySlice<UInt8>] {
        folded.split(separator: Words.border)
    }

    /// Terms that every packet has whose texts have these words.
    package func terms(_ key: TermKey) -> [UInt64] {
        phrases.flatMap(Self.words).map { key.word(Array($0).span) }
    }

    /// Whether the texts below some values of a document have all the words and phrases.
    package func isContained(
        in tokens: [JSONToken], _ bytes: Span<UInt8>, at roots: [Int]
    ) -> Bool {
        var texts: [UInt8] = []
        for root in roots { Self.collect(&texts, tokens, bytes, root, isText: false) }
        return phrases.allSatisfy { Self.contains(texts, $0) }
    }

    /// Appends the folded texts. Two texts have two borders between them, so no phrase spans both.
    private static func collect(
        _ texts: inout [UInt8], _ tokens: [JSONToken], _ bytes: Span<UInt8>, _ value: Int,
        isText: Bool
    ) {
        switch tokens[value].kind {
        case .object:
            for key in JSONChildren(tokens, of: value) {
                collect(
                    &texts, tokens, bytes, key + 1,
                    isText: isText || isTextMember(tokens[key], bytes))
            }
        case .array:
            for element in JSONChildren(tokens, of: value) {
                collect(&texts, tokens, bytes, element, isText: isText)
            }
        case .string where isText:
            let text = bytes.text(tokens[value])
            texts += Words.folded(text.span)
        default: break
        }
    }

    private static func isTextMember(_ key: JSONToken, _ bytes: Span<UInt8>) -> Bool {
        // No such name is shorter or, escaped, longer.
        guard 3...54 ~= key.bytes.count else { return false }
        return Words.textMembers.contains(bytes.string(key))
    }

    /// Whether folded text has a phrase: from one border to another.
    private static func contains(_ texts: [UInt8], _ phrase: [UInt8]) -> Bool {
        let (texts, phrase) = (texts.span, phrase.span)
        var start = 0
        while start + phrase.count <= texts.count {
            var count = 0
            while count < phrase.count, texts[start + count] == phrase[count] { count += 1 }
            if count == phrase.count { return true }
            // Only at borders more than one byte is compared.
            start += 1
        }
        return false
    }
}
