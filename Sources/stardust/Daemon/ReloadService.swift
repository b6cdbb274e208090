internal import Glibc
internal import LedgerFormat
internal import LedgerStorage
internal import Logging
internal import Platform
internal import ServiceLifecycle
internal import StardustCore
internal import Synchronization
internal import UnixSignals

/// Reads the settings again at SIGHUP: all files are read and checked whole, and then everything reloadable is in
/// force at once, or nothing is.
struct ReloadService: Service {
    let ledger: RunningLedger
    /// Its folder.
    let folder: String
    /// The configuration file; nil if there is none.
    let path: String?
    /// Settings of the command line, which stay.
    let options: [Setting: String]
    /// The settings that the daemon was started with.
    let started: Configuration
    let manager: ServiceManager
    /// SIGHUP, caught from before anybody could be told that the daemon is ready.
    let signals: UnixSignalsSequence
    let logger: Logger

    func run() async throws {
        for await _ in signals.cancelOnGracefulShutdown() {
            await withCheckedContinuation { continuation in
                startThread("reload") {
                    ledger.awaitOpening()
                    manager.tell(ServiceNotices.reloading(now: SystemClock.monotonicMicroseconds))
                    reload()
                    ledger.metrics.configReloads.add()
                    manager.tell(ServiceNotices.reloaded)
                    continuation.resume()
                }
            }
        }
    }

    private func reload() {
        let report: SettingsReport
        do throws(Failure) { report = try read() } catch {
            var kept = ledger.inForce.report
            kept.failure = error.message
            ledger.noteReload(kept, accessLog: reopened())
            logger.log(.settingsRefused, "the settings stay as they were: \(error.message)")
            return ledger.metrics.configReloadOK.set(0)
        }
        ledger.metrics.configReloadOK.set(1)
        guard report.waiting.isEmpty else {
            return logger.log(
                .restartNeeded, "settings were read again; some wait for a restart",
                metadata: ["settings": "\(report.waiting.joined(separator: ", "))"])
        }
        logger.log(.settingsReloaded, "settings were read again")
    }

    /// The access log as it was, opened anew: whoever rotates it need not have right settings.
    private func reopened() -> AccessLog? {
        let current = ledger.inForce.values.accessLog
        return current.flatMap { try? AccessLog(target: $0.target) } ?? current
    }

    private func read() throws(Failure) -> SettingsReport {
        var configuration = try Configuration(path: path)
        try configuration.openAccessLog(beside: folder)
        try configuration.checkPolicy(ledger.identity.origin)
        var report = configuration.report(
            reloading: ledger.inForce.report, of: started, options: options)
        report.reloadedAt = .systemNow()
        do throws(FileFailure) {
            try ledger.reload(configuration.settings(over: ledger.inForce.values), report)
        } catch { throw Failure(OpenFailure.file(error)) }
        JSONLogHandler.level = configuration.logLevel
        return report
    }
}

extension Configuration {
    /// What was in force, with everything reloadable as these files have it.
    fileprivate func settings(over running: RunningLedger.Settings) -> RunningLedger.Settings {
        var result = running
        result.segmentBytes = settings.segmentBytes
        result.packetBytes = settings.packetBytes
        result.bytesInFlight = settings.bytesInFlight
        result.queryTime = settings.queryTime
        result.witnessPolicy = settings.witnessPolicy
        result.forbidden = settings.forbidden
        result.access = settings.access
        result.accessLog = settings.accessLog
        result.recordsFolder = settings.recordsFolder
        if let archive, result.archive != nil {
            result.archive?.retention = archive.retention
            result.archive?.cacheFolder = archive.cacheFolder
            result.archive?.cacheBytes = archive.cacheBytes
        }
        return result
    }
}
