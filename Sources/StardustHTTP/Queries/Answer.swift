internal import LedgerFormat
internal import LedgerStorage
internal import NIOCore
internal import NIOHTTP1
internal import Packets
internal import StardustCore

/// A complete response, before it is encoded as HTTP.
struct Answer: Sendable {
    var status: Int
    var contentType: String
    var body: [UInt8]
    var retryAfterSeconds: Int?
    var allow: String?
    /// The `cache-control` header; nil if nobody should keep the answer.
    var cacheControl: String?
    /// The `content-range` header of a 206 or 416.
    var contentRange: String?
    /// The size that a time meant, in the header `stardust-ledger-size`.
    var ledgerSize: LedgerSize?

    init(_ status: Int = 200, _ contentType: String = "application/json", _ body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    init(_ problem: Problem) {
        var json = JSONWriter()
        problem.write(to: &json)
        self.init(problem.status, "application/problem+json", json.bytes)
        retryAfterSeconds = problem.retryAfterSeconds
        allow = problem.allow
        if problem.code == .request(.rangeNotSatisfiable), let end = problem.limit {
            contentRange = "bytes */\(end)"
        }
    }

    init(_ status: Int = 200, _ write: (inout JSONWriter) -> Void) {
        var json = JSONWriter()
        write(&json)
        self.init(status, "application/json", json.bytes)
    }
}

extension Answer {
    /// The response's headers.
    func headers(isLast: Bool) -> [(name: String, value: String)] {
        var headers = [
            ("content-type", contentType), ("content-length", String(body.count)),
        ]
        if let retryAfterSeconds { headers.append(("retry-after", String(retryAfterSeconds))) }
        if let cacheControl { headers.append(("cache-control", cacheControl)) }
        if let contentRange { headers.append(("content-range", contentRange)) }
        if let ledgerSize {
            headers.append(("stardust-ledger-size", String(ledgerSize.entries)))
        }
        if let allow { headers.append(("allow", allow)) }
        if isLast { headers.append(("connection", "close")) }
        return headers
    }

    /// The whole response, for a request that did not come through the pipeline.
    func message(isLast: Bool) -> ByteBuffer {
        let reason = HTTPResponseStatus(statusCode: status).reasonPhrase
        var bytes = ByteBufferAllocator().buffer(capacity: body.count + 256)
        bytes.writeString("HTTP/1.1 \(status) \(reason)\r\n")
        for header in headers(isLast: isLast) {
            bytes.writeString(header.name)
            bytes.writeStaticString(": ")
            bytes.writeString(header.value)
            bytes.writeStaticString("\r\n")
        }
        bytes.writeStaticString("\r\n")
        bytes.writeBytes(body)
        return bytes
    }
}

extension JSONWriter {
    mutating func receipt(_ receipt: Receipt, isReplay: Bool, _ evidence: CheckpointEvidence? = nil)
    {
        beginObject()
        member("position", receipt.position.value)
        member("stardust_id", receipt.stardustID)
        member("entry_hash", receipt.entryHash)
        member("payload_sha256", receipt.payloadDigest)
        member("received_at", receipt.receivedAt)
        member("replayed", isReplay)
        if let evidence {
            member("checkpoint", String(decoding: evidence.checkpoint, as: UTF8.self))
            key("inclusion")
            array(evidence.inclusion) { $1.string($0.base64) }
        }
        endObject()
    }

    /// Writes an entry other than a packet: a change of key or the beginning of an epoch.
    mutating func operatorEntry(_ record: StoredRecord) {
        let entry = record.entry
        beginObject()
        member("position", entry.position.value)
        member("kind", entry.kind == .keyRotation ? "key_rotation" : "epoch")
        member("received_at", entry.receivedAt)
        member("entry_hash", record.entryHash)
        member("payload_sha256", entry.payloadDigest)
        member("note", String(decoding: record.payload, as: UTF8.self))
        endObject()
    }

    /// Writes a packet as lists and look-ups show it. With `onOneLine`, line ends between its
    /// values become spaces; JSON strings contain none.
    mutating func packet(
        _ record: StoredRecord, _ entity: PacketEntity, onOneLine: Bool = false
    ) {
        let entry = record.entry
        beginObject()
        member("position", entry.position.value)
        member("stardust_id", entry.stardustID)
        member("entity_type", entity.type)
        member("entity_id", entity.id)
        member("created_at", entry.createdAt)
        member("received_at", entry.receivedAt)
        if entry.flags.contains(.clockHeldBack) { member("clock_held_back", true) }
        key("peer")
        beginObject()
        member("uid", Int(entry.peer.uid))
        member("gid", Int(entry.peer.gid))
        endObject()
        member("entry_hash", record.entryHash)
        member("payload_sha256", entry.payloadDigest)
        key("packet")
        if onOneLine, record.payload.contains(where: { $0 == 0x0A || $0 == 0x0D }) {
            json(record.payload.map { $0 == 0x0A || $0 == 0x0D ? 0x20 : $0 })
        } else {
            json(record.payload)
        }
        endObject()
    }
}
