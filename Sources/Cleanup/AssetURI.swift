package import LedgerFormat
package import ObjectStore

/// The name of an asset, whichever of its spellings a row or a packet uses: aliases of a scheme, a URL
/// of the store's interface, with or without percent-encoding.
package struct AssetURI: Hashable, Sendable, CustomStringConvertible {
    package let place: Place
    /// The object's name in its bucket, or a path without the first slash.
    package let key: String

    package enum Place: Hashable, Sendable {
        case s3(bucket: String)
        case google(bucket: String)
        case folder
    }

    package init(_ place: Place, key: String) { (self.place, self.key) = (place, key) }

    /// An object of a store.
    package init(_ store: StoreURL, key: String) {
        switch store.place {
        case .s3(let bucket, let prefix):
            self.init(.s3(bucket: bucket), key: Self.joined(prefix, key))
        case .google(let bucket, let prefix):
            self.init(.google(bucket: bucket), key: Self.joined(prefix, key))
        case .folder(let path):
            self.init(.folder, key: Self.joined(String(path.drop { $0 == "/" }), key))
        }
    }

    private static func joined(_ prefix: String, _ key: String) -> String {
        prefix.isEmpty ? key : prefix + "/" + key
    }

    /// Reads a name; nil if it is none. `endpoints` are servers whose path-style URLs name their buckets.
    package init?(_ text: String, endpoints: Set<String> = []) {
        if text.hasPrefix("/") {
            guard text.utf8.count > 1 else { return nil }
            self.init(.folder, key: Self.path(text[...]))
            return
        }
        guard let end = text.firstRange(of: "://") else { return nil }
        let rest = text[end.upperBound...]
        switch text[..<end.lowerBound].lowercased() {
        case "s3", "s3a", "s3n":
            guard let (bucket, key) = Self.split(rest) else { return nil }
            self.init(.s3(bucket: bucket), key: key)
        case "gs", "gcs":
            guard let (bucket, key) = Self.split(rest) else { return nil }
            self.init(.google(bucket: bucket), key: key)
        case "file":
            let path = rest.hasPrefix("localhost/") ? rest.dropFirst("localhost".count) : rest
            guard path.hasPrefix("/"), path.utf8.count > 1 else { return nil }
            self.init(.folder, key: Self.path(path))
        case "http", "https":
            self.init(web: rest.prefix { $0 != "?" && $0 != "#" }, endpoints)
        default: return nil
        }
    }

    /// The interfaces' own URLs, with the bucket in the host's name or in the path.
    private init?(web text: Substring, _ endpoints: Set<String>) {
        guard let (given, path) = Self.split(text) else { return nil }
        let host = given.lowercased()
        let isGoogle = ["storage.googleapis.com", "storage.cloud.google.com"]
        for domain in isGoogle {
            if host == domain, let (bucket, key) = Self.split(path[...]) {
                self.init(.google(bucket: bucket), key: key)
                return
            }
            if host.hasSuffix("." + domain) {
                self.init(.google(bucket: String(host.dropLast(domain.count + 1))), key: path)
                return
            }
        }
        if endpoints.contains(host), let (bucket, key) = Self.split(path[...]) {
            self.init(.s3(bucket: bucket), key: key)
            return
        }
        guard host.hasSuffix(".amazonaws.com") else { return nil }
        let labels = host.dropLast(".amazonaws.com".count).split(separator: ".")
        if labels.first?.hasPrefix("s3") == true, let (bucket, key) = Self.split(path[...]) {
            self.init(.s3(bucket: bucket), key: key)
            return
        }
        guard let s3 = labels.lastIndex(where: { $0.hasPrefix("s3") }), s3 > 0 else { return nil }
        self.init(.s3(bucket: labels[..<s3].joined(separator: ".")), key: path)
    }

    private static func split(_ text: Substring) -> (String, String)? {
        guard let slash = text.firstIndex(of: "/"), slash > text.startIndex else { return nil }
        let key = text[text.index(after: slash)...]
        return key.isEmpty ? nil : (String(text[..<slash]), String(key))
    }

    /// A path without empty steps, `.` and `..`.
    private static func path(_ text: Substring) -> String {
        let bytes = text.utf8
        // Most have none.
        if !bytes.dropLast().indices.contains(where: { index in
            bytes[index] == UInt8(ascii: "/")
                && [UInt8(ascii: "/"), UInt8(ascii: ".")].contains(bytes[bytes.index(after: index)])
        }), bytes.last != UInt8(ascii: "/") {
            return String(bytes.first == UInt8(ascii: "/") ? text.dropFirst() : text)
        }
        var steps: [Substring] = []
        for step in text.split(separator: "/") where step != "." {
            if step == ".." { _ = steps.popLast() } else { steps.append(step) }
        }
        return steps.joined(separator: "/")
    }

    package var description: String {
        switch place {
        case .s3(let bucket): "s3://\(bucket)/\(key)"
        case .google(let bucket): "gs://\(bucket)/\(key)"
        case .folder: "file:///\(key)"
        }
    }

    /// The entity id of the asset that `description` names: the first 16 bytes of its SHA-256, with the bits of
    /// a UUIDv4 (RFC 9562 section 5.4).
    package static func id(of uri: String) -> UUID128 {
        UUID128.shaped(from: .sha256(Array(uri.utf8)))
    }

    package var id: UUID128 { Self.id(of: description) }

    /// The same for every name that might mean this asset: whether escapes were meant as such, and how
    /// letters are written, cannot be told, so names that differ in that count as one. Protects more
    /// than it must.
    package var loose: String {
        var text = description.lowercased()
        for _ in 0..<2 where text.utf8.contains(UInt8(ascii: "%")) {
            guard let decoded = String(percentEncoded: text[...]), decoded != text else { break }
            text = decoded.lowercased()
        }
        return text
    }
}
