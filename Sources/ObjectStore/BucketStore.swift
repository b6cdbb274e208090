internal import LedgerFormat
internal import Platform
internal import Synchronization

/// A bucket of Amazon S3, of a server that speaks its protocol, or of Google Cloud Storage, whose
/// XML interface differs in the names of headers.
final class BucketStore: ObjectStore, AssetStore {
    let name: String
    let settings: StoreSettings
    let prefix: String
    private let credentials: CredentialSource
    private let transport: HTTPTransport
    private let address: Address
    /// How far the store's clock is ahead of this machine's, in microseconds, once it has said so.
    private let skew = Mutex<Int64>(0)

    /// Where a bucket's requests go.
    private struct Address: Sendable {
        var scheme: String
        var host: String
        /// Before the names of objects: the bucket, unless the host names it.
        var path: String
    }

    init(
        _ settings: StoreSettings, bucket: String, prefix: String, _ credentials: CredentialSource
    ) {
        (name, self.settings) = (settings.url.description, settings)
        self.prefix = prefix.isEmpty ? "" : prefix + "/"
        self.credentials = credentials
        var place = HTTPTransport.Place()
        place.certificates = settings.certificates
        transport = HTTPTransport(place)
        address = Self.address(settings, bucket)
    }

    private static func address(_ settings: StoreSettings, _ bucket: String) -> Address {
        if let endpoint = settings.endpoint, let end = endpoint.firstRange(of: "://") {
            let host = endpoint[end.upperBound...].prefix { $0 != "/" }
            return Address(
                scheme: String(endpoint[..<end.lowerBound]), host: String(host), path: "/\(bucket)")
        }
        let host =
            settings.kind == .google
            ? "storage.googleapis.com" : "s3.\(settings.signedRegion).amazonaws.com"
        // A dot in the bucket's name would not match the certificate.
        return bucket.contains(".")
            ? Address(scheme: "https", host: host, path: "/\(bucket)")
            : Address(scheme: "https", host: "\(bucket).\(host)", path: "")
    }

    // MARK: Requests

    struct Call {
        var method: String
        /// Without the prefix; nil for the bucket itself.
        var key: String?
        var query: [(name: String, value: String)] = []
        var headers: [(name: String, value: String)] = []
        var body: ObjectBody?
    }

    func object(_ key: String?) -> String { key.map { "\(name)/\($0)" } ?? name }

    /// Sends a call, again as long as patience lasts and it may help. Answers with an error's status
    /// become failures, but for those in `expected`.
    func send(
        _ call: Call, expecting expected: Set<Int> = [], _ patience: Patience,
        _ take: ((Span<UInt8>, HTTPTransport.Answer) throws(StoreFailure) -> Void)? = nil
    ) throws(StoreFailure) -> HTTPTransport.Answer {
        var pauses = RetryPauses()
        var hasSetClock = false
        while true {
            let failure: StoreFailure
            do throws(StoreFailure) {
                let answer = try sendOnce(call, try credentials.current(), patience, take)
                if (200..<300).contains(answer.status) || expected.contains(answer.status) {
                    return answer
                }
                let answered = StoreAnswer(answer)
                if answered.isSkewed, !hasSetClock, let time = answered.time {
                    hasSetClock = true
                    let ahead = time.microseconds - Timestamp.systemNow().microseconds
                    skew.withLock { $0 = ahead }
                    continue
                }
                if answered.isExpired, !hasSetClock {
                    hasSetClock = true
                    credentials.renew()
                    continue
                }
                failure = answered.failure(object(call.key), settings)
            } catch {
                failure = StoreFailure(
                    error.kind, error.object.isEmpty ? object(call.key) : error.object, error.detail
                )
            }
            try pauses.wait(after: failure, patience)
        }
    }

    private func sendOnce(
        _ call: Call, _ credentials: StoreCredentials, _ patience: Patience,
        _ take: ((Span<UInt8>, HTTPTransport.Answer) throws(StoreFailure) -> Void)?
    ) throws(StoreFailure) -> HTTPTransport.Answer {
        let signer = RequestSigner(
            settings.kind == .google ? .google : .aws, credentials, region: settings.signedRegion)
        let path = address.path + "/" + (call.key.map { prefix + $0 } ?? "")
        var request = RequestSigner.Request(
            call.method, host: address.host, path: path,
            payload: call.body?.digest ?? .sha256([]))
        (request.query, request.headers) = (call.query, call.headers)
        let now = Timestamp(
            microseconds: Timestamp.systemNow().microseconds + skew.withLock { $0 })
        let query = request.encodedQuery
        let url =
            "\(address.scheme)://\(address.host)\(request.encodedPath)"
            + (query.isEmpty ? "" : "?\(query)")
        return try transport.send(
            HTTPTransport.Request(
                call.method, url, headers: signer.headers(of: request, at: now), body: call.body),
            goesOn: { !patience.isOver() }, take)
    }

    // MARK: Writing

