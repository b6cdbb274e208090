internal import Logging
internal import ServiceLifecycle
internal import UnixSignals

/// Services of one process that end together: by SIGTERM, SIGINT, or the end of one of them.
enum SignalledServices {
    static func run(_ services: [any Service], _ logger: Logger) async throws {
        var quiet = logger
        quiet.logLevel = .error
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.map { service in
                    ServiceGroupConfiguration.ServiceConfiguration(
                        service: service,
                        successTerminationBehavior: .gracefullyShutdownGroup,
                        failureTerminationBehavior: .gracefullyShutdownGroup)
                },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: quiet))
        EndInTime.watch()
        try await group.run()
    }
}
