internal import LedgerFormat

/// Listings of a bucket: objects, assets and versions, a page of a thousand after the other.
extension BucketStore {
    func list(_ prefix: String, _ patience: Patience) throws(StoreFailure) -> [StoredObject] {
        var found: [StoredObject] = []
        try eachListed(prefix, patience) { (name, bytes, _) in
            found.append(StoredObject(key: name, bytes: bytes))
        }
        return found
    }

    func assets(
        _ patience: Patience, _ take: (StoredAsset) throws(StoreFailure) -> Void
    ) throws(StoreFailure) {
        let tag = settings.kind == .google ? "Generation" : "ETag"
        try eachListed("", patience) { (name, bytes, object) throws(StoreFailure) in
            guard let tag = object[tag]?.text,
                let changed = object["LastModified"].flatMap({ Timestamp(rfc3339: $0.text) })
            else { throw malformed }
            try take(StoredAsset(key: name, bytes: bytes, tag: tag, changed: changed))
        }
    }

    /// Calls `take` for each of the first objects.
    func firstPage(_ patience: Patience, _ take: () -> Void) throws(StoreFailure) {
        var call = Call(method: "GET", key: nil)
        call.query = [("list-type", "2"), ("prefix", prefix), ("max-keys", "1")]
        for _ in try document(try send(call, patience)).all("Contents") { take() }
    }

    /// Passes name, size and element of each object in a listing to `take`.
    private func eachListed(
        _ prefix: String, _ patience: Patience,
        _ take: (String, Int, XMLElement) throws(StoreFailure) -> Void
    ) throws(StoreFailure) {
        var (token, last): (String?, String?)
        repeat {
            var call = Call(method: "GET", key: nil)
            call.query = [
                ("list-type", "2"), ("prefix", self.prefix + prefix), ("encoding-type", "url"),
            ]
            if let token { call.query.append(("continuation-token", token)) }
            let page = try document(try send(call, patience))
            var hasMore = false
            for object in page.all("Contents") {
                guard let key = Self.key(of: object, page),
                    let name = key.remainder(after: self.prefix),
                    let bytes = object["Size"].flatMap({ Int($0.text) })
                else { throw malformed }
                // A listing goes forward, or it would never end.
                guard last.map({ $0.utf8.lexicographicallyPrecedes(name.utf8) }) ?? true
                else { throw malformed }
                last = name
                try take(name, bytes, object)
                hasMore = true
            }
            let isCut = page["IsTruncated"]?.text == "true"
            token = isCut ? page["NextContinuationToken"]?.text : nil
            if isCut, token == nil || !hasMore { throw malformed }
        } while token != nil
    }

    func hidden(_ prefix: String, _ patience: Patience) throws(StoreFailure) -> [StoredObject] {
        // Google's interface has no markers of deletion: an object is there or has only versions.
        if settings.kind == .google { return [] }
        var markers: Set<String> = []
        var newest: [String: Int] = [:]
        try eachPageOfVersions(prefix, patience) { (page) throws(StoreFailure) in
            for marker in page.all("DeleteMarker") where marker["IsLatest"]?.text == "true" {
                if let key = Self.key(of: marker, page) { markers.insert(key) }
            }
            for version in page.all("Version") {
                guard let key = Self.key(of: version, page),
                    let bytes = version["Size"].flatMap({ Int($0.text) })
                else { throw malformed }
                newest[key] = newest[key] ?? bytes
            }
            return true
        }
        return markers.sorted().compactMap { key in
            guard let bytes = newest[key], let name = key.remainder(after: self.prefix) else {
                return nil
            }
            return StoredObject(key: name, bytes: bytes)
        }
    }

    func versions(of key: String, _ patience: Patience) throws(StoreFailure) -> [ObjectVersion] {
        var found: [ObjectVersion] = []
        try eachPageOfVersions(key, patience) { (page) throws(StoreFailure) in
            var isPast = false
            for version in page.all("Version") + page.all("Contents") {
                guard let name = Self.key(of: version, page),
                    let bytes = version["Size"].flatMap({ Int($0.text) })
                else { throw malformed }
                guard name == prefix + key else {
                    isPast = true
                    continue
                }
                let number = version["VersionId"]?.text ?? version["Generation"]?.text
                found.append(ObjectVersion(version: number, bytes: bytes))
            }
            return !isPast
        }
        return found
    }

    /// Passes each page of a listing of versions to `take`, until it returns false.
    private func eachPageOfVersions(
        _ prefix: String, _ patience: Patience,
        _ take: (XMLElement) throws(StoreFailure) -> Bool
    ) throws(StoreFailure) {
        var place: (key: String, version: String)?
        while true {
            var call = Call(method: "GET", key: nil)
            call.query = [
                ("versions", ""), ("prefix", self.prefix + prefix), ("encoding-type", "url"),
            ]
            if let place {
                call.query.append(("key-marker", place.key))
                call.query.append(("version-id-marker", place.version))
            }
            let page = try document(try send(call, patience))
            guard try take(page), page["IsTruncated"]?.text == "true" else { return }
            guard let text = page["NextKeyMarker"]?.text,
                let key = page["EncodingType"]?.text == "url"
                    ? String(percentEncoded: text.replacing("+", with: " ")) : text
            else { throw malformed }
            let next = (key, page["NextVersionIdMarker"]?.text ?? "")
            // A listing goes forward, or it would never end.
            guard place.map({ $0 != next }) ?? true else { throw malformed }
            place = next
        }
    }

    /// The name of an object in a listing, which is encoded if the listing says so.
    private static func key(of object: XMLElement, _ page: XMLElement) -> String? {
        guard let text = object["Key"]?.text else { return nil }
        guard page["EncodingType"]?.text == "url" else { return text }
        return String(percentEncoded: text.replacing("+", with: " "))
    }

    private var malformed: StoreFailure {
        StoreFailure(.damaged, name, "the store's listing is not what its protocol says")
    }

    private func document(_ answer: HTTPTransport.Answer) throws(StoreFailure) -> XMLElement {
        guard let document = XMLElement(answer.body),
            ["ListBucketResult", "ListVersionsResult"].contains(document.name)
        else { throw malformed }
        return document
    }
}

extension StoreSettings {
    /// The region that requests are signed for.
    var signedRegion: String { region ?? (kind == .google ? "auto" : "us-east-1") }
}
