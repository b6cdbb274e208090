internal import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Reconstruction
internal import StardustCore

/// Counts by groups as an answer.
struct GroupAnswer {
    let size: LedgerSize
    /// Every packet had to be read.
    let isScan: Bool
    let damage: Finding?

    /// `next` is where counting goes on, if time ran out.
    func answer(_ count: GroupCount, next: String?) -> Answer {
        Answer { json in
            json.beginObject()
            json.member("ledger_size", size.entries)
            if isScan { json.member("scanned", true) }
            count.write(to: &json)
            json.key("next")
            if let next { json.string(next) } else { json.null() }
            if next != nil { json.member("cut", true) }
            if let damage { json.damaged(damage) }
            json.endObject()
        }
    }
}

extension Parameters {
    /// By what to count; empty for a list.
    func groupKeys(of known: [GroupKey]) throws(Problem) -> [GroupKey] {
        let names = all("group_by")
        guard names.count <= GroupKey.countMax, Set(names).count == names.count else {
            throw .badParameter("group_by", "takes at most \(GroupKey.countMax) different keys")
        }
        var keys: [GroupKey] = []
        for name in names {
            guard let key = GroupKey(rawValue: name), known.contains(key) else {
                let list = known.map(\.rawValue).joined(separator: ", ")
                throw .badParameter("group_by", "\(name) is not one of \(list)")
            }
            keys.append(key)
        }
        for name in ["limit", "order", "count"] where !keys.isEmpty && self[name] != nil {
            throw .badParameter(name, "groups are all listed, the largest first")
        }
        return keys
    }
}
