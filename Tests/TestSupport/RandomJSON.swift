import PipelineWorkload

/// JSON values made at random, written in many spellings, and patterns that are often contained in
/// them.
package struct RandomJSON {
    package indirect enum Value: Equatable {
        case object([(String, Value)])
        case array([Value])
        /// A number in some spelling.
        case number(String)
        case string(String)
        case literal(String)

        package static func == (left: Value, right: Value) -> Bool { "\(left)" == "\(right)" }
    }

    package var generator: SeededGenerator

    package init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    private mutating func chance(_ share: Double) -> Bool {
        Double.random(in: 0..<1, using: &generator) < share
    }

    private mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements.randomElement(using: &generator)!
    }

    private static let names = [
        "a", "b", "key", "trace_id", "ä", "q\"uote", "", "long name with spaces",
    ]
    private static let strings = [
        "", "a", "b", "1", "true", "x\\y", "tab\there", "ünïcode", "日本語", "🔥", "line\nend",
        "\u{7F}",
        "7d3f0a52-6f0d-4f6e-8c1b-1a2b3c4d5e6f", "7D3F0A52-6F0D-4F6E-8C1B-1A2B3C4D5E6F",
        "7d3f0a526f0d4f6e8c1b1a2b3c4d5e6f", "a longer text of more than twenty-four bytes",
    ]
    /// Spellings of few values, so that equal ones meet.
    private static let numbers = [
        ["1", "1.0", "1e0", "10e-1", "1.00E+0", "0.1e1"], ["0", "-0", "0.0", "0e5", "-0.00"],
        ["100", "1e2", "1E+2", "100.000", "10000e-2"], ["-1.5", "-15e-1", "-0.15e1"],
        ["12345678901234567890123", "12345678901234567890123.0", "1.2345678901234567890123e22"],
        ["12345678901234567890124"], ["0.1", "1e-1", "0.10"], ["1e300", "10e299"],
        ["123456789012345678"],
        ["0.30000000000000004"], ["0.3"], ["1000000000000000000000", "1e21"],
    ]

    package mutating func value(depth: Int = 0) -> Value {
        let kinds = depth > 3 ? 3 : 5
        switch Int.random(in: 0..<kinds, using: &generator) {
        case 0: return .number(pick(pick(Self.numbers)))
        case 1: return .string(pick(Self.strings))
        case 2: return .literal(pick(["true", "false", "null"]))
        case 3: return .array((0..<count()).map { _ in value(depth: depth + 1) })
        default: return object(depth: depth)
        }
    }

    package mutating func object(depth: Int = 0) -> Value {
        var names = Self.names.shuffled(using: &generator)
        return .object((0..<count()).map { _ in (names.removeLast(), value(depth: depth + 1)) })
    }

    private mutating func count() -> Int { pick([0, 1, 1, 2, 2, 3, 5]) }

    /// What is likely contained in a value: parts of it, reordered, repeated, and now and then
    /// something else.
    package mutating func pattern(of value: Value) -> Value {
        if chance(0.04) { return self.value(depth: 2) }
        switch value {
        case .object(let members):
            var kept: [(String, Value)] = []
            for (name, value) in members.shuffled(using: &generator) where chance(0.6) {
                kept.append((name, pattern(of: value)))
            }
            if chance(0.03) { kept.append(("other", .literal("null"))) }
            return .object(kept)
        case .array(let elements):
            var kept: [Value] = []
            for element in elements.shuffled(using: &generator) where chance(0.6) {
                kept.append(pattern(of: element))
                if chance(0.2) { kept.append(kept.last!) }
            }
            // A scalar of the array itself, as it may stand at the top.
            if chance(0.08), let scalar = kept.first { return scalar }
            return .array(kept)
        case .number(let text):
            guard let spellings = Self.numbers.first(where: { $0.contains(text) }) else {
                return value
            }
            return .number(pick(spellings))
        case .string, .literal: return value
        }
    }

    /// The text of a value, with spaces and escapes where they make no difference.
    package mutating func text(_ value: Value) -> String {
        let space = chance(0.2) ? " " : ""
        switch value {
        case .object(let members):
            let parts = members.map { "\(string($0.0))\(space):\(space)\(text($0.1))" }
            return "{" + parts.joined(separator: ",\(space)") + "}"
        case .array(let elements):
            return "[" + elements.map { text($0) }.joined(separator: "\(space),") + "\(space)]"
        case .number(let text), .literal(let text): return text
        case .string(let text): return string(text)
        }
    }

    private mutating func string(_ text: String) -> String {
        let escapes = chance(0.3)
        var result = "\""
        for unit in text.unicodeScalars {
            switch unit {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case _ where unit.value < 0x20 || (escapes && chance(0.5)):
                for code in String(unit).utf16 {
                    let digits = String(code, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            default: result.unicodeScalars.append(unit)
            }
        }
        return result + "\""
    }
}
