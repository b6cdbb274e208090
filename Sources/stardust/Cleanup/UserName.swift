internal import Glibc

/// What a user is called on this machine.
enum UserName {
    static func of(_ uid: UInt32) -> String {
        // Safety: the entry is read at once, before another lookup can reuse its memory.
        guard let entry = unsafe getpwuid(uid) else { return "user \(uid)" }
        return unsafe "user \(String(cString: entry.pointee.pw_name)) (\(uid))"
    }
}
