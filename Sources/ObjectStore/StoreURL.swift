internal import LedgerFormat

/// Where a store is: `s3://bucket/prefix`, `gs://bucket/prefix` or `file:///path`.
package struct StoreURL: Hashable, Sendable, CustomStringConvertible {
    package var place: Place
    package let description: String

    package enum Place: Hashable, Sendable {
        /// S3, or a server that speaks its protocol.
        case s3(bucket: String, prefix: String)
        /// Google Cloud Storage's XML interface.
        case google(bucket: String, prefix: String)
        case folder(String)
    }

    package struct Malformed: Error, CustomStringConvertible {
        package let description: String
    }

    package init(_ text: String) throws(Malformed) {
        func malformed(_ detail: String) -> Malformed {
            Malformed(description: "\(text): \(detail)")
        }
        guard let end = text.firstRange(of: "://") else {
            throw malformed("a store's URL begins with s3://, gs:// or file:///")
        }
        var trimmed = text[...]
        while trimmed.hasSuffix("/"),
            trimmed.utf8.count > text.utf8.distance(
                from: text.startIndex, to: end.upperBound) + 1
        { trimmed = trimmed.dropLast() }
        description = String(trimmed)
        let rest = trimmed[end.upperBound...]
        switch text[..<end.lowerBound] {
        case "file":
            guard rest.hasPrefix("/"), !rest.contains("?"), !rest.contains("#") else {
                throw malformed("a folder is named file:///path, with an absolute path")
            }
            guard let path = String(percentEncoded: rest), !path.utf8.contains(0) else {
                throw malformed("the percent-encoding is not valid UTF-8")
            }
            place = .folder(path)
        case "s3", "gs":
            let slash = rest.firstIndex(of: "/") ?? rest.endIndex
            let bucket = String(rest[..<slash])
            guard Self.mayBeBucket(bucket) else {
                throw malformed(
                    "\(bucket.isEmpty ? "no bucket is named" : "\(bucket) cannot be a bucket")")
            }
            let prefix = String(rest[slash...].dropFirst())
            guard !prefix.contains("?"), !prefix.contains("#"), !"/\(prefix)".contains("//") else {
                throw malformed("the part after the bucket is a prefix of names, and nothing else")
            }
            place =
                text.hasPrefix("s3")
                ? .s3(bucket: bucket, prefix: prefix) : .google(bucket: bucket, prefix: prefix)
        case let scheme:
            throw malformed("\(scheme):// is not a store; s3://, gs:// and file:/// are")
        }
    }

    /// Whether it is 3 to 255 letters, digits, dots, dashes and underscores.
    private static func mayBeBucket(_ name: String) -> Bool {
        (3...255).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte)
                    || (0x61...0x7A).contains(byte) || [0x2D, 0x2E, 0x5F].contains(byte)
            }
    }
}

extension String {
    /// What comes after a prefix, byte by byte; nil if it does not begin so. Whole characters would not do: a name may
    /// begin with one that joins the character before it.
    package func remainder(after prefix: String) -> String? {
        guard utf8.starts(with: prefix.utf8) else { return nil }
        return String(decoding: utf8.dropFirst(prefix.utf8.count), as: UTF8.self)
    }
}
