internal import Glibc
internal import LedgerFormat
internal import Platform

extension BucketStore {
    func delete(
        _ key: String, tag: String, mark: UUID128, _ patience: Patience
    ) throws(StoreFailure) -> AssetDeletion {
        let isGoogle = settings.kind == .google
        let found = try send(Call(method: "HEAD", key: key), expecting: [404], patience)
        if found.status == 404 { return .gone }
        guard let state = found.headers[isGoogle ? "x-goog-generation" : "etag"] else {
            throw StoreFailure(
                .damaged, object(key), "the store does not say which state of the object it has")
        }
        guard Self.bare(state) == Self.bare(tag) else { return .changed }
        var call = Call(method: "DELETE", key: key)
        call.headers = [
            isGoogle ? ("x-goog-if-generation-match", tag) : ("if-match", "\"\(Self.bare(tag))\"")
        ]
        let answer = try send(call, expecting: [404, 412], patience)
        return answer.status == 404 ? .gone : answer.status == 412 ? .changed : .deleted
    }

    /// The server deletes at once or not at all.
    func settle(
        _ key: String, mark: UUID128, _ patience: Patience
    ) throws(StoreFailure) -> Bool {
        try send(Call(method: "HEAD", key: key), expecting: [404], patience).status != 404
    }

    /// An etag without quotes, which listings leave out now and then.
    private static func bare(_ tag: String) -> String {
        String(tag.drop { $0 == "\"" }.reversed().drop { $0 == "\"" }.reversed())
    }
}

extension FolderStore {
    /// A file is first moved to a hidden name, where its state can be looked at without a race, and comes
    /// back if it is another one.
    func delete(
        _ key: String, tag: String, mark: UUID128, _ patience: Patience
    ) throws(StoreFailure) -> AssetDeletion {
        let hidden = hidden(key, mark)
        do throws(FileFailure) {
            try volume.requireInPlace()
            // A crash before this leaves the file where it was; one behind it leaves the hidden name, which
            // the next attempt finds.
            if try state(of: hidden) == nil {
                guard let state = try state(of: key) else { return .gone }
                guard state == tag else { return .changed }
                try volume.renameNew(key, to: hidden)
            }
            guard try state(of: hidden) == tag else {
                try volume.renameNew(hidden, to: key)
                return .changed
            }
            try volume.remove(hidden)
            try volume.syncFolder(key.folder)
            return .deleted
        } catch {
            if error.isMissing || error.isNoFolder { return .gone }
            throw failure(error, key)
        }
    }

    func settle(
        _ key: String, mark: UUID128, _ patience: Patience
    ) throws(StoreFailure) -> Bool {
        do throws(FileFailure) {
            try volume.requireInPlace()
            guard try state(of: hidden(key, mark)) != nil else { return try state(of: key) != nil }
            try volume.renameNew(hidden(key, mark), to: key)
            try volume.syncFolder(key.folder)
            return true
        } catch { throw failure(error, key) }
    }

    private func hidden(_ key: String, _ mark: UUID128) -> String {
        (key.folder.isEmpty ? "" : key.folder + "/") + ".deleting-\(mark)"
    }

    /// Tells the file of a name from any other, and this content from another; nil if there is none.
    private func state(of key: String) throws(FileFailure) -> String? {
        try status(of: key).map(Self.tag)
    }
}
