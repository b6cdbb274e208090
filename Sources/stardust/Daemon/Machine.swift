internal import LedgerFormat
internal import Platform

extension Configuration {
    /// What names this machine in the notes of epochs.
    func thisMachine() throws(Failure) -> String {
        if let machine { return machine }
        guard let text = MachineID.text else {
            throw Failure(
                .badConfiguration,
                "/etc/machine-id does not tell this machine from others, and a ledger with an archive "
                    + "needs that: give the configuration a `machine`, a name of your own")
        }
        // The id itself is not to be shown to others.
        return String(Digest.sha256(Array("stardust-machine/1 \(text)".utf8)).hex.prefix(32))
    }
}
