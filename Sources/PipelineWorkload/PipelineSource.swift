internal import LedgerFormat

/// The times, ids and words of a pipeline, all derived from its seed.
struct PipelineSource: Sendable {
    let seed: UInt64
    private var generator: SeededGenerator
    /// Starts at 2026-01-01T00:00:00Z and advances with each call to `now`.
    private var clock = Timestamp(microseconds: 1_767_225_600_000_000)

    static let platforms = ["youtube", "tiktok", "instagram", "twitch"]
    static let agents = ["zenith", "horizon", "lattice", "pantheon.muse", "halolux"]
    private static let tagNames = [
        "hook", "reveal", "tutorial", "unboxing", "backstage", "q&a", "music", "Überraschung",
        "日本語", "🔥 clip", "creator's cut", "\"quoted\"",
    ]
    private static let words = [
        "this", "clip", "opens", "with", "a", "strong", "hook", "and", "keeps", "its", "tension",
        "until", "the", "reveal", "reaches", "viewers",
    ]

    init(seed: UInt64) {
        self.seed = seed
        generator = SeededGenerator(seed: seed)
    }

    /// The time that `now` returned last.
    var time: String { clock.description }

    /// A later time, RFC 3339 in UTC.
    mutating func now() -> String {
        clock.microseconds += Int64(number(in: 200...4_000_000))
        return clock.description
    }

    /// A time from 2099-01-01T00:00:00Z on.
    mutating func farFuture() -> String {
        Timestamp(microseconds: 4_070_908_800_000_000 + Int64(number(in: 0...500_000)) * 60_000_000)
            .description
    }

    mutating func number(in range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &generator)
    }

    /// True `part` times in `total` on average.
    mutating func chance(of part: Int, outOf total: Int) -> Bool {
        number(in: 1...total) <= part
    }

    mutating func chance(of total: Int) -> Bool { chance(of: 1, outOf: total) }

    mutating func pick(_ texts: [String]) -> String { texts[number(in: 0...texts.count - 1)] }

    /// A random UUID (version 4).
    mutating func uuid() -> String {
        let (high, low) = (generator.next(), generator.next())
        return UUID128(
            high: high & ~0xF000 | 0x4000, low: low & ~(0b11 << 62) | 0b10 << 62
        ).description
    }

    /// A trace id in the form without dashes, 32 digits.
    mutating func traceID() -> String { String(uuid().filter { $0 != "-" }) }

    /// From 0.0000 to 1.0000.
    mutating func score() -> PipelineValue { .tenThousandths(number(in: 0...10_000)) }

    mutating func sentence(of count: ClosedRange<Int>) -> String {
        (0..<number(in: count)).map { _ in pick(Self.words) }.joined(separator: " ")
    }

    /// Distinct tags.
    mutating func tags(_ count: Int) -> PipelineValue {
        .list(Self.tagNames.shuffled(using: &generator).prefix(count).map { .text($0) })
    }

    /// SHA-256 of a text, in hexadecimal.
    static func digest(of text: String) -> String { Digest.sha256(Array(text.utf8)).hex }
}
