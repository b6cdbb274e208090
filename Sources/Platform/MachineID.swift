internal import Glibc

/// Tells this machine from others.
package enum MachineID {
    /// What systemd writes once, when a machine is set up; nil if there is nothing of the kind. It is
    /// not to be shown to others as it is: hash it.
    package static var text: String? {
        guard let volume = try? PosixVolume(root: "/etc"),
            let content = try? volume.content(of: "machine-id", atMost: 256)
        else { return nil }
        let text = String(decoding: content, as: UTF8.self)
            .split(whereSeparator: \.isWhitespace).first.map(String.init)
        return text == "uninitialized" ? nil : text
    }
}
