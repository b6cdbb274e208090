package import LedgerStorage
package import Platform

extension RunningLedger {
    /// Why a ledger ended by itself.
    package enum RunFailure: Error, Sendable, CustomStringConvertible {
        case open(OpenFailure)
        /// The current batch was answered with "outcome unknown".
        case sync(FileFailure)
        /// Everything is durable, but the close marker could not be written.
        case marker(FileFailure)

        package var description: String {
            switch self {
            case .open(let failure): failure.description
            case .sync(let failure):
                "\(failure). The next start determines what became durable"
            case .marker(let failure):
                "stopped without a close marker: \(failure). Nothing is lost, but a cut of the "
                    + "ledger's end would not be noticed"
            }
        }
    }
}
