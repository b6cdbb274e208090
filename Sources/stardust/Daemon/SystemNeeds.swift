internal import ArgumentParser
internal import CPlatform
internal import Glibc
internal import LedgerStorage
internal import NIOCore
internal import StardustCore

/// What the process needs of the system, checked before anything could fail for want of it.
enum SystemNeeds {
    /// Descriptors of any command: standard streams, event loops, and a few files.
    private static let descriptorsMin: UInt64 = 32
    /// Address space that the runtime and its threads reserve.
    private static let addressSpaceMin: UInt64 = 2 << 30
    /// Threads of any command beside one event loop and one of the runtime's for each processor.
    private static let threadsMin = 12
    /// Threads of the daemon beside those: pools, sequencer, index, publisher, witnesses, read model.
    private static let threadsOfDaemon = 32
    /// With a limit above this, nobody meant to keep a command from having threads.
    private static let threadsPlenty: UInt64 = 1024
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
        if UInt64(limit(__RLIMIT_NPROC.rawValue).rlim_cur) < threadsPlenty {
            try checkThreads(threadsMin)
        }
    }

    /// The libraries trap or wait for ever if a thread cannot be started, and what counts towards the
    /// limit can only be tried: all of the user's processes, or all of a control group's.
    private static func checkThreads(_ count: Int) throws(Failure) {
        let needed = count + 2 * System.coreCount
        let started = stardust_try_threads(Int32(needed))
        guard started < needed else { return }
        throw Failure(
            .systemFault,
            "a process of this program needs \(needed) threads, but may start \(started) "
                + "(`ulimit -u`, TasksMax)")
    }

    /// Takes as many descriptors as the system allows, and divides them: sealed segments and blocks of
    /// the archive that stay open, what the daemon needs, and the rest for connections.
    static func plan(_ settings: inout RunningLedger.Settings) throws(Failure) {
        try checkThreads(threadsOfDaemon)
        var limits = limit(RLIMIT_NOFILE.rawValue)
        limits.rlim_cur = limits.rlim_max
        // A lower limit only means fewer connections.
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limits)
        let all = Int(clamping: limit(RLIMIT_NOFILE.rawValue).rlim_cur)
        settings.sealedFiles = max(4, min(StorageLimits.sealedFilesOpen, all / 16))
        let blocks = max(4, min(LedgerLimits.blocksOpen, all / 16))
        settings.archive?.blocksOpen = blocks
        let fixed =
            2 * settings.sealedFiles + (settings.archive == nil ? 0 : blocks)
            + min(descriptorsOfDaemon, all / 2)
        settings.connections = min(LedgerLimits.connections, all - fixed)
        guard settings.connections >= connectionsMin, all >= 2 * connectionsMin + fixed / 2 else {
            throw Failure(
                .systemFault,
                "the daemon may have \(all) descriptors, but needs \(fixed) for its files and some "
                    + "for connections; raise LimitNOFILE or `ulimit -n`")
        }
    }

    /// Descriptors that a process of this user may have.
    static var descriptorsMax: Int { Int(clamping: limit(RLIMIT_NOFILE.rawValue).rlim_max) }

    private static func limit(_ resource: UInt32) -> rlimit {
        var limits = rlimit()
        // A limit that cannot be read counts as none.
        guard unsafe getrlimit(__rlimit_resource_t(resource), &limits) == 0 else {
            return rlimit(rlim_cur: .max, rlim_max: .max)
        }
        return limits
    }
}
