internal import CLibCurl
internal import Glibc
internal import LedgerFormat
internal import Platform

/// A store's answer that is no success: what it means, and whether to ask again.
struct StoreAnswer {
    private let answer: HTTPTransport.Answer
    /// S3's code of the error, such as `NoSuchKey`; "" if the answer has none.
    private let code: String
    private let message: String

    init(_ answer: HTTPTransport.Answer) {
        self.answer = answer
        let document = XMLElement(answer.body)
        code = document?["Code"]?.text ?? ""
        message = document?["Message"]?.text ?? ""
    }

    /// Whether the two clocks differ too much. An answer to HEAD has no code, but the store's time.
    var isSkewed: Bool {
        guard answer.body.isEmpty, answer.status == 403, let time else {
            return code == "RequestTimeTooSkewed"
        }
        return abs(time.microseconds - Timestamp.systemNow().microseconds) > Self.skewMax
    }

    /// Microseconds; stores accept a little more.
    private static let skewMax: Int64 = 300 * 1_000_000

    var isExpired: Bool { ["ExpiredToken", "ExpiredTokenException"].contains(code) }

    /// The store's time (RFC 9110 section 5.6.7).
    var time: Timestamp? {
        guard let text = answer.headers["date"] else { return nil }
        let seconds = unsafe stardust_http_date(text)
        return seconds < 0 ? nil : Timestamp(microseconds: seconds * 1_000_000)
    }

    func failure(_ object: String, _ settings: StoreSettings) -> StoreFailure {
        var said = "the store answered \(answer.status)"
        if !code.isEmpty { said += " \(code)" }
        if !message.isEmpty { said += " (\(message.prefix(300)))" }
        let (kind, hint): (StoreFailure.Kind, String) =
            switch answer.status {
            case 404 where code == "NoSuchBucket":
                (.refused, "; create the bucket, or correct the store's url")
            case 404: (.missing, "")
            case 501, 505: (.refused, "; the store does not speak this part of S3's protocol")
            case 408, 409, 429, 500...599: (.unreachable, "")
            case 301, 307, 308:
                (
                    .refused,
                    "; the bucket is in another region"
                        + (answer.headers["x-amz-bucket-region"].map { ": \($0)" } ?? "")
                        + ", so set the store's region"
                )
            case 400 where code == "AuthorizationHeaderMalformed":
                (.refused, "; set the store's region")
            case 400 where code == "RequestTimeout": (.unreachable, "")
            case 401, 403: (.refused, Self.hint(code))
            case 416: (.damaged, "; the object is shorter than it must be")
            default: (.refused, "")
            }
        return StoreFailure(kind, object, said + hint)
    }

    private static func hint(_ code: String) -> String {
        switch code {
        case "InvalidAccessKeyId": "; correct aws_access_key_id"
        case "SignatureDoesNotMatch": "; correct aws_secret_access_key"
        case "RequestTimeTooSkewed": "; set this machine's clock"
        default:
            "; its credentials need PutObject, GetObject, ListBucket and ListBucketVersions, those of a "
                + "clean-up GetObject, ListBucket and DeleteObject"
        }
    }
}

/// Pauses between tries: full jitter, from 100 ms to 20 s.
struct RetryPauses {
    private var backoff = Backoff(from: StoreLimits.firstPause, to: StoreLimits.longestPause)
    private let began = ContinuousClock.now

    /// Waits before another try, or throws the failure if there is to be none.
    mutating func wait(after failure: StoreFailure, _ patience: Patience) throws(StoreFailure) {
        guard failure.kind == .unreachable else { throw failure }
        let pause = backoff.pause() * Double.random(in: 0...1)
        let now = ContinuousClock.now
        if let time = patience.time, now + pause >= began + time { throw failure }
        patience.note(failure)
        while .now < now + pause {
            if patience.isOver() { throw failure }
            usleep(useconds_t(min((now + pause - .now) / .microseconds(1), 50_000)))
        }
        if patience.isOver() { throw failure }
    }
}
