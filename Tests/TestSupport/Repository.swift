import Foundation
package import Testing

/// Where the tests find the project's own files, and what some of them need of the machine.
package enum Repository {
    package static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    /// The program under test: the one that the same build put beside the test bundle.
    package static let program: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        guard let bundle else { preconditionFailure("/proc does not name the test bundle") }
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().path + "/stardust"
    }()

    package static let isRoot = geteuid() == 0

    package static func has(_ tool: String) -> Bool {
        if tool.hasPrefix("/") { return FileManager.default.isExecutableFile(atPath: tool) }
        return (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(tool)")
        }
    }

    /// Ends a test that lacks a package: skipped, with the reason, but in CI a failure.
    package static func skip(lacking package: String) throws -> Never {
        if ProcessInfo.processInfo.environment["CI"] != nil {
            throw Failure("\(package) is not installed")
        }
        try Test.cancel("\(package) is not installed")
    }

    package static func content(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: root + "/" + path)))
    }

    package static func text(_ path: String) throws -> String {
        String(decoding: try content(path), as: UTF8.self)
    }

    /// Packets of the pipeline that the project carries, one an element.
    package static func examplePackets() throws -> [[UInt8]] {
        try content("Docs/Examples/pipeline.ndjson").split(separator: 0x0A).map(Array.init)
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips a test where something that it needs is missing, and says what; in CI, where nothing may
    /// be missing, it runs and fails.
    package static func needs(
        _ isThere: @autoclosure @escaping @Sendable () throws -> Bool, _ otherwise: Comment
    ) -> Self {
        .enabled(otherwise) {
            let isCI = ProcessInfo.processInfo.environment["CI"] != nil
            return try isThere() || isCI
        }
    }
}

/// Programs of others that tests check proofs with.
package enum AuditTools {
    /// Python with the packages of `Scripts/install-packages test`.
    package static let python = Repository.root + "/.build/python/bin/python3"
}

/// Why a test could not be set up or carried out.
package struct Failure: Error, CustomStringConvertible {
    package var description: String
    package init(_ description: String) { self.description = description }
}
