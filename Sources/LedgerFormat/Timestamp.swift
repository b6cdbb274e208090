/// An instant: whole microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
package struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var microseconds: Int64

    package init(microseconds: Int64) { self.microseconds = microseconds }

    package static func < (left: Self, right: Self) -> Bool {
        left.microseconds < right.microseconds
    }

    /// Reads RFC 3339 in UTC, `2026-09-14T10:42:07.311Z` or with `+00:00`, with one to nine digits
    /// of fraction. Digits finer than a microsecond are dropped. Nil for any other form, for a day
    /// that does not exist, and for a leap second, which a count of seconds cannot represent.
    package init?(rfc3339 text: Span<UInt8>) {
        guard text.count >= 20,
            let year = text.decimal(at: 0, digits: 4), text[4] == UInt8(ascii: "-"),
            let month = text.decimal(at: 5, digits: 2), text[7] == UInt8(ascii: "-"),
            let day = text.decimal(at: 8, digits: 2), text[10] == UInt8(ascii: "T"),
            let hour = text.decimal(at: 11, digits: 2), text[13] == UInt8(ascii: ":"),
            let minute = text.decimal(at: 14, digits: 2), text[16] == UInt8(ascii: ":"),
            let second = text.decimal(at: 17, digits: 2),
            hour < 24, minute < 60, second < 60,
            (1...12).contains(month), day >= 1, day <= daysInMonth(month, year)
        else { return nil }
        var index = 19
        var fraction: Int64 = 0
        if text[index] == UInt8(ascii: ".") {
            index += 1
            var unit: Int64 = 100_000
            let first = index
            while index < text.count, text[index] &- UInt8(ascii: "0") < 10 {
                fraction += unit * Int64(text[index] &- UInt8(ascii: "0"))
                unit /= 10
                index += 1
            }
            guard (1...9).contains(index - first) else { return nil }
        }
        guard text.isUTCSuffix(at: index) else { return nil }
        let days = daysSinceEpoch(year: year, month: month, day: day)
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
        microseconds = Int64(seconds) * 1_000_000 + fraction
    }

    package init?(rfc3339 text: String) {
        let bytes = Array(text.utf8)
        self.init(rfc3339: bytes.span)
    }

    /// RFC 3339 in UTC with six digits of fraction.
    package var description: String {
        var text: [UInt8] = []
        appendText(to: &text)
        return String(decoding: text, as: UTF8.self)
    }

    package func appendText(to text: inout [UInt8]) {
        let (seconds, fraction) = microseconds.quotientAndRemainder(flooring: 1_000_000)
        let (days, secondOfDay) = seconds.quotientAndRemainder(flooring: 86_400)
        let (year, month, day) = civilDate(daysSinceEpoch: Int(days))
        text.append(decimal: year, digits: 4)
        let start = text.count
        text.append("-00-00T00:00:00.000000Z")
        var span = text.mutableSpan
        span.store(twoDigits: month, at: start + 1)
        span.store(twoDigits: day, at: start + 4)
        span.store(twoDigits: Int(secondOfDay / 3600), at: start + 7)
        span.store(twoDigits: Int(secondOfDay / 60 % 60), at: start + 10)
        span.store(twoDigits: Int(secondOfDay % 60), at: start + 13)
        span.store(twoDigits: Int(fraction / 10_000), at: start + 16)
        span.store(twoDigits: Int(fraction / 100 % 100), at: start + 18)
        span.store(twoDigits: Int(fraction % 100), at: start + 20)
    }
}

extension MutableSpan<UInt8> {
    @inline(__always)
    fileprivate mutating func store(twoDigits value: Int, at offset: Int) {
        self[offset] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value / 10)
        self[offset + 1] = UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: value % 10)
    }
}

extension Span<UInt8> {
    fileprivate func decimal(at offset: Int, digits: Int) -> Int? {
        var value = 0
        for index in offset..<offset + digits {
            let digit = self[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value * 10 + Int(digit)
        }
        return value
    }

    fileprivate func isUTCSuffix(at offset: Int) -> Bool {
        if count == offset + 1 { return self[offset] == UInt8(ascii: "Z") }
        guard count == offset + 6 else { return false }
        let zero: StaticString = "+00:00"
        for index in 0..<6 where self[offset + index] != zero.byte(at: index) { return false }
        return true
    }
}

extension StaticString {
    /// The byte at `index` of the text. `index` must be below `utf8CodeUnitCount`.
    @inlinable package func byte(at index: Int) -> UInt8 {
        precondition(index >= 0 && index < utf8CodeUnitCount)
        // Safety: the index was checked, and a static string lives forever.
        return unsafe utf8Start[index]
    }
}

extension [UInt8] {
    /// Appends a number in decimal, padded with leading zeros to `digits`. A negative number, such
    /// as a year before 0000, gets a minus sign.
    package mutating func append(decimal value: Int, digits: Int = 1) {
        if value < 0 { append(UInt8(ascii: "-")) }
        var magnitude = value.magnitude
        let start = count
        repeat {
            append(UInt8(ascii: "0") + UInt8(magnitude % 10))
            magnitude /= 10
        } while magnitude > 0 || count - start < digits
        self[start...].reverse()
    }
}

extension Int64 {
    fileprivate func quotientAndRemainder(flooring divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}

// The proleptic Gregorian calendar, counted from the first of March so that a leap day ends a year.
// A cycle of 400 years has 146,097 days. From 0000-03-01 to the epoch there are 719,468 days.

private func daysInMonth(_ month: Int, _ year: Int) -> Int {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    switch month {
    case 2: return isLeap ? 29 : 28
    case 4, 6, 9, 11: return 30
    default: return 31
    }
}

private func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
    let marchYear = month > 2 ? year : year - 1
    let cycle = (marchYear >= 0 ? marchYear : marchYear - 399) / 400
    let yearOfCycle = marchYear - cycle * 400
    let monthFromMarch = (month + 9) % 12
    let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
    let dayOfCycle = yearOfCycle * 365 + yearOfCycle / 4 - yearOfCycle / 100 + dayOfYear
    return cycle * 146_097 + dayOfCycle - 719_468
}

private func civilDate(daysSinceEpoch: Int) -> (year: Int, month: Int, day: Int) {
    let days = daysSinceEpoch + 719_468
    let cycle = (days >= 0 ? days : days - 146_096) / 146_097
    let dayOfCycle = days - cycle * 146_097
    let leapDays = dayOfCycle / 1460 - dayOfCycle / 36_524 + dayOfCycle / 146_096
    let yearOfCycle = (dayOfCycle - leapDays) / 365
    let dayOfYear = dayOfCycle - (365 * yearOfCycle + yearOfCycle / 4 - yearOfCycle / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    return (cycle * 400 + yearOfCycle + (month <= 2 ? 1 : 0), month, day)
}
