// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6), .treatAllWarnings(as: .error), .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

// Tests read better without a mark at each call of the system.
let testing: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

let nio = "swift-nio"
let log = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
    name: "stardust",
    products: [.executable(name: "stardust", targets: ["stardust"])],
    traits: [
        .default(enabledTraits: ["PostgreSQL"]),
        .trait(name: "PostgreSQL", description: "Replicate from PostgreSQL; needs libpq"),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(
            url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "CPlatform"),
        .target(
            name: "LedgerFormat", dependencies: ["CLibCrypto", "CPlatform"], swiftSettings: strict),
        .target(
            name: "Packets", dependencies: ["LedgerFormat", "CPlatform"], swiftSettings: strict),
        .target(
            name: "LedgerStorage", dependencies: ["LedgerFormat", "CPlatform"],
            swiftSettings: strict),
        .target(
            name: "LedgerIndex", dependencies: ["LedgerFormat", "Packets", "LedgerStorage"],
            swiftSettings: strict),
        .target(
            name: "Reconstruction",
            dependencies: [
                "LedgerFormat", "Packets",
                .product(name: "HeapModule", package: "swift-collections"),
            ], swiftSettings: strict),
        .systemLibrary(
            name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .target(
            name: "ReadModel",
            dependencies: ["CPlatform", "CSQLite", "LedgerFormat", "Packets", "LedgerStorage"],
            swiftSettings: strict),
        .target(
            name: "Replication",
            dependencies: [
                "LedgerFormat", "LedgerStorage", "ReadModel", log,
                .target(name: "CLibPQ", condition: .when(traits: ["PostgreSQL"])),
            ], swiftSettings: strict),
        .target(
            name: "StardustCore",
            dependencies: [
                "CPlatform", "CSQLite", "LedgerFormat", "Packets", "LedgerStorage", "LedgerIndex",
                "ReadModel", "Reconstruction", log,
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .target(
            name: "StardustHTTP",
            dependencies: [
                "LedgerFormat", "Packets", "LedgerStorage", "LedgerIndex", "Reconstruction",
                "ReadModel", "StardustCore", log, .product(name: "NIOCore", package: nio),
                .product(name: "NIOPosix", package: nio),
                .product(name: "NIOHTTP1", package: nio),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], resources: [.embedInCode("openapi.yaml")], swiftSettings: strict),
        .executableTarget(
            name: "stardust",
            dependencies: [
                "CPlatform", "LedgerFormat", "Packets", "LedgerStorage", "LedgerIndex",
                "ReadModel", "Reconstruction", "Replication", "StardustCore", "StardustHTTP", log,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: nio), .product(name: "NIOPosix", package: nio),
                .product(name: "NIOHTTP1", package: nio),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: strict),
        .target(
            name: "TestSupport",
            dependencies: ["LedgerFormat", "Packets", "LedgerStorage", "StardustCore"],
            path: "Tests/TestSupport", swiftSettings: testing),
        .testTarget(
            name: "LedgerFormatTests", dependencies: ["LedgerFormat", "TestSupport"],
            swiftSettings: testing),
        .testTarget(
            name: "PacketsTests", dependencies: ["LedgerFormat", "Packets", "TestSupport"],
            exclude: ["schema_cases.py"], swiftSettings: testing),
        .testTarget(
            name: "LedgerStorageTests",
            dependencies: ["LedgerFormat", "LedgerStorage", "StardustCore", "TestSupport"],
            swiftSettings: testing),
        .testTarget(
            name: "LedgerIndexTests",
            dependencies: [
                "LedgerFormat", "Packets", "LedgerStorage", "LedgerIndex", "StardustCore",
                "TestSupport",
            ], swiftSettings: testing),
        .testTarget(
            name: "ReconstructionTests",
            dependencies: [
                "LedgerFormat", "Packets", "Reconstruction", "StardustCore", "TestSupport",
            ],
            swiftSettings: testing),
        .testTarget(
            name: "PublishingTests",
            dependencies: ["LedgerFormat", "LedgerStorage", "StardustCore", "TestSupport"],
            swiftSettings: testing),
        .testTarget(
            name: "ReadModelTests", dependencies: ["Packets", "ReadModel", "TestSupport"],
            swiftSettings: testing),
        .testTarget(
            name: "ReplicationTests",
            dependencies: ["LedgerStorage", "ReadModel", "Replication", "TestSupport", log],
            swiftSettings: testing),
        .testTarget(
            name: "StardustTests",
            dependencies: [
                "stardust", "LedgerFormat", "Packets", "LedgerStorage", "StardustCore",
                "StardustHTTP", "TestSupport",
            ], exclude: ["scales_audit.py"], swiftSettings: testing),
    ]
)
