internal import ArgumentParser
internal import Glibc
internal import LedgerStorage
internal import StardustCore

/// What the process needs of the system, checked before anything could fail for want of it.
enum SystemNeeds {
    /// Descriptors of any command: standard streams, event loops, and a few files.
    private static let descriptorsMin: UInt64 = 32
    /// Address space that the runtime and its threads reserve.
    private static let addressSpaceMin: UInt64 = 2 << 30
    /// Descriptors of the daemon beside sealed segments and connections: the index's runs, the tree,
    /// SQLite, event loops, witnesses and PostgreSQL.
    private static let descriptorsOfDaemon = 128
    private static let connectionsMin = 16

    /// Fails if the process could not even begin its work.
    static func check() throws(Failure) {
        let descriptors = limit(RLIMIT_NOFILE.rawValue).rlim_cur
        guard UInt64(descriptors) >= descriptorsMin else {
            throw Failure(
                .systemFault,
                "a process of this program needs \(descriptorsMin) descriptors, but may have "
                    + "\(descriptors) (`ulimit -n`)")
        }
        let space = limit(RLIMIT_AS.rawValue).rlim_cur
        guard UInt64(space) >= addressSpaceMin else {
            throw Failure(
                .systemFault,
                "a process of this program needs \(addressSpaceMin >> 20) MiB of address space, but "
                    + "may have \(space >> 20) MiB (`ulimit -v`)")
        }
    }

    /// Takes as many descriptors as the system allows, and divides them: sealed segments that stay
    /// open, what the daemon needs, and the rest for connections.
    static func plan(_ settings: inout RunningLedger.Settings) throws(Failure) {
        var limits = limit(RLIMIT_NOFILE.rawValue)
        limits.rlim_cur = limits.rlim_max
        // A lower limit only means fewer connections.
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
        let all = Int(clamping: limit(RLIMIT_NOFILE.rawValue).rlim_cur)
        settings.sealedFiles = max(4, min(StorageLimits.sealedFilesOpen, all / 16))
        let fixed = 2 * settings.sealedFiles + min(descriptorsOfDaemon, all / 2)
        settings.connections = min(LedgerLimits.connections, all - fixed)
        guard settings.connections >= connectionsMin, all >= 2 * connectionsMin + fixed / 2 else {
            throw Failure(
                .systemFault,
                "the daemon may have \(all) descriptors, but needs \(fixed) for its files and some "
                    + "for connections; raise LimitNOFILE or `ulimit -n`")
        }
    }

    private static func limit(_ resource: UInt32) -> rlimit {
        var limits = rlimit()
        // A limit that cannot be read counts as none.
        guard unsafe getrlimit(__rlimit_resource_t(resource), &limits) == 0 else {
            return rlimit(rlim_cur: .max, rlim_max: .max)
        }
        return limits
    }
}
