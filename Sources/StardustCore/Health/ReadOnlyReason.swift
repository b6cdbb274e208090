package import LedgerStorage

extension RunningLedger {
    /// Why nothing can be appended to a ledger that can be read.
    package enum ReadOnlyReason: Hashable, Sendable, CustomStringConvertible {
        case damaged(Finding)
        case fileSystem(String)
        case restored
        case superseded
        case asked

        init(_ mark: OpenedLedger.Mark) {
            self =
                switch mark {
                case .restored: .restored
                case .superseded: .superseded
                }
        }

        package var description: String {
            switch self {
            case .damaged(let finding): "the ledger is damaged: \(finding)"
            case .fileSystem(let path): "the file system of \(path) takes no changes"
            case .asked: "it was started with --read-only"
            case .restored:
                "the ledger came out of an archive, and its writer may live on; "
                    + "`stardust take-over` makes this machine the writer"
            case .superseded:
                "another machine has taken over the ledger; what was emitted here since is in the "
                    + "archive: `stardust archive superseded` prints it"
            }
        }
    }
}
