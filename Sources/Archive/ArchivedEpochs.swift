package import LedgerFormat
package import LedgerStorage
package import ObjectStore

/// The epochs of a ledger that stores know, and what counts of each: an epoch ends where a later one
/// begins.
package struct ArchivedEpochs: Sendable {
    /// Signed by the ledger's key, in order.
    package private(set) var all: [Epoch] = []
    /// The highest number in a note's name, whether or not it is signed.
    package private(set) var highestNamed: UInt64 = 0
    /// Objects that are not.
    package private(set) var findings: [Finding] = []

    package struct Epoch: Hashable, Sendable {
        package var note: EpochNote
        package var content: [UInt8]

        package init(note: EpochNote, content: [UInt8]) {
            (self.note, self.content) = (note, content)
        }
    }

    package init() {}

    /// Reads all notes. `firstKey` is the ledger's.
    package init(
        _ stores: [any ObjectStore], _ layout: ArchiveLayout, firstKey: NoteVerifier,
        _ patience: Patience
    ) throws(StoreFailure) {
        var found: Set<Epoch> = []
        for store in stores {
            let hidden = (try? store.hidden(layout.epochs, patience)) ?? []
            for object in try store.list(layout.epochs, patience) + hidden {
                guard case .epoch(let number) = layout.name(of: object.key) else { continue }
                highestNamed = max(highestNamed, number)
                let epoch = try store.anyVersion(
                    of: object.key, atMost: EpochNote.bytesMax, patience
                ) { content in
                    (try? EpochNote(content, firstKey: firstKey)).flatMap { note in
                        note.number == number ? Epoch(note: note, content: content) : nil
                    }
                }
                if let epoch {
                    found.insert(epoch)
                } else {
                    findings.append(
                        Finding(
                            .archiveForeign, file: "\(store.name)/\(object.key)",
                            "the ledger's key did not sign it as epoch \(number), so it does not "
                                + "count"))
                }
            }
        }
        all = found.sorted { ($0.note.number, $0.note.start) < ($1.note.number, $1.note.start) }
    }

    package var newest: Epoch? { all.last }

    /// Where an epoch ends, so that what it holds from there on does not count; nil if it has no end.
    package func end(of epoch: UInt64) -> Position? {
        all.filter { $0.note.number > epoch }.map(\.note.start).min()
    }

    /// Whether a segment of an epoch ends before the epoch does.
    package func counts(_ mark: SealedMark, of epoch: UInt64) -> Bool {
        end(of: epoch).map { mark.end <= $0 } ?? true
    }
}

extension ArchivedEpochs {
    /// Makes the note of a new epoch known in every store, in their order. The failure is a fork if
    /// another machine has begun the same epoch: then this one has not.
    package static func publish(
        _ epoch: Epoch, _ layout: ArchiveLayout, in stores: [any ObjectStore],
        _ patience: Patience
    ) throws(ArchiveFailure) {
        for store in stores {
            let key = layout.epoch(epoch.note.number)
            do throws(StoreFailure) {
                guard try store.put(key, ObjectBody(epoch.content), patience) == .exists,
                    try store.bytes(of: key, atMost: EpochNote.bytesMax, patience) != epoch.content
                else { continue }
            } catch { throw .store(error) }
            throw .fork(
                "\(store.name)/\(key)",
                "another machine has begun epoch \(epoch.note.number) at the same time; if it is not "
                    + "to be the writer, take over again")
        }
    }
}
