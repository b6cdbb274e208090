package import LedgerFormat
package import ObjectStore
package import Platform

/// A ledger's place in one store, for the writer of one epoch.
package struct ArchivePlace: Sendable {
    package let store: any ObjectStore
    package let layout: ArchiveLayout
    package let identity: LedgerIdentity
    /// This writer's.
    package let own: ArchivedEpochs.Epoch
    /// Those that the store knew when the place was opened.
    package private(set) var epochs: ArchivedEpochs
    /// The names of notes that were looked at.
    private var known: Set<String> = []

    package var epoch: UInt64 { own.note.number }

    /// Asks the daemon which writer it is, and the store for other epochs.
    package init(
        _ store: any ObjectStore, _ source: any LedgerSource, _ patience: Patience
    ) throws(ArchiveFailure) {
        self.store = store
        do throws(StoreFailure) {
            let content = try source.identity()
            guard let identity = try? LedgerIdentity(fileContent: content) else {
                throw StoreFailure(.source, "", "the daemon's identity is damaged")
            }
            self.identity = identity
            layout = ArchiveLayout(identity.ledgerID)
            let epoch = try source.epoch()
            guard let note = try? EpochNote(epoch, firstKey: identity.verifierKey) else {
                throw StoreFailure(.source, "", "the daemon's epoch is damaged")
            }
            own = ArchivedEpochs.Epoch(note: note, content: epoch)
            epochs = try ArchivedEpochs(
                [store], layout, firstKey: identity.verifierKey, patience)
        } catch { throw .store(error) }
    }

    /// Writes what says whose archive this is, where it is missing. The failure is a fork where the
    /// store has another ledger, or another writer of this epoch.
    package func claim(_ patience: Patience) throws(ArchiveFailure) {
        do throws(ArchiveFailure) {
            try put(layout.identity, ObjectBody(identity.fileContent), patience)
        } catch {
            guard case .fork(let object, _) = error else { throw error }
            throw .fork(object, "the store has another ledger of the same id")
        }
        do throws(ArchiveFailure) {
            try put(layout.epoch(epoch), ObjectBody(own.content), patience)
        } catch {
            guard case .fork(let object, _) = error else { throw error }
            throw .fork(
                object,
                "another writer of this ledger has epoch \(epoch): only one of two machines may go on, "
                    + "and `stardust take-over` on it begins an epoch of its own")
        }
    }

    /// A later epoch, which ends this one; nil if there is none.
    package var successor: ArchivedEpochs.Epoch? {
        epochs.newest.flatMap { $0.note.number > epoch ? $0 : nil }
    }

    /// Looks again for later epochs: one request while no note is added.
    package mutating func lookForSuccessor(_ patience: Patience) throws(StoreFailure) {
        let names = Set(try store.list(layout.epochs, patience).map(\.key))
        guard names != known else { return }
        epochs = try ArchivedEpochs([store], layout, firstKey: identity.verifierKey, patience)
        known = names
    }

    /// Writes an object, or finds that it is there already with the same bytes: then an earlier answer
    /// was lost. Other bytes are another writer's.
    func put(
        _ key: String, _ body: ObjectBody, _ patience: Patience
    ) throws(ArchiveFailure) {
        do throws(StoreFailure) {
            guard try store.put(key, body, patience) == .exists else { return }
            var (hasher, count) = (SHA256Hasher(), 0)
            try store.get(key, nil, version: nil, patience) { piece in
                hasher.update(piece)
                count += piece.count
            }
            if count == body.count, hasher.finish() == body.digest { return }
        } catch { throw .store(error) }
        throw .fork(
            "\(store.name)/\(key)",
            "another writer of this ledger wrote this object with other bytes")
    }
}

/// Runs what asks a store or the source.
func asking<Answer>(
    _ body: () throws(StoreFailure) -> Answer
) throws(ArchiveFailure) -> Answer {
    do throws(StoreFailure) { return try body() } catch { throw .store(error) }
}

/// Why something was not archived, or not read from an archive.
package enum ArchiveFailure: Error, Hashable, Sendable, CustomStringConvertible {
    case store(StoreFailure)
    /// Two writers in one epoch: an object, and what is wrong with it. Nothing more may be shipped.
    case fork(String, String)
    /// Another machine writes the ledger, in a later epoch.
    case superseded(EpochNote)
    /// A store does not keep the promises that an archive rests on.
    case promises(String)
    /// The ledger is not what it must be.
    case ledger(String)
    /// A file on this machine.
    case file(FileFailure)

    package var description: String {
        switch self {
        case .store(let failure): failure.description
        case .fork(let object, let detail): "\(object): \(detail)"
        case .superseded(let epoch):
            "the machine \(epoch.machine) has taken over this ledger with epoch \(epoch.number), from "
                + "position \(epoch.start) on; all that was emitted here is archived, and "
                + "`stardust archive superseded` prints what came after that"
        case .promises(let store):
            "\(store) does not keep the promises that an archive rests on; `stardust archive check` says "
                + "which"
        case .ledger(let detail): detail
        case .file(let failure): failure.description
        }
    }
}
