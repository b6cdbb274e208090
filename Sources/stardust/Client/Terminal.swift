internal import Glibc

extension String {
    /// The text with spaces after it, up to `width` characters.
    func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}

/// Standard output: whether it is a terminal, its colours and its pager.
struct Terminal {
    /// Whether a person is likely to read the output.
    let isTerminal = Output.isTerminal
    /// Whether colours are wanted (https://no-color.org).
    let hasColor: Bool
    private var pager: pid_t?

    init() {
        hasColor = isTerminal && String.environment("NO_COLOR") == nil
    }

    // MARK: Colours

    func bold(_ text: String) -> String { painted(text, "1") }
    func dim(_ text: String) -> String { painted(text, "2") }
    func green(_ text: String) -> String { painted(text, "32") }
    func cyan(_ text: String) -> String { painted(text, "36") }
    func red(_ text: String) -> String { painted(text, "31") }

    private func painted(_ text: String, _ code: String) -> String {
        hasColor ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
    }

    // MARK: Paging

    /// On a terminal, sends the output through a pager if one is installed: $PAGER, else less.
    mutating func beginPaging() {
        // A $PAGER that is set but empty turns the pager off.
        let isRefused = unsafe getenv("PAGER") != nil && String.environment("PAGER") == nil
        let command = isRefused ? "" : String.environment("PAGER") ?? "less"
        let program = String(command.split(separator: " ").first ?? "")
        guard isTerminal, !program.isEmpty, Self.isInstalled(program) else { return }
        var ends: [Int32] = [0, 0]
        guard unsafe pipe(&ends) == 0 else { return }
        // For less: short output stays on the screen, and colours pass through.
        unsafe setenv("LESS", "FRX", 0)
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
        unsafe posix_spawn_file_actions_addclose(&actions, ends[1])
        // Safety: the copies live until the process has started, and are freed here.
        let words = ["sh", "-c", "exec " + command]
        var arguments = unsafe words.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var pid = pid_t()
        if unsafe posix_spawnp(&pid, "sh", &actions, nil, &arguments, environ) == 0 {
            pager = pid
            dup2(ends[1], 1)
        }
        close(ends[0])
        close(ends[1])
    }

    /// Waits until the person leaves the pager.
    mutating func endPaging() {
        guard let pid = pager else { return }
        pager = nil
        close(1)
        var status: Int32 = 0
        while unsafe waitpid(pid, &status, 0) < 0, errno == EINTR {}
    }

    private static func isInstalled(_ program: String) -> Bool {
        if program.contains("/") { return unsafe access(program, X_OK) == 0 }
        return (String.environment("PATH") ?? "").split(separator: ":").contains {
            unsafe access("\($0)/\(program)", X_OK) == 0
        }
    }
}
