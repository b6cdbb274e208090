/// Which witnesses a log asks, and whose cosignatures it needs to publish a checkpoint (C2SP
/// tlog-policy).
package struct WitnessPolicy: Sendable {
    package private(set) var logs: [NoteVerifier] = []
    package private(set) var witnesses: [Witness] = []
    private var groups: [String: Group] = [:]
    /// The name of a witness or a group; nil if no cosignature is needed.
    private var quorum: String?

    package struct Witness: Hashable, Sendable {
        package var name: String
        package var key: NoteVerifier
        /// Where it accepts checkpoints; nil for a witness that others ask.
        package var url: String?
    }

    private struct Group: Sendable {
        var threshold: Int
        var members: [String]
    }

    /// Limit on logs, on witnesses and on groups: more than any log has.
    package static let countMax = 64

    package struct DecodeError: Error, Hashable, CustomStringConvertible {
        package var line: Int
        package var problem: String

        package var description: String { "line \(line): \(problem)" }
    }

    /// No witness is asked and none is needed.
    package init() {}

    /// Reads a policy file.
    package init(_ text: String) throws(DecodeError) {
        var hasQuorum = false
        // By bytes: Swift takes CR and LF together for one character.
        let lines = text.utf8.split(separator: 0x0A, omittingEmptySubsequences: false)
        for (number, line) in lines.enumerated() {
            // A line may end with CR and LF; a CR anywhere else would hide what follows it.
            guard line.dropLast(line.last == 0x0D ? 1 : 0).allSatisfy({ $0 != 0x0D }) else {
                throw DecodeError(line: number + 1, problem: "a carriage return within the line")
            }
            let line = line.prefix { $0 != UInt8(ascii: "#") }
            let fields = line.split { [0x20, 0x09, 0x0D].contains($0) }.map { String($0)! }
            guard let word = fields.first else { continue }
            guard !hasQuorum || word != "quorum" else {
                throw DecodeError(line: number + 1, problem: "a second quorum line")
            }
            hasQuorum = hasQuorum || word == "quorum"
            if let problem = take(word, Array(fields.dropFirst())) {
                throw DecodeError(line: number + 1, problem: problem)
            }
        }
        guard hasQuorum else {
            throw DecodeError(
                line: lines.count, problem: "no quorum line; `quorum none` needs no cosignatures")
        }
    }

    /// Applies a line. Returns what is wrong with it, or nil.
    private mutating func take(_ word: String, _ fields: [String]) -> String? {
        switch word {
        case "log": takeLog(fields)
        case "witness": takeWitness(fields)
        case "group": takeGroup(fields)
        case "quorum": takeQuorum(fields)
        default: "\(word) is not one of log, witness, group, quorum"
        }
    }

    private mutating func takeLog(_ fields: [String]) -> String? {
        guard (1...2).contains(fields.count) else { return "log takes a key and an optional URL" }
        guard logs.count < Self.countMax else { return "more than \(Self.countMax) logs" }
        do throws(NoteVerifier.DecodeError) {
            logs.append(try NoteVerifier(fields[0]))
            return nil
        } catch { return error.description }
    }

    private mutating func takeWitness(_ fields: [String]) -> String? {
        guard (2...3).contains(fields.count) else {
            return "witness takes a name, a key and an optional URL"
        }
        guard witnesses.count < Self.countMax else { return "more than \(Self.countMax) witnesses" }
        if let problem = problem(ofNew: fields[0]) { return problem }
        do throws(NoteVerifier.DecodeError) {
            let key = try NoteVerifier(fields[1])
            guard key.type == .cosignature else { return "\(fields[0]): not a witness's key" }
            guard !witnesses.contains(where: { $0.key.keyName == key.keyName }) else {
                return "\(fields[0]): another witness has this key"
            }
            witnesses.append(
                Witness(name: fields[0], key: key, url: fields.count == 3 ? fields[2] : nil))
            return nil
        } catch { return error.description }
    }

    private mutating func takeGroup(_ fields: [String]) -> String? {
        guard fields.count >= 3 else { return "group takes a name; all, any or a number; members" }
        guard groups.count < Self.countMax else { return "more than \(Self.countMax) groups" }
        if let problem = problem(ofNew: fields[0]) { return problem }
        let members = Array(fields.dropFirst(2))
        for member in members {
            guard isKnown(member) else { return "\(member) is not defined above" }
            guard !groups.values.contains(where: { $0.members.contains(member) }),
                members.filter({ $0 == member }).count == 1
            else { return "\(member) is already in a group" }
        }
        let threshold: Int? =
            switch fields[1] {
            case "all": members.count
            case "any": 1
            default: UInt64(canonical: fields[1].utf8).map { Int(clamping: $0) }
            }
        guard let threshold, (1...members.count).contains(threshold) else {
            return "\(fields[1]) is neither all, nor any, nor a number from 1 to \(members.count)"
        }
        groups[fields[0]] = Group(threshold: threshold, members: members)
        return nil
    }

    private mutating func takeQuorum(_ fields: [String]) -> String? {
        guard fields.count == 1 else { return "quorum takes one name, or none" }
        if fields[0] == "none" { return nil }
        guard isKnown(fields[0]) else { return "\(fields[0]) is not defined above" }
        quorum = fields[0]
        return nil
    }

    private func isKnown(_ name: String) -> Bool {
        groups[name] != nil || witnesses.contains { $0.name == name }
    }

    private func problem(ofNew name: String) -> String? {
        if name == "none" { return "none cannot be used as a name" }
        return isKnown(name) ? "\(name) is already defined" : nil
    }

    /// Whether cosignatures by these keys satisfy the policy.
    package func isSatisfied(by keys: [NoteVerifier]) -> Bool {
        quorum.map { isSatisfied($0, by: keys) } ?? true
    }

    /// Whether a note has enough cosignatures. Throws if that of a known witness is invalid.
    package func isSatisfied(by note: SignedNote) throws(SignedNote.Failure) -> Bool {
        isSatisfied(by: try cosigners(of: note))
    }

    /// The keys of the witnesses that have cosigned a note. Finding none is not a failure.
    package func cosigners(of note: SignedNote) throws(SignedNote.Failure) -> [NoteVerifier] {
        do throws(SignedNote.Failure) {
            return try note.signers(among: witnesses.map(\.key))
        } catch {
            guard error == .noKnownKey else { throw error }
            return []
        }
    }

    /// Whether the witnesses that can be asked are enough to satisfy the policy.
    package var canBeSatisfied: Bool {
        isSatisfied(by: witnesses.filter { $0.url != nil }.map(\.key))
    }

    // A group's members were defined before it, so the recursion ends.
    private func isSatisfied(_ name: String, by keys: [NoteVerifier]) -> Bool {
        if let group = groups[name] {
            return group.members.filter { isSatisfied($0, by: keys) }.count >= group.threshold
        }
        return witnesses.contains { $0.name == name && keys.contains($0.key) }
    }
}
