internal import LedgerFormat
internal import Packets
internal import StardustCore

extension RunningLedger.Settings {
    /// Why a packet is kept out: it has a member that this ledger must not have. Nothing is parsed
    /// again where there is no such rule.
    func refusal(of payload: Span<UInt8>) -> Problem? {
        guard !forbidden.isEmpty, let document = try? JSONDocument(Array(payload)) else {
            return nil
        }
        for pointer in forbidden where document.has(pointer[...], at: 0) {
            let text = pointer.map { "/" + $0.pointerEscaped }.joined()
            var problem = Problem(
                .forbiddenMember,
                "\(text): the configuration keeps this member out of the ledger, where nothing can be "
                    + "erased; leave it out, or refer to it by its digest")
            problem.pointer = text
            return problem
        }
        return nil
    }
}

extension JSONDocument {
    /// Whether there is a value at a path of member names; `*` is any element of a list.
    fileprivate func has(_ path: ArraySlice<String>, at index: Int) -> Bool {
        guard let name = path.first else { return true }
        switch tokens[index].kind {
        case .object:
            return member(name, of: index).map { has(path.dropFirst(), at: $0) } ?? false
        case .array where name == "*":
            return JSONChildren(tokens, of: index).contains { has(path.dropFirst(), at: $0) }
        default: return false
        }
    }
}
