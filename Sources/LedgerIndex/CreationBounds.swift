internal import LedgerFormat

/// The earliest and the latest created_at of each `IndexLimits.zonePackets` packets, so that a
/// search for a span of time skips the zones outside it.
struct CreationBounds: Sendable {
    private(set) var bounds: [(earliest: Int64, latest: Int64)] = []
    /// Packets in the last zone.
    private var lastCount = IndexLimits.zonePackets

    init() {}

    init(bounds: [(earliest: Int64, latest: Int64)], packets: Int) {
        self.bounds = bounds
        lastCount = packets - (bounds.count - 1) * IndexLimits.zonePackets
    }

    mutating func append(_ time: Timestamp) {
        if lastCount == IndexLimits.zonePackets {
            bounds.append((time.microseconds, time.microseconds))
            lastCount = 1
        } else {
            let last = bounds.count - 1
            bounds[last].earliest = min(bounds[last].earliest, time.microseconds)
            bounds[last].latest = max(bounds[last].latest, time.microseconds)
            lastCount += 1
        }
    }

    /// The first ordinal from `ordinal` on whose zone touches the span; nil if none does.
    func next(_ ordinal: Int, touching span: Range<Int64>) -> Int? {
        var zone = ordinal / IndexLimits.zonePackets
        while zone < bounds.count {
            if touches(zone, span) { return max(ordinal, zone * IndexLimits.zonePackets) }
            zone += 1
        }
        return nil
    }

    /// The same downwards.
    func previous(_ ordinal: Int, touching span: Range<Int64>) -> Int? {
        var zone = min(ordinal / IndexLimits.zonePackets, bounds.count - 1)
        while zone >= 0 {
            if touches(zone, span) {
                return min(ordinal, (zone + 1) * IndexLimits.zonePackets - 1)
            }
            zone -= 1
        }
        return nil
    }

    private func touches(_ zone: Int, _ span: Range<Int64>) -> Bool {
        bounds[zone].earliest < span.upperBound && bounds[zone].latest >= span.lowerBound
    }

    /// Joins the zones of neighbours. They line up only if each part before ends with a full zone.
    /// Otherwise a zone of a later part straddles two joined zones and widens both.
    static func joined(_ parts: [(zones: CreationBounds, packets: Int)]) -> CreationBounds {
        var result = CreationBounds()
        var packets = 0
        for part in parts {
            let wide = part.packets
            packets += wide
            let needed = (packets + IndexLimits.zonePackets - 1) / IndexLimits.zonePackets
            let start = packets - wide
            for (index, bound) in part.zones.bounds.enumerated() {
                let first = start + index * IndexLimits.zonePackets
                let last = min(first + IndexLimits.zonePackets, packets) - 1
                for zone in first / IndexLimits.zonePackets...last / IndexLimits.zonePackets {
                    result.widen(zone, by: bound)
                }
            }
            precondition(result.bounds.count == needed, "every packet has a zone")
        }
        if packets > 0 {
            result.lastCount = packets - (result.bounds.count - 1) * IndexLimits.zonePackets
        }
        return result
    }

    private mutating func widen(_ zone: Int, by bound: (earliest: Int64, latest: Int64)) {
        guard zone < bounds.count else { return bounds.append(bound) }
        bounds[zone].earliest = min(bounds[zone].earliest, bound.earliest)
        bounds[zone].latest = max(bounds[zone].latest, bound.latest)
    }
}
