import Foundation

/// What a program printed and how it ended.
package struct Finished: Sendable {
    package var status: Int32
    package var output: String
    package var error: String
}

package func run(
    _ arguments: [String], input: [UInt8]? = nil, environment: [String: String] = [:]
) throws -> Finished {
    let folder = try TemporaryFolder()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    // Whatever a program leaves in its folder is not left in the checkout.
    process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
    // Files rather than pipes: nothing can fill up, however much is printed.
    let output = try folder.file("output", [])
    let error = try folder.file("error", [])
    process.standardOutput = FileHandle(forWritingAtPath: output)
    process.standardError = FileHandle(forWritingAtPath: error)
    process.standardInput = FileHandle(forReadingAtPath: try folder.file("input", input ?? []))
    try process.run()
    process.waitUntilExit()
    return Finished(
        status: process.terminationStatus,
        output: String(decoding: try Data(contentsOf: URL(fileURLWithPath: output)), as: UTF8.self),
        error: String(decoding: try Data(contentsOf: URL(fileURLWithPath: error)), as: UTF8.self))
}
