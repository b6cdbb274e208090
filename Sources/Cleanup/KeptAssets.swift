internal import LedgerFormat
package import Packets

/// Assets that stay for one reason.
package struct KeptGroup: Hashable, Sendable {
    package var reason: Reason
    package var assets: Int
    package var bytes: Int
    /// Some of them, each with what protects it. Of young ones, those whose time comes first.
    package var examples: [Example]

    package enum Reason: String, Sendable, CaseIterable {
        case young, promoted, named, decided
    }

    package struct Example: Hashable, Sendable {
        package var uri: String
        package var by: String
    }

    static let examplesMax = 5
}

/// Collects them.
struct KeptAssets {
    private var found: [KeptGroup.Reason: KeptGroup] = [:]
    private var young: [(days: Double, example: KeptGroup.Example)] = []

    mutating func add(_ reason: RetentionRules.Reason, _ bytes: Int, _ uri: () -> String) {
        let kind = Self.kind(reason)
        var group = found[kind] ?? KeptGroup(reason: kind, assets: 0, bytes: 0, examples: [])
        group.assets += 1
        group.bytes += bytes
        if case .young(_, let days) = reason {
            if young.count < KeptGroup.examplesMax || days < young[young.count - 1].days {
                let place = young.firstIndex { $0.days > days } ?? young.count
                young.insert((days, KeptGroup.Example(uri: uri(), by: reason.words)), at: place)
                if young.count > KeptGroup.examplesMax { young.removeLast() }
            }
        } else if group.examples.count < KeptGroup.examplesMax {
            group.examples.append(KeptGroup.Example(uri: uri(), by: reason.words))
        }
        found[kind] = group
    }

    var groups: [KeptGroup] {
        KeptGroup.Reason.allCases.compactMap { reason in
            var group = found[reason]
            if reason == .young { group?.examples = young.map(\.example) }
            return group
        }
    }

    private static func kind(_ reason: RetentionRules.Reason) -> KeptGroup.Reason {
        switch reason {
        case .young: .young
        case .promoted: .promoted
        case .named: .named
        case .decided, .judgedOtherwise, .changed, .gone: .decided
        }
    }
}

extension RetentionRules.Finding {
    fileprivate var words: String {
        switch self {
        case .orphan: "an orphan"
        case .rawExpired: "an expired download"
        case .derivedExpired: "an expired file of the engine's"
        }
    }
}

extension RetentionRules.Reason {
    private static func days(_ count: Int) -> String { count == 1 ? "1 day" : "\(count) days" }

    /// What protects an asset, for a person.
    var words: String {
        switch self {
        case .young(let finding, let days):
            Self.days(Int(days.rounded(.up))) + " until it is \(finding.words)"
        case .promoted(let what): what.description
        case .named(.row(let table, let column, let id)): "\(table)/\(id), \(column)"
        case .named(.packet(let position)): "the packet at position \(position)"
        case .named(.nobodyCouldTell): "its name cannot be told from what surrounds it in texts"
        case .decided: "an earlier plan has decided about it"
        case .judgedOtherwise(let finding):
            "the plan has another finding than \(finding.rawValue), which it is now"
        case .changed: "it is no longer the object that the plan is about"
        case .gone: "it is gone"
        }
    }
}

extension KeptGroup {
    package func write(_ json: inout JSONWriter) {
        json.beginObject()
        json.member("reason", reason.rawValue)
        json.member("assets", assets)
        json.member("bytes", bytes)
        json.key("examples")
        json.array(examples) { example, json in
            json.beginObject()
            json.member("uri", example.uri)
            json.member("by", example.by)
            json.endObject()
        }
        json.endObject()
    }

    /// Those in an array; what is none is passed over.
    static func read(_ document: JSONDocument, _ list: Int) -> [KeptGroup] {
        guard document.tokens[list].kind == .array else { return [] }
        func text(_ name: String, _ index: Int) -> String? {
            document.member(name, of: index).flatMap(document.string)
        }
        func number(_ name: String, _ index: Int) -> Int? {
            document.member(name, of: index).flatMap {
                Int(String(decoding: document.source($0), as: UTF8.self))
            }
        }
        return JSONChildren(document.tokens, of: list).compactMap { index in
            guard document.tokens[index].kind == .object,
                let reason = text("reason", index).flatMap(Reason.init),
                let assets = number("assets", index), let bytes = number("bytes", index),
                let examples = document.member("examples", of: index),
                document.tokens[examples].kind == .array
            else { return nil }
            return KeptGroup(
                reason: reason, assets: assets, bytes: bytes,
                examples: JSONChildren(document.tokens, of: examples).compactMap { example in
                    guard let uri = text("uri", example), let by = text("by", example) else {
                        return nil
                    }
                    return Example(uri: uri, by: by)
                })
        }
    }
}
