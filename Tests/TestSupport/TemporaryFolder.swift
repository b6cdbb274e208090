import Foundation

/// A folder of a test's own, removed with it.
package final class TemporaryFolder: Sendable {
    package let path: String

    /// Where temporary files go, without a slash at the end.
    package static let parent: String = {
        let folder = NSTemporaryDirectory()
        return folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    }()

    /// In the folder for temporary files, or in another one, such as one on another file system.
    package init(in parent: String = TemporaryFolder.parent) throws {
        var template = Array((parent + "/stardust-test-XXXXXX").utf8CString)
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
