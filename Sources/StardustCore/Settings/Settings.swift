internal import Glibc
package import LedgerFormat
internal import LedgerStorage
internal import Packets
internal import Platform
internal import Synchronization

extension RunningLedger {
    package struct Settings: Sendable {
        package var segmentBytes = StorageLimits.segmentBytes
        package var packetBytes = PacketLimits.packetBytes
        package var bytesInFlight = LedgerLimits.bytesInFlight
        package var queryTime = LedgerLimits.queryTime
        /// How far an entry's time may be ahead of the one before.
        package var clockStepMax = LedgerLimits.clockStepMax
        /// Connections that the process's descriptors allow.
        package var connections = LedgerLimits.connections
        /// Sealed segments whose files are kept open.
        package var sealedFiles = StorageLimits.sealedFilesOpen
        /// Whose cosignatures a checkpoint needs before it is published.
        package var witnessPolicy = WitnessPolicy()
        /// The folder of the private keys; nil if they are in the ledger's folder.
        package var keysFolder: String?
        /// The folder of the read model, which is the ledger's folder; nil for no read model.
        package var modelFolder: String?
        /// Nothing is appended, whether or not it could be. What is derived and missing is made on
        /// the volume, which then has room for it elsewhere.
        package var isReadOnly = false
        /// Paths of members that no packet may have.
        package var forbidden: [[String]] = []
        /// What names this machine in the notes of epochs; nil for a ledger without an archive.
        package var machine: String?
        /// How long the newest segment may have entries, if there is an archive.
        package var segmentAge = LedgerLimits.segmentAge
        /// The folder with records of what runs now and then; nil if there are none.
        package var recordsFolder: String?
        /// Where reads are logged; nil if they are not.
        package var accessLog: AccessLog?
        /// What this program is, for whoever asks.
        package var version = ""
        /// Bytes of write-ahead log that the slot may hold back; nil if no PostgreSQL is followed.
        package var retainedBytesLimit: Int?
        /// Who may do what.
        package var access = AccessPolicy(ownUser: geteuid())
        /// Where the segments are that have left the disk; nil if nobody can be asked.
        package var archive: ArchiveAccess?

        package init() {}
    }
}

/// The settings in force: one value that is replaced as a whole, so that nobody sees parts of two.
package final class SettingsInForce: Sendable {
    package let values: RunningLedger.Settings
    package let report: SettingsReport
    /// What clients may take, by resource.
    let terms: [Budgets.Terms]

    init(_ values: RunningLedger.Settings, _ report: SettingsReport) {
        (self.values, self.report) = (values, report)
        terms = Budgets.Resource.allCases.map { LedgerLimits.terms(of: $0, values) }
    }
}

/// What settings are, and where they come from, for people.
package struct SettingsReport: Sendable {
    package struct Line: Sendable {
        package var name: String
        /// JSON.
        package var value: String
        /// A file and a line, a variable, an option, or `default`.
        package var origin: String

        package init(name: String, value: String, origin: String) {
            (self.name, self.value, self.origin) = (name, value, origin)
        }
    }

    package var lines: [Line] = []
    /// What a file has changed, and what only a restart puts into force.
    package var waiting: [String] = []
    /// When settings were last read again.
    package var reloadedAt: Timestamp?
    /// Why what was read last is not in force; nil if it is.
    package var failure: String?

    package init() {}
}

/// Where the settings in force are found, and replaced.
final class LiveSettings: Sendable {
    private let state: Mutex<SettingsInForce>

    init(_ settings: SettingsInForce) { state = Mutex(settings) }

    var current: SettingsInForce {
        get { state.withLock { $0 } }
        set { state.withLock { $0 = newValue } }
    }
}
