internal import NIOHTTP1

/// What a request's header says about these, found in one pass. Of a field that may stand once, the
/// first value and the number of lines; list fields are not split.
struct RequestFields {
    private(set) var host: String?
    private(set) var hosts = 0
    private(set) var contentType: String?
    private(set) var contentTypes = 0
    private(set) var contentLength: String?
    private(set) var contentLengths = 0
    private(set) var transferCodings: [String] = []
    private(set) var contentCodings: [String] = []
    private(set) var expectations: [String] = []
    private(set) var range: String?
    private(set) var sites: [String] = []
    private(set) var origins: [String] = []
    /// Whether the client asks to speak something else on the connection (RFC 9110 section 7.8).
    private(set) var wantsOtherProtocol = false

    init(_ headers: HTTPHeaders) {
        for (name, line) in headers {
            let value = line.trimmingOptionalSpace
            // Most names are told apart by their length.
            switch name.utf8.count {
            case 4 where name.isSame("host"): Self.note(value, &host, &hosts)
            case 5 where name.isSame("range"): range = value
            case 6 where name.isSame("expect"): expectations.append(value)
            case 6 where name.isSame("origin"): origins.append(value)
            case 7 where name.isSame("upgrade"): wantsOtherProtocol = true
            case 12 where name.isSame("content-type"):
                Self.note(value, &contentType, &contentTypes)
            case 14 where name.isSame("content-length"):
                Self.note(value, &contentLength, &contentLengths)
            case 14 where name.isSame("sec-fetch-site"): sites.append(value)
            case 16 where name.isSame("content-encoding"): contentCodings.append(value)
            case 17 where name.isSame("transfer-encoding"): transferCodings.append(value)
            default: break
            }
        }
    }

    private static func note(_ value: String, _ first: inout String?, _ count: inout Int) {
        if count == 0 { first = value }
        count += 1
    }

    /// Whether a body follows the header (RFC 9112 section 6.3).
    var announcesBody: Bool { !transferCodings.isEmpty || contentLength ?? "0" != "0" }

    /// Whether the client waits to be told that it may send the body.
    var waitsToContinue: Bool { expectations.first?.lowercased() == "100-continue" }
}

extension String {
    /// Whether it is `name` in any case. `name` has as many bytes, all of them lower-case letters and
    /// dashes.
    fileprivate func isSame(_ name: String) -> Bool {
        let (own, other) = (utf8Span.span, name.utf8Span.span)
        for index in own.indices {
            let byte = own[index]
            let lower = byte &- 0x41 < 26 ? byte | 0x20 : byte
            if lower != other[index] { return false }
        }
        return true
    }

    /// Without spaces and tabs around it (RFC 9110 section 5.5).
    fileprivate var trimmingOptionalSpace: String {
        func isSpace(_ byte: UInt8?) -> Bool { byte == 0x20 || byte == 0x09 }
        var bytes = utf8[...]
        guard isSpace(bytes.first) || isSpace(bytes.last) else { return self }
        while isSpace(bytes.first) { bytes.removeFirst() }
        while isSpace(bytes.last) { bytes.removeLast() }
        return String(Substring(bytes))
    }
}
