package import Platform

/// What happens again and again to the same users: the first time it is logged at once, then at most a line a minute
/// for each user, with how often it was. No clock of its own.
package struct RepeatedNotes {
    package static let period: Duration = .seconds(60)
    /// Users remembered; more are not told apart.
    package static let keysMax = 1024

    private struct Key: Hashable {
        var event: LoggedEvent
        var uid: UInt32
    }

    private struct Note {
        var count = 0
        var detail = ""
        var last: ContinuousClock.Instant
    }

    package struct Line: Hashable, Sendable {
        package var event: LoggedEvent
        package var uid: UInt32
        package var count: Int
        package var detail: String

        package init(event: LoggedEvent, uid: UInt32, count: Int, detail: String) {
            (self.event, self.uid, self.count, self.detail) = (event, uid, count, detail)
        }
    }

    private var notes: [Key: Note] = [:]

    package init() {}

    /// Notes that it happened. Returns a line for the first time.
    package mutating func note(
        _ event: LoggedEvent, _ uid: UInt32, now: ContinuousClock.Instant,
        _ detail: @autoclosure () -> String
    ) -> Line? {
        let key = Key(event: event, uid: uid)
        if notes[key] != nil {
            notes[key]!.count += 1
            // A text that nobody may ever see is not made each time.
            if notes[key]!.count == 1 { notes[key]!.detail = detail() }
            return nil
        }
        if notes.count >= Self.keysMax { notes = notes.filter { $0.value.count > 0 } }
        if notes.count >= Self.keysMax { notes.removeAll() }
        notes[key] = Note(last: now)
        return Line(event: event, uid: uid, count: 1, detail: detail())
    }

    /// Lines that are due. Whom nothing more happened to is forgotten.
    package mutating func due(now: ContinuousClock.Instant) -> [Line] {
        var lines: [Line] = []
        for (key, note) in notes where now - note.last >= Self.period {
            guard note.count > 0 else {
                notes[key] = nil
                continue
            }
            lines.append(
                Line(event: key.event, uid: key.uid, count: note.count, detail: note.detail))
            notes[key] = Note(last: now)
        }
        return lines.sorted { ($0.event.rawValue, $0.uid) < ($1.event.rawValue, $1.uid) }
    }
}
