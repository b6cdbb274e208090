/// How to reach one store.
package struct StoreSettings: Hashable, Sendable {
    package var url: StoreURL
    /// Scheme, host and port of a server that speaks S3's protocol; nil for Amazon's or Google's.
    package var endpoint: String?
    /// Nil for `us-east-1`, or `auto` with Google.
    package var region: String?
    /// The section of the shared file of credentials.
    package var profile: String?
    /// A file of certificates to trust instead of the system's.
    package var certificates: String?
    /// How long the store must keep each object.
    package var objectLock: ObjectLock?

    package struct ObjectLock: Hashable, Sendable {
        package var mode: Mode
        package var days: Int

        package enum Mode: String, Sendable {
            case governance = "GOVERNANCE"
            case compliance = "COMPLIANCE"
        }

        package init(_ mode: Mode, days: Int) { (self.mode, self.days) = (mode, days) }
    }

    package init(_ url: StoreURL) { self.url = url }

    /// Whether it is `http://` or `https://`, a host and perhaps a port, and nothing else.
    package static func isEndpoint(_ text: String) -> Bool {
        guard let scheme = ["https://", "http://"].first(where: text.hasPrefix) else {
            return false
        }
        let rest = text.dropFirst(scheme.count)
        return !rest.isEmpty && !rest.contains { "/?#@ ".contains($0) }
    }

    /// Which promises a server makes beside the protocol's.
    enum Kind { case amazon, google, other }

    var kind: Kind {
        if case .google = url.place { return .google }
        return endpoint == nil ? .amazon : .other
    }

    /// Opens the store, without asking it anything.
    package func open(
        environment: @escaping @Sendable (String) -> String?
    ) throws(StoreFailure) -> any ObjectStore { try opened(environment) }

    /// The same for assets, which are not an archive's.
    package func openAssets(
        environment: @escaping @Sendable (String) -> String?
    ) throws(StoreFailure) -> any AssetStore { try opened(environment) }

    private func opened(
        _ environment: @escaping @Sendable (String) -> String?
    ) throws(StoreFailure) -> any ObjectStore & AssetStore {
        switch url.place {
        case .folder(let path): return try FolderStore(path, name: url.description)
        case .s3(let bucket, let prefix), .google(let bucket, let prefix):
            var settings = self
            if kind == .amazon {
                // Where AWS's own programs look.
                settings.endpoint =
                    environment("AWS_ENDPOINT_URL_S3") ?? environment("AWS_ENDPOINT_URL")
                settings.region =
                    region ?? environment("AWS_REGION") ?? environment("AWS_DEFAULT_REGION")
            }
            settings.certificates = certificates ?? environment("AWS_CA_BUNDLE")
            if let endpoint = settings.endpoint, !Self.isEndpoint(endpoint) {
                throw StoreFailure(
                    .refused, url.description,
                    "the endpoint \(endpoint) is not scheme, host and port, as in "
                        + "https://storage.example:9000")
            }
            return BucketStore(
                settings, bucket: bucket, prefix: prefix,
                CredentialSource(profile: profile, environment: environment))
        }
    }
}
