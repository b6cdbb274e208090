internal import Synchronization

/// The Prometheus text exposition format, version 0.0.4.
package struct MetricsText {
    package private(set) var text = ""

    package init() {}

    /// What is said of a metric before its values.
    package mutating func begin(_ name: String, _ help: String, _ type: String) {
        text += "# HELP stardust_\(name) \(help)\n# TYPE stardust_\(name) \(type)\n"
    }

    /// One value. `labels` are names and values, of which no client chooses any.
    package mutating func add(
        _ name: String, _ labels: [(name: String, value: String)] = [], _ value: String
    ) {
        let list = labels.map { "\($0.name)=\"\($0.value)\"" }.joined(separator: ",")
        text += "stardust_\(name)\(list.isEmpty ? "" : "{\(list)}") \(value)\n"
    }

    static func seconds(_ microseconds: Int) -> String { "\(Double(microseconds) / 1e6)" }
}

package protocol Metric: Sendable {
    func write(to text: inout MetricsText)
}

extension Metrics {
    package final class Counter: Metric {
        private let name: String
        private let help: String
        private let count = Atomic<Int>(0)

        init(_ name: String, _ help: String) { (self.name, self.help) = (name, help) }

        package func add(_ amount: Int = 1) { count.add(amount, ordering: .relaxed) }
        package var value: Int { count.load(ordering: .relaxed) }

        package func write(to text: inout MetricsText) {
            text.begin(name, help, "counter")
            text.add(name, [], "\(value)")
        }
    }

    package final class Gauge: Metric {
        private let name: String
        private let help: String
        private let level: Atomic<Int>

        init(_ name: String, _ help: String, _ level: Int = 0) {
            (self.name, self.help) = (name, help)
            self.level = Atomic(level)
        }

        package func set(_ value: Int) { level.store(value, ordering: .relaxed) }
        package func add(_ amount: Int) { level.add(amount, ordering: .relaxed) }
        package var value: Int { level.load(ordering: .relaxed) }

        package func write(to text: inout MetricsText) {
            text.begin(name, help, "gauge")
            text.add(name, [], "\(value)")
        }
    }

    /// A time; none stands for one that never comes.
    package final class SecondsGauge: Metric {
        private let name: String
        private let help: String
        private let microseconds = Mutex<Int?>(0)

        init(_ name: String, _ help: String) { (self.name, self.help) = (name, help) }

        package func set(_ value: Duration?) {
            microseconds.withLock { $0 = value.map { Int($0 / .microseconds(1)) } }
        }

        package func write(to text: inout MetricsText) {
            text.begin(name, help, "gauge")
            text.add(name, [], microseconds.withLock { $0 }.map(MetricsText.seconds) ?? "+Inf")
        }
    }

    /// A counter for each value of a label.
    package final class CounterFamily: Metric {
        private let name: String
        private let help: String
        private let label: String
        private let values: [String]
        private let counts: Mutex<[Int]>

        init(_ name: String, _ help: String, _ label: String, _ values: [String]) {
            (self.name, self.help) = (name, help)
            (self.label, self.values) = (label, values)
            counts = Mutex(values.map { _ in 0 })
        }

        /// `value` is one of the label's.
        package func add(_ value: String) {
            guard let index = values.firstIndex(of: value) else { return }
            counts.withLock { $0[index] += 1 }
        }

        package func write(to text: inout MetricsText) {
            text.begin(name, help, "counter")
            for (value, count) in zip(values, counts.withLock { $0 }) {
                text.add(name, [(label, value)], "\(count)")
            }
        }
    }

    /// How many durations were at most so long, in seconds.
    package struct Distribution: Sendable {
        /// By the bound that they do not exceed; the last ones exceed all.
        private var counts: [Int]
        private var microseconds = 0
        private let bounds: [Double]

        init(_ bounds: [Double]) {
            self.bounds = bounds
            counts = [Int](repeating: 0, count: bounds.count + 1)
        }

        mutating func add(_ duration: Duration) {
            let taken = Int(duration / .microseconds(1))
            let seconds = Double(taken) / 1e6
            counts[bounds.firstIndex { seconds <= $0 } ?? bounds.count] += 1
            microseconds += taken
        }

        func write(
            _ name: String, _ labels: [(name: String, value: String)], to text: inout MetricsText
        ) {
            var count = 0
            for (index, bound) in bounds.enumerated() {
                count += counts[index]
                text.add(name + "_bucket", labels + [("le", "\(bound)")], "\(count)")
            }
            count += counts[bounds.count]
            text.add(name + "_bucket", labels + [("le", "+Inf")], "\(count)")
            text.add(name + "_sum", labels, MetricsText.seconds(microseconds))
            text.add(name + "_count", labels, "\(count)")
        }
    }

    package final class Histogram: Metric {
        private let name: String
        private let help: String
        private let state: Mutex<Distribution>

        init(_ name: String, _ help: String, _ bounds: [Double]) {
            (self.name, self.help) = (name, help)
            state = Mutex(Distribution(bounds))
        }

        package func add(_ duration: Duration) { state.withLock { $0.add(duration) } }

        package func write(to text: inout MetricsText) {
            text.begin(name, help, "histogram")
            state.withLock { $0 }.write(name, [], to: &text)
        }
    }

    /// A histogram for each value of a label. The values are known once, before the first duration.
    package final class HistogramFamily: Metric {
        private let name: String
        private let help: String
        private let label: String
        private let bounds: [Double]
        private let state = Mutex<[(value: String, times: Distribution)]>([])

        init(_ name: String, _ help: String, _ label: String, _ bounds: [Double]) {
            (self.name, self.help) = (name, help)
            (self.label, self.bounds) = (label, bounds)
        }

        package func begin(_ values: [String]) {
            state.withLock { $0 = values.map { ($0, Distribution(bounds)) } }
        }

        /// `index` is that of a value.
        package func add(_ duration: Duration, _ index: Int) {
            state.withLock { if $0.indices.contains(index) { $0[index].times.add(duration) } }
        }

        package func write(to text: inout MetricsText) {
            text.begin(name, help, "histogram")
            for (value, times) in state.withLock({ $0 }) {
                times.write(name, [(label, value)], to: &text)
            }
        }
    }
}
