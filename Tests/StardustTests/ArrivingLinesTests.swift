import NIOCore
import Testing
import stardust

@Suite struct ArrivingLinesTests {
    @Test func `lines are the same wherever the bytes are cut`() {
        let bytes = Array("first\n\nthird, and longer\nno line feed".utf8)
        for first in 0...bytes.count {
            for second in first...bytes.count {
                var (lines, taken) = (ArrivingLines(), [String]())
                for piece in [bytes[..<first], bytes[first..<second], bytes[second...]] {
                    lines.add(ByteBuffer(bytes: piece))
                    while let line = lines.next() {
                        taken.append(String(decoding: line, as: UTF8.self))
                    }
                }
                #expect(taken == ["first", "", "third, and longer"])
                #expect(lines.rest == Array("no line feed".utf8))
            }
        }
    }
}
