import Foundation

/// A program of ours that goes on, such as a witness, until it is stopped.
package final class Background: @unchecked Sendable {
    // Unchecked: a test starts and stops its programs from one task at a time.
    private let process = Process()
    private let folder: TemporaryFolder

    package init(_ arguments: [String]) throws {
        folder = try TemporaryFolder()
        process.executableURL = URL(fileURLWithPath: Repository.program)
        process.arguments = arguments
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

    package var output: String { text("output") }
    package var error: String { text("error") }

    /// Waits until it has said something on standard error.
    package func waitFor(_ words: String) throws {
        let deadline = Date() + 20
        while Date() < deadline {
            if error.contains(words) { return }
            guard process.isRunning else { break }
            usleep(5000)
        }
        throw Daemon.Failure("not said: \(words); but: \(error)")
    }

    /// SIGTERM, and the exit status.
    @discardableResult
    package func stop() -> Int32 {
        if process.isRunning { Foundation.kill(process.processIdentifier, SIGTERM) }
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// SIGKILL.
    package func kill() {
        if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
    }
}
