/// Files below /proc, which say that they have no bytes.
package enum ProcessFile {
    /// Nil if it cannot be read.
    package static func text(_ path: String) -> String? {
        let parts = path.split(separator: "/")
        let folder = "/" + parts.dropLast().joined(separator: "/")
        guard let name = parts.last, let volume = try? PosixVolume(root: folder),
            let file = try? volume.open(String(name), .read)
        else { return nil }
        var text: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            guard let count = try? file.read(into: &chunk, 0..<chunk.count, at: text.count) else {
                return nil
            }
            if count == 0 { return String(decoding: text, as: UTF8.self) }
            text += chunk.prefix(count)
        }
    }
}
