import Foundation

/// Runs programs on another day: their wall clock is another, the time of files and of waiting is not.
package enum OtherTime {
    /// The library that does it, which the compiler of C makes; nil without one.
    private static let library: String? = {
        let path =
            FileManager.default.temporaryDirectory.path
            + "/stardust-other-time-\(ProcessInfo.processInfo.processIdentifier).so"
        let compiler = ["clang", "cc"].first(where: Repository.has) ?? "cc"
        let made = try? run([
            compiler, "-shared", "-fPIC", "-O1", "-o", path,
            Repository.root + "/Tests/TestSupport/other_time.c",
        ])
        guard made?.status == 0 else { return nil }
        chmod(path, 0o755)
        return path
    }()

    package static var isThere: Bool {
        guard let library else { return false }
        // It is used until the process ends.
        _ = once
        return FileManager.default.fileExists(atPath: library)
    }

    private static let once: Void = {
        atexit { if let library = OtherTime.library { unlink(library) } }
    }()

    /// What goes before a command that is to run so many seconds later, or earlier.
    package static func command(_ seconds: Int) -> [String] {
        ["env", "LD_PRELOAD=\(library ?? "")", "OTHER_TIME=\(seconds)"]
    }
}