    func put(
        _ key: String, _ body: ObjectBody, _ patience: Patience
    ) throws(StoreFailure) -> PutOutcome {
        let answer = try send(try creation(key, body), expecting: [412], patience)
        return answer.status == 412 ? .exists : .created
    }

    private func creation(
        _ key: String, _ body: ObjectBody
    ) throws(StoreFailure) -> Call {
        var call = Call(method: "PUT", key: key, body: body)
        switch settings.kind {
        case .google: call.headers.append(("x-goog-if-generation-match", "0"))
        case .amazon, .other: call.headers.append(("if-none-match", "*"))
        }
        // Not every server checks the signed digest, and a locked bucket wants one of these.
        if settings.kind == .amazon {
            call.headers.append(("x-amz-checksum-sha256", body.digest.base64))
        } else if let md5 = try body.md5() {
            call.headers.append(("content-md5", Base64.encoded(md5)))
        }
        if let lock = settings.objectLock {
            let until = Timestamp(
                microseconds: Timestamp.systemNow().microseconds
                    + Int64(lock.days) * 86_400_000_000)
            let prefix = settings.kind == .google ? "x-goog-" : "x-amz-"
            call.headers.append((prefix + "object-lock-mode", lock.mode.rawValue))
            call.headers.append(
                (prefix + "object-lock-retain-until-date", until.description.prefix(19) + "Z"))
        }
        return call
    }

    func allows(
        _ misuse: StoreMisuse, of key: String, _ patience: Patience
    ) throws(StoreFailure) -> Bool? {
        let answer: HTTPTransport.Answer
        let refusals: Set<Int> = [400, 401, 403, 405, 409, 412]
        switch misuse {
        case .wrongChecksum:
            var call = try creation(key, ObjectBody(Array("probe".utf8)))
            let wrong = ObjectBody(Array("prove".utf8))
            for index in call.headers.indices {
                if call.headers[index].name == "x-amz-checksum-sha256" {
                    call.headers[index].value = wrong.digest.base64
                } else if call.headers[index].name == "content-md5" {
                    call.headers[index].value = Base64.encoded(try wrong.md5() ?? [])
                }
            }
            answer = try send(call, expecting: refusals, patience)
        case .wrongSecret:
            let call = try creation(key, ObjectBody(Array("probe".utf8)))
            var wrong = try credentials.current()
            wrong.secret = String(wrong.secret.reversed()) + "x"
            answer = try sendOnce(call, wrong, patience, nil)
            // Only a refusal of the signature is one; a server that fails says nothing about it.
            guard (200..<300).contains(answer.status) || [401, 403].contains(answer.status) else {
                throw StoreAnswer(answer).failure(object(key), settings)
            }
        case .deletion(let version):
            var call = Call(method: "DELETE", key: key)
            if let version { call.query.append(("versionId", version)) }
            answer = try send(call, expecting: refusals, patience)
        }
        return (200..<300).contains(answer.status)
    }

    // MARK: Reading

    func get(
        _ key: String, _ range: Range<Int>?, version: String?, _ patience: Patience,
        _ take: (Span<UInt8>) throws(StoreFailure) -> Void
    ) throws(StoreFailure) {
        if let range, range.isEmpty { return }
        // What was passed on is not asked for again, should the connection break.
        var start = range?.lowerBound ?? 0
        var tag: String?
        var pauses = RetryPauses()
        while true {
            var call = Call(method: "GET", key: key)
            if let version {
                let name = settings.kind == .google ? "generation" : "versionId"
                call.query.append((name, version))
            }
            if range != nil || start > 0 {
                let last = range.map { String($0.upperBound - 1) } ?? ""
                call.headers.append(("range", "bytes=\(start)-\(last)"))
            }
            if let tag { call.headers.append(("if-match", tag)) }
            let (isPart, asked) = (range != nil || start > 0, start)
            do throws(StoreFailure) {
                var once = patience
                once.time = .zero
                try withoutActuallyEscaping(take) { (take) throws(StoreFailure) in
                    _ = try send(call, once) { [self] (bytes, answer) throws(StoreFailure) in
                        guard !isPart || answer.status == 206 else {
                            throw StoreFailure(
                                .damaged, object(key), "the store answers whole instead of a range")
                        }
                        tag = tag ?? answer.headers["etag"]
                        start += bytes.count
                        try take(bytes)
                    }
                }
                guard range.map({ start == $0.upperBound }) ?? true else {
                    throw StoreFailure(
                        .damaged, object(key), "the object ends at byte \(start)")
                }
                return
            } catch {
                // What flows may break now and then.
                if start > asked { pauses = RetryPauses() }
                try pauses.wait(after: error, patience)
            }
        }
    }

    func size(of key: String, _ patience: Patience) throws(StoreFailure) -> Int? {
        let answer = try send(Call(method: "HEAD", key: key), expecting: [404], patience)
        guard answer.status != 404 else { return nil }
        guard let size = answer.headers["content-length"].flatMap({ Int($0) }) else {
            throw StoreFailure(.damaged, object(key), "the store does not say how long it is")
        }
        return size
    }
}
