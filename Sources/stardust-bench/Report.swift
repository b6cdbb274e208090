/// Prints one row of the benchmark: name, figure, and the target if there is one.
func row(_ name: String, _ figure: String, _ target: String = "") {
    let padding = String(repeating: " ", count: max(1, 44 - name.count))
    writeLine("\(name)\(padding)\(figure)\(target.isEmpty ? "" : "   [\(target)]")")
}

/// A number with a fixed number of decimals.
func fixed(_ value: Double, _ digits: Int = 2) -> String {
    let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
    let rounded = Int((value * scale).rounded())
    if digits == 0 { return "\(rounded)" }
    let fraction = String(rounded % Int(scale))
    let zeros = String(repeating: "0", count: digits - fraction.count)
    return "\(rounded / Int(scale)).\(zeros)\(fraction)"
}
