import Foundation
import TestSupport

/// A program of ours that goes on, such as a witness, until it is stopped.
package final class Background: @unchecked Sendable {
    // Unchecked: a test starts and stops its programs from one task at a time.
    private let process = Process()
    private let folder: TemporaryFolder

    package init(
        _ arguments: [String], program: String = Repository.program,
        environment: [String: String] = [:]
    ) throws {
        folder = try TemporaryFolder()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardOutput = FileHandle(
            forWritingAtPath: try folder.file("output", []))
        process.standardError = FileHandle(forWritingAtPath: try folder.file("error", []))
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    deinit { kill() }

    private func text(_ name: String) -> String {
        (try? String(contentsOfFile: folder.path + "/" + name, encoding: .utf8)) ?? ""
    }

    package var isRunning: Bool { process.isRunning }
    package var pid: Int32 { process.processIdentifier }
    package var output: String { text("output") }
    package var error: String { text("error") }

    /// Waits until it has said something on standard error.
    package func waitFor(_ words: String) throws {
        let deadline = Date() + 120
        while Date() < deadline {
            if error.contains(words) { return }
            guard process.isRunning else { break }
            usleep(5000)
        }
        throw Failure("not said: \(words); but: \(error)")
    }

    /// SIGTERM, and the exit status.
    @discardableResult
    package func stop() -> Int32 {
        if process.isRunning { Foundation.kill(process.processIdentifier, SIGTERM) }
        awaitEnd()
        return process.isRunning ? -1 : process.terminationStatus
    }

    /// The exit status, once it has ended by itself.
    package func waitForEnd() -> Int32 {
        awaitEnd()
        return process.isRunning ? -1 : process.terminationStatus
    }

    /// Not `waitUntilExit`, which waits for whatever other children have inherited, too.
    private func awaitEnd() {
        let deadline = Date() + 120
        while process.isRunning, Date() < deadline { usleep(2000) }
    }

    /// SIGKILL.
    package func kill() {
        if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
        awaitEnd()
    }
}
