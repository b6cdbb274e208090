internal import CLibCurl
internal import Glibc
internal import LedgerFormat
internal import Platform

extension BucketStore {
    func asset(_ key: String, _ patience: Patience) throws(StoreFailure) -> StoredAsset? {
        let found = try send(Call(method: "HEAD", key: key), expecting: [404], patience)
        if found.status == 404 { return nil }
        guard let tag = found.headers[settings.kind == .google ? "x-goog-generation" : "etag"],
            let bytes = found.headers["content-length"].flatMap({ Int($0) }),
            let seconds = found.headers["last-modified"].map({ unsafe stardust_http_date($0) }),
            seconds >= 0
        else {
            throw StoreFailure(
                .damaged, object(key), "the store does not say which state of the object it has")
        }
        return StoredAsset(
            key: key, bytes: bytes, tag: tag, changed: Timestamp(microseconds: seconds * 1_000_000))
    }

    func isEmpty(_ patience: Patience) throws(StoreFailure) -> Bool {
        var isEmpty = true
        try firstPage(patience) { isEmpty = false }
        return isEmpty
    }

    func leftovers(_ patience: Patience) throws(StoreFailure) -> [String] { [] }

    func delete(
        _ key: String, tag: String, mark: UUID128, _ patience: Patience
    ) throws(StoreFailure) -> AssetDeletion {
        guard let found = try asset(key, patience) else { return .gone }
        guard found.isTagged(tag) else { return .changed }
        var call = Call(method: "DELETE", key: key)
        call.headers = [
            settings.kind == .google
                ? ("x-goog-if-generation-match", tag)
                : ("if-match", "\"\(StoredAsset.bare(tag))\"")
        ]
        let answer = try send(call, expecting: [404, 412], patience)
        return answer.status == 404 ? .gone : answer.status == 412 ? .changed : .deleted
    }

    /// The server deletes at once or not at all.
    func settle(
        _ key: String, mark: UUID128, _ patience: Patience
    ) throws(StoreFailure) -> Bool { try asset(key, patience) != nil }
}

extension StoredAsset {
    /// Whether this is its tag. Listings leave out the quotes of an etag now and then.
    package func isTagged(_ other: String) -> Bool { Self.bare(tag) == Self.bare(other) }

    fileprivate static func bare(_ tag: String) -> String {
        String(tag.drop { $0 == "\"" }.reversed().drop { $0 == "\"" }.reversed())
    }
}

extension FolderStore {
    func asset(_ key: String, _ patience: Patience) throws(StoreFailure) -> StoredAsset? {
        do throws(FileFailure) {
            try volume.requireInPlace()
            return try status(of: key).flatMap { Self.asset(key, $0) }
        } catch { throw failure(error, key) }
    }

    /// Without its disk a folder is empty.
    func isEmpty(_ patience: Patience) throws(StoreFailure) -> Bool {
        do throws(FileFailure) {
            try volume.requireInPlace()
            return try volume.list("").isEmpty
        } catch { throw failure(error, "") }
    }

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
            if try status(of: hidden) == nil {
                guard let state = try status(of: key) else { return .gone }
                guard Self.tag(state) == tag else { return .changed }
                try volume.renameNew(key, to: hidden)
            }
            guard let state = try status(of: hidden), Self.tag(state) == tag,
                try status(of: key) == nil
            else {
                try bringBack(hidden, key, mark)
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
            let hidden = hidden(key, mark)
            guard try status(of: hidden) != nil else { return try status(of: key) != nil }
            try bringBack(hidden, key, mark)
            return true
        } catch { throw failure(error, key) }
    }

    /// Gives a hidden file its name again, or one beside it if another file has taken it since.
    private func bringBack(
        _ hidden: String, _ key: String, _ mark: UUID128
    ) throws(FileFailure) {
        let isTaken = try status(of: key) != nil
        try volume.renameNew(
            hidden, to: isTaken ? "\(key).kept-\(mark.description.prefix(8))" : key)
        try volume.syncFolder(key.folder)
    }

    /// A name that tells which file it is, as far as there is room for it.
    private func hidden(_ key: String, _ mark: UUID128) -> String {
        let name = Self.hiddenPrefix + "\(mark)-" + key.lastName
        return (key.folder.isEmpty ? "" : key.folder + "/")
            + (name.utf8.count <= 255 ? name : Self.hiddenPrefix + "\(mark)")
    }

    static let hiddenPrefix = ".deleting-"
}
