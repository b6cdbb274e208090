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

// The commit that `--version` prints, from the Makefile.
let commit: [CSetting] =
    Context.environment["STARDUST_COMMIT"].map {
        [.define("STARDUST_COMMIT", to: "\"\($0)\"")]
    } ?? []

let nio = "swift-nio"
let log = Target.Dependency.product(name: "Logging", package: "swift-log")

/// What tests of a ledger on disk use.
let ledger = [
    "LedgerFormat", "Platform", "Packets", "LedgerStorage", "Verification", "Publishing",
    "LedgerTestSupport",
]

let package = Package(
    name: "stardust",
    products: [.executable(name: "stardust", targets: ["stardust"])],
    traits: [
        .default(enabledTraits: ["PostgreSQL"]),
        .trait(name: "PostgreSQL", description: "Replicate from PostgreSQL; needs libpq"),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", exact: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(
            url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "CPlatform"),
        .target(name: "CStardustCommit", cSettings: commit),
        .target(
            name: "LedgerFormat", dependencies: ["CLibCrypto", "CPlatform"], swiftSettings: strict),
        .target(
            name: "Platform", dependencies: ["CPlatform", "LedgerFormat", log],
            swiftSettings: strict),
        .target(
            name: "Packets", dependencies: ["LedgerFormat", "CPlatform"], swiftSettings: strict),
        .target(
            name: "LedgerStorage", dependencies: ["CPlatform", "LedgerFormat", "Platform"],
            swiftSettings: strict),
        .target(
            name: "LedgerIndex",
            dependencies: ["LedgerFormat", "Platform", "Packets", "LedgerStorage"],
            swiftSettings: strict),
        .target(
            name: "Verification",
            dependencies: [
                "LedgerFormat", "Platform", "Packets", "LedgerStorage", "LedgerIndex",
                .product(name: "HeapModule", package: "swift-collections"),
            ], swiftSettings: strict),
        .target(
            name: "Publishing",
            dependencies: ["LedgerFormat", "Platform", "LedgerStorage", log],
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
            dependencies: ["CPlatform", "CSQLite", "LedgerFormat", "Platform", "Packets"],
            swiftSettings: strict),
        .target(
            name: "Replication",
            dependencies: [
                "LedgerFormat", "Platform", "ReadModel", log,
                .target(name: "CLibPQ", condition: .when(traits: ["PostgreSQL"])),
            ], swiftSettings: strict),
        .target(name: "CLibCurl", linkerSettings: [.linkedLibrary("curl")]),
        .systemLibrary(
            name: "CLibExpat", pkgConfig: "expat", providers: [.apt(["libexpat1-dev"])]),
        .target(
            name: "ObjectStore",
            dependencies: [
                "CLibCrypto", "CLibCurl", "CLibExpat", "LedgerFormat", "Platform", "Packets",
            ], swiftSettings: strict),
        .target(
            name: "Archive",
            dependencies: [
                "LedgerFormat", "Platform", "Packets", "LedgerStorage", "ObjectStore", log,
            ], swiftSettings: strict),
        .target(
            name: "Cleanup",
            dependencies: [
                "LedgerFormat", "Platform", "Packets", "LedgerStorage", "ObjectStore", "ReadModel",
            ], swiftSettings: strict),
        .target(
            name: "StardustCore",
            dependencies: [
                "LedgerFormat", "Platform", "Packets", "LedgerStorage", "LedgerIndex",
                "Publishing", "ReadModel", "Reconstruction", log,
            ], swiftSettings: strict),
        .target(
            name: "StardustHTTP",
            dependencies: [
                "LedgerFormat", "Platform", "Packets", "LedgerStorage", "LedgerIndex",
                "Publishing", "Reconstruction", "ReadModel", "StardustCore", "Cleanup",
                log,
                .product(name: "NIOCore", package: nio),
                .product(name: "NIOPosix", package: nio),
                .product(name: "NIOHTTP1", package: nio),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], resources: [.embedInCode("openapi.yaml")], swiftSettings: strict),
        .executableTarget(
            name: "stardust",
            dependencies: [
                "CPlatform", "CStardustCommit", "LedgerFormat", "Platform", "Packets",
                "LedgerStorage", "LedgerIndex", "Verification", "Publishing", "ReadModel",
                "Reconstruction", "Replication", "ObjectStore", "Archive", "Cleanup",
                "StardustCore", "StardustHTTP", log,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "NIOCore", package: nio), .product(name: "NIOPosix", package: nio),
                .product(name: "NIOHTTP1", package: nio),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: strict,
            // All symbols are bound at the start, and what was bound is read-only.
            linkerSettings: [.unsafeFlags(["-Xlinker", "-z", "-Xlinker", "now"])]),
        // What measures: built with the tests, never installed.
        .target(
            name: "PipelineWorkload", dependencies: ["LedgerFormat"], swiftSettings: strict),
        .executableTarget(
            name: "stardust-bench",
            dependencies: [
                "CPlatform", "LedgerFormat", "Platform", "Packets", "ReadModel", "PipelineWorkload",
                .target(name: "CLibPQ", condition: .when(traits: ["PostgreSQL"])),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
    ] + testTargets
)

// MARK: Tests

/// Tests of a target of the same name, with what they use beside it.
func testTarget(
    of target: String, named name: String? = nil, _ more: [String] = [],
    products: [Target.Dependency] = [], exclude: [String] = []
) -> Target {
    let names = Set([target, "TestSupport", "PipelineWorkload"] + more).sorted()
    return .testTarget(
        name: name ?? target + "Tests",
        dependencies: names.map { .target(name: $0) } + products, exclude: exclude,
        swiftSettings: testing)
}

var testTargets: [Target] {
    [
        .target(
            name: "TestSupport", dependencies: ["PipelineWorkload"], path: "Tests/TestSupport",
            exclude: ["other_time.c"], swiftSettings: testing),
        .target(
            name: "LedgerTestSupport",
            dependencies: [
                "LedgerFormat", "Platform", "Packets", "LedgerStorage", "Verification",
                "Publishing",
                "Reconstruction", "PipelineWorkload", "TestSupport",
            ], path: "Tests/LedgerTestSupport", swiftSettings: testing),
        .target(
            name: "DaemonTestSupport",
            dependencies: ["LedgerFormat", "PipelineWorkload", "TestSupport"],
            path: "Tests/DaemonTestSupport", swiftSettings: testing),
        testTarget(of: "LedgerFormat"),
        testTarget(of: "Platform"),
        testTarget(of: "Packets", ["LedgerFormat"], exclude: ["schema_cases.py"]),
        testTarget(of: "LedgerStorage", ledger),
        testTarget(of: "LedgerIndex", ledger),
        testTarget(of: "Verification", ledger),
        testTarget(of: "Publishing", ledger),
        testTarget(
            of: "Reconstruction", ["LedgerFormat", "Packets", "LedgerTestSupport"],
            exclude: ["mermaid.py", "graphviz.py", "provenance.py"]),
        testTarget(of: "ReadModel", ["Packets", "DaemonTestSupport"]),
        testTarget(
            of: "ObjectStore", ["LedgerFormat", "DaemonTestSupport"],
            exclude: ["signatures.py", "hostile_store.py", "weak_store.py"]),
        testTarget(of: "Archive", ledger + ["ObjectStore"]),
        testTarget(of: "Cleanup", ["LedgerFormat", "ObjectStore", "Packets", "ReadModel"]),
        testTarget(of: "Replication", ["Platform", "ReadModel"], products: [log]),
        testTarget(
            of: "StardustCore", ledger + ["LedgerIndex", "Reconstruction"], products: [log]),
        testTarget(of: "StardustHTTP", ["LedgerFormat", "Packets", "ReadModel"]),
        testTarget(of: "PipelineWorkload", ["LedgerFormat", "Packets"]),
        testTarget(
            of: "stardust", named: "StardustTests",
            products: [.product(name: "NIOCore", package: nio)]),
        testTarget(of: "stardust-bench", named: "BenchTests"),
        .testTarget(
            name: "FuzzTests",
            dependencies: [
                "stardust", "DaemonTestSupport", "LedgerFormat", "LedgerIndex", "LedgerStorage",
                "LedgerTestSupport", "Packets", "PipelineWorkload", "Platform", "Publishing",
                "TestSupport", "Verification",
            ], swiftSettings: testing),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "stardust", "StardustHTTP", "DaemonTestSupport", "LedgerFormat", "LedgerStorage",
                "Packets", "PipelineWorkload", "Platform", "ReadModel", "StardustCore",
                "TestSupport",
            ],
            exclude: [
                "documented.py", "hostile.py", "lying_archive.py", "naive_cleanup.py",
                "stardust.rules.test.yml",
                "service_manager.py", "machine.py", "boot.py", "sandbox.py", "complete.py",
                "scales_audit.py",
            ],
            swiftSettings: testing),
    ]
}
