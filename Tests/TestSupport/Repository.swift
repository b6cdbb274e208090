import Foundation

/// Where the tests find the project's own files, and what some of them need of the machine.
package enum Repository {
    package static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    /// The program under test.
    package static let program =
        ProcessInfo.processInfo.environment["STARDUST_PROGRAM"] ?? root + "/.build/release/stardust"

    /// Conformance data and the workload, where they stand beside the project.
    package static let shared: String? = {
        let path = URL(fileURLWithPath: root + "/../shared").standardized.path
        return FileManager.default.fileExists(atPath: path) ? path : nil
    }()

    package static let isRoot = geteuid() == 0

    package static func has(_ tool: String) -> Bool {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)")
        }
    }

    package static func content(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: root + "/" + path)))
    }

    /// Packets of the pipeline that the project carries, one an element.
    package static func examplePackets() throws -> [[UInt8]] {
        try content("Docs/Examples/pipeline.ndjson").split(separator: 0x0A).map(Array.init)
    }
}

/// A folder of a test's own, removed with it.
package final class TemporaryFolder: Sendable {
    package let path: String

    package init() throws {
        var template = Array((NSTemporaryDirectory() + "/stardust-test-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw CocoaError(.fileWriteUnknown) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    package func file(_ name: String, _ content: [UInt8]) throws -> String {
        let file = path + "/" + name
        try Data(content).write(to: URL(fileURLWithPath: file))
        return file
    }
}

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
