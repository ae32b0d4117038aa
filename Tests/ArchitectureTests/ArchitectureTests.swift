import Foundation
import Testing

/// The house's plan as a test: who may import whom, where unsafe code may stand, what shows at the top.
@Suite struct ArchitectureTests {
    /// Arrows point downward only. A room that is not named here may be imported by nobody but the executable.
    static let mayImport: [String: Set<String>] = [
        "RingBuffer": ["CLinux"],
        "Instruments": [],
        "Cryptography": ["CSodium"],
        "Clinical": [],
        "Formats": ["Clinical"],
        "Registry": ["Clinical"],
        "Alerting": ["Clinical", "Registry", "Cryptography"],
        "Documents": ["Clinical", "Registry", "Cryptography", "Formats"],
        "Ingestion": [
            "RingBuffer", "Formats", "Alerting", "Clinical", "Registry", "Instruments", "CLinux", "Cryptography",
        ],
        "MQTTClient": ["CMosquitto", "CLinux", "Ingestion", "Cryptography", "Clinical", "RingBuffer", "Instruments"],
        "PostgresStore": [
            "CPQ", "CLinux", "Ingestion", "Alerting", "Clinical", "Registry", "Documents", "Formats", "Instruments",
            "Cryptography",
        ],
        "Outage": [
            "CLinux", "Ingestion", "Alerting", "Clinical", "Registry", "Documents", "Formats", "Cryptography",
        ],
        "Spool": ["CLinux", "CSodium", "Ingestion", "Clinical", "Cryptography"],
        "Delivery": ["CCurl", "CLinux", "Alerting", "Clinical", "Cryptography", "Formats", "Instruments", "Registry"],
        "WebApp": ["Alerting", "Clinical", "Cryptography", "Formats", "Instruments", "Registry"],
        "Simulation": ["MQTTClient", "CLinux", "Clinical", "Formats", "Registry", "Documents"],
        "HomewardDaemon": [
            "Alerting", "Clinical", "CLinux", "Cryptography", "Delivery", "Documents", "Formats", "Ingestion",
            "Instruments", "MQTTClient", "Outage", "PostgresStore", "Registry", "RingBuffer", "Simulation", "Spool",
            "WebApp",
        ],
        "homeward": ["HomewardDaemon", "Simulation", "Clinical", "Documents", "Formats"],
        "Benchmarks": ["RingBuffer", "Formats", "Clinical", "CLinux", "CAllocationCounter"],
    ]

    /// Rooms that touch memory by hand: the ring, and the edges to C libraries and system calls.
    static let mayBeUnsafe: Set<String> = [
        "RingBuffer", "Clinical", "Cryptography", "Formats", "Ingestion", "MQTTClient", "PostgresStore", "Spool",
        "Delivery", "Outage", "HomewardDaemon", "Simulation", "Benchmarks",
    ]

    static let rooms = Set(mayImport.keys).union([
        "CLinux", "CAllocationCounter", "CMosquitto", "CPQ", "CSodium", "CCurl",
    ])

    @Test func `rooms import only what lies below them`() throws {
        for file in try SourceTree.swiftFiles(under: "Sources") {
            let allowed = try #require(Self.mayImport[file.target], "\(file.path): a room without a place in the plan")
            for line in file.lines {
                guard let name = Self.importedModule(line), Self.rooms.contains(name) else { continue }
                #expect(allowed.contains(name), "\(file.path) imports \(name)")
            }
        }
    }

    @Test func `unsafe code stands only where memory is touched by hand`() throws {
        for file in try SourceTree.swiftFiles(under: "Sources") where !Self.mayBeUnsafe.contains(file.target) {
            for line in file.lines {
                #expect(!line.contains("unsafe "), "\(file.path): \(line)")
            }
        }
    }

    @Test func `nothing on the way of input can trap on purpose`() throws {
        let files = try SourceTree.swiftFiles(under: "Sources")
        for file in files where file.target != "Benchmarks" {
            for line in file.lines where !line.trimmingCharacters(in: .whitespaces).hasPrefix("//") {
                #expect(!line.contains("try!"), "\(file.path): \(line)")
                #expect(!line.contains(" as! "), "\(file.path): \(line)")
                // The failpoint of debug builds dies on purpose.
                if file.path != "Sources/Ingestion/Failpoint.swift" {
                    #expect(!line.contains("fatalError("), "\(file.path): \(line)")
                }
            }
        }
    }

    @Test func `the top level shows only what the owner fixed`() throws {
        let shown = try FileManager.default.contentsOfDirectory(atPath: SourceTree.root.path)
            .filter { !$0.hasPrefix(".") && $0 != "Package.resolved" }
        #expect(
            Set(shown).isSubset(of: [
                "Package.swift", "Sources", "Tests", "deploy", "config", "README.md", "LICENSE",
            ]), "\(shown)")
    }

    private static func importedModule(_ line: Substring) -> String? {
        let words = line.split(separator: " ")
        guard let place = words.firstIndex(of: "import"), place <= 2, place + 1 < words.count,
            words[..<place].allSatisfy({ ["public", "package", "internal", "private", "@testable"].contains($0) })
        else { return nil }
        return String(words[place + 1])
    }
}
