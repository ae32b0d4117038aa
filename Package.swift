// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "homeward",
    platforms: [.macOS(.v26)],
    products: [
        .executable(name: "homeward", targets: ["homeward"]),
        .executable(name: "homeward-benchmarks", targets: ["Benchmarks"]),
    ],
    dependencies: [
        // The subcommands, their help and their usage errors; Apple's own, the standard of the field.
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        // Logging API that every server library of this toolchain already speaks.
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        // Start and stop in order, with signals; the server workgroup's own.
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        // HTTP server over SwiftNIO: health, metrics and the care managers' page.
        .package(
            url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: ["FullFoundation"]),
        // HTTP request and response types that Hummingbird's API shows.
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        // Byte buffers and event loops under Hummingbird.
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        // TLS for the HTTP listener.
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        // DER and PEM: when certificates end. Apple's own; Hummingbird brings it along anyway.
        .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
        // YAML with line numbers: configuration, protocol packs and registry are edited by people.
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        // Deque, the benchmarks' reference for the ring.
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
    ],
    targets: [
        .target(name: "CLinux"),
        .target(name: "CAllocationCounter"),
        .systemLibrary(name: "CMosquitto", pkgConfig: "libmosquitto", providers: [.apt(["libmosquitto-dev"])]),
        .systemLibrary(name: "CPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
        .target(name: "CCurl", linkerSettings: [.linkedLibrary("curl")]),

        .target(name: "RingBuffer", dependencies: ["CLinux"], swiftSettings: settings),
        .target(name: "Instruments", swiftSettings: settings),
        .target(name: "Cryptography", dependencies: ["CSodium"], swiftSettings: settings),
        .target(name: "Clinical", swiftSettings: settings),
        .target(name: "Formats", dependencies: ["Clinical"], swiftSettings: settings),
        .target(name: "Registry", dependencies: ["Clinical"], swiftSettings: settings),
        .target(name: "Alerting", dependencies: ["Clinical", "Registry", "Cryptography"], swiftSettings: settings),
        .target(
            name: "Documents",
            dependencies: [
                "Clinical", "Registry", "Cryptography", "Formats",
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [.embedInCode("protocols"), .embedInCode("templates")],
            swiftSettings: settings),
        .target(
            name: "Ingestion",
            dependencies: [
                "RingBuffer", "Formats", "Alerting", "Clinical", "Registry", "Instruments", "CLinux", "Cryptography",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .target(
            name: "MQTTClient",
            dependencies: [
                "CMosquitto", "CLinux", "Clinical", "Ingestion", "Cryptography",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .target(
            name: "PostgresStore",
            dependencies: [
                "CPQ", "CLinux", "Ingestion", "Alerting", "Clinical", "Registry", "Documents", "Formats",
                "Instruments", "Cryptography",
                .product(name: "Logging", package: "swift-log"),
            ],
            resources: [.embedInCode("migrations")],
            swiftSettings: settings),
        .target(
            name: "Outage",
            dependencies: [
                "Ingestion", "Alerting", "Clinical", "Registry", "Documents", "Formats", "Cryptography", "CLinux",
            ],
            swiftSettings: settings),
        .target(
            name: "Spool",
            dependencies: ["CLinux", "CSodium", "Ingestion", "Clinical", "Cryptography"],
            swiftSettings: settings),
        .target(
            name: "Delivery",
            dependencies: [
                "CCurl", "Alerting", "Clinical", "Cryptography", "Instruments", "Formats", "Registry",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .target(
            name: "WebApp",
            dependencies: [
                "Alerting", "Clinical", "Cryptography", "Formats", "Instruments", "Registry",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
            ],
            resources: [.embedInCode("assets")],
            swiftSettings: settings),
        .target(
            name: "Simulation",
            dependencies: ["MQTTClient", "Clinical", "Formats", "Registry"],
            swiftSettings: settings),
        .target(
            name: "HomewardDaemon",
            dependencies: [
                "Alerting", "Clinical", "CLinux", "Cryptography", "Delivery", "Documents", "Formats", "Ingestion",
                "Instruments", "MQTTClient", "Outage", "PostgresStore", "Registry", "RingBuffer", "Simulation", "Spool",
                "WebApp",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SwiftASN1", package: "swift-asn1"),
                .product(name: "Yams", package: "Yams"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "homeward",
            dependencies: [
                "HomewardDaemon", "Simulation", "Clinical", "Documents", "Formats",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: settings),
        .executableTarget(
            name: "Benchmarks",
            dependencies: [
                "RingBuffer", "Formats", "Clinical", "CLinux", "CAllocationCounter",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            swiftSettings: settings),

        .target(
            name: "TestSupport",
            dependencies: ["CLinux", "Ingestion", "Alerting", "Clinical", "Registry", "Formats"],
            path: "Tests/TestSupport",
            swiftSettings: settings),
        .testTarget(name: "RingBufferTests", dependencies: ["RingBuffer", "CLinux"], swiftSettings: settings),
        .testTarget(name: "InstrumentsTests", dependencies: ["Instruments"], swiftSettings: settings),
        .testTarget(name: "CryptographyTests", dependencies: ["Cryptography"], swiftSettings: settings),
        .testTarget(name: "ClinicalTests", dependencies: ["Clinical"], swiftSettings: settings),
        .testTarget(name: "FormatsTests", dependencies: ["Formats", "Clinical"], swiftSettings: settings),
        .testTarget(
            name: "DocumentsTests", dependencies: ["Documents", "Clinical", "Formats", "Registry"],
            swiftSettings: settings),
        .testTarget(
            name: "AlertingTests", dependencies: ["Alerting", "Clinical", "Registry", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "IngestionTests",
            dependencies: [
                "Ingestion", "TestSupport", "Alerting", "Clinical", "Formats", "Registry", "Instruments", "RingBuffer",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "MQTTClientTests",
            dependencies: [
                "MQTTClient", "Ingestion", "TestSupport", "RingBuffer", "Clinical", "CLinux", "Cryptography",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "PostgresStoreTests",
            dependencies: [
                "PostgresStore", "Cryptography", "Outage", "Ingestion", "TestSupport", "Alerting", "Clinical",
                "Registry",
                "Documents",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "OutageTests",
            dependencies: [
                "Outage", "Ingestion", "TestSupport", "Alerting", "Clinical", "Registry", "Documents", "Formats",
            ],
            swiftSettings: settings),
        .testTarget(
            name: "SpoolTests", dependencies: ["Spool", "Ingestion", "Clinical", "CLinux"], swiftSettings: settings),
        .testTarget(
            name: "DeliveryTests",
            dependencies: [
                "Delivery", "TestSupport", "Alerting", "Clinical", "Registry", "Instruments", "Formats", "Documents",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "WebAppTests",
            dependencies: [
                "WebApp", "Instruments", "Alerting", "Clinical", "Formats", "Registry",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTesting", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "SimulationTests", dependencies: ["Simulation", "Clinical", "Formats"], swiftSettings: settings),
        .testTarget(
            name: "HomewardDaemonTests",
            dependencies: [
                "HomewardDaemon", "Documents", "Registry", "Clinical", "TestSupport", "Alerting", "Formats",
                "Ingestion", "Instruments", "PostgresStore", .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "IntegrationTests", dependencies: ["TestSupport", "MQTTClient", "homeward"], swiftSettings: settings),
        .testTarget(name: "ArchitectureTests", swiftSettings: settings),
    ]
)

// Only these rooms (comma-separated), what they stand on and their tests: HOMEWARD_ROOMS=RingBuffer builds in seconds, as
// its stress under ThreadSanitizer needs.
if let rooms = Context.environment["HOMEWARD_ROOMS"] {
    let named = rooms.split(separator: ",").map(String.init)
    var waiting = named + named.map { $0 + "Tests" }
    var kept: Set<String> = []
    var packages: Set<String> = []
    while let name = waiting.popLast() {
        guard let target = package.targets.first(where: { $0.name == name }), kept.insert(name).inserted
        else { continue }
        for dependency in target.dependencies {
            switch dependency {
            case .productItem(_, let package, _, _): packages.insert(package ?? "")
            case .targetItem(let name, _), .byNameItem(let name, _): waiting.append(name)
            @unknown default: break
            }
        }
    }
    package.targets.removeAll { !kept.contains($0.name) }
    package.products = []
    package.dependencies.removeAll { dependency in
        guard case .sourceControl(_, let location, _) = dependency.kind else { return false }
        return !packages.contains { location.hasSuffix("/" + $0) }
    }
}
