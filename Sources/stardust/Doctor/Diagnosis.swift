internal import Packets

/// One check, and what came of it.
struct Diagnosis {
    enum Level: String {
        case ok
        case warning = "warn"
        case failure = "FAIL"
    }

    var level: Level
    /// Stays the same from version to version.
    var code: Code
    var text: String
    /// What to do; nil if nothing is.
    var advice: String?

    enum Code: String, CaseIterable {
        case configuration
        case ledger
        case ledgerMode = "ledger_mode"
        case keyMode = "key_mode"
        case keyEscrow = "key_escrow"
        case format
        case damage
        case lock
        case socket
        case daemon
        case status
        case userNamespace = "user_namespace"
        case fileSystem = "file_system"
        case space
        case descriptors
        case clock
        case unit
        case checkpoint
        case index
        case forkAlarm = "fork_alarm"
        case witnesses
        case model
        case archive
        case verified
        case backup
        case drill
        case disk
        case processor
        case downgrade
    }

    static func ok(_ code: Code, _ text: String) -> Diagnosis {
        Diagnosis(level: .ok, code: code, text: text)
    }

    static func warning(_ code: Code, _ text: String, _ advice: String) -> Diagnosis {
        Diagnosis(level: .warning, code: code, text: text, advice: advice)
    }

    static func failure(_ code: Code, _ text: String, _ advice: String) -> Diagnosis {
        Diagnosis(level: .failure, code: code, text: text, advice: advice)
    }

    func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("level", level.rawValue)
        json.member("code", code.rawValue)
        json.member("text", text)
        json.key("advice")
        if let advice { json.string(advice) } else { json.null() }
        json.endObject()
    }
}
