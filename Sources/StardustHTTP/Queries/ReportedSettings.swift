internal import LedgerFormat
package import Packets
package import StardustCore

extension SettingsReport {
    /// An object of all settings: each its value, and where it comes from.
    package func write(to json: inout JSONWriter) {
        json.beginObject()
        for line in lines {
            json.key(line.name)
            json.beginObject()
            json.key("value")
            json.json(Array(line.value.utf8))
            json.member("from", line.origin)
            json.endObject()
        }
        json.endObject()
    }

    /// How the settings were last read again.
    func writeReload(to json: inout JSONWriter) {
        json.beginObject()
        json.key("at")
        if let reloadedAt { json.string(reloadedAt.description) } else { json.null() }
        json.key("error")
        if let failure { json.string(failure) } else { json.null() }
        json.key("waiting_for_restart")
        json.array(waiting) { $1.string($0) }
        json.endObject()
    }
}
