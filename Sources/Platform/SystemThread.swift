internal import CPlatform
internal import Glibc

/// Starts a dedicated thread for blocking work. It ends when `body` returns. Tools that list
/// threads show its name, which has at most 15 characters.
package func startThread(_ name: StaticString, _ body: @escaping @Sendable () -> Void) {
    final class Box: Sendable {
        let name: StaticString
        let body: @Sendable () -> Void
        init(_ name: StaticString, _ body: @escaping @Sendable () -> Void) {
            (self.name, self.body) = (name, body)
        }
    }
    var thread = pthread_t()
    // Safety: the box is retained for the new thread, which takes it over. A static string ends
    // with a zero and lives forever.
    let status = unsafe pthread_create(
        &thread, nil,
        { pointer in
            let box = unsafe Unmanaged<Box>.fromOpaque(pointer!).takeRetainedValue()
            unsafe stardust_name_thread(box.name.utf8Start)
            box.body()
            return nil
        }, Unmanaged.passRetained(Box(name, body)).toOpaque())
    guard status == 0 else {
        // Nothing acknowledged depends on it; whoever started the program may allow more threads.
        let text = "stardust: the system starts no more threads: \(errorName(status))\n"
        _ = unsafe Array(text.utf8).withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
        _exit(71)
    }
    pthread_detach(thread)
}
