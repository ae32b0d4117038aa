import Foundation
import TestSupport
import Testing

extension FaultSuite {
    /// What happens to the spool while it holds reports.
    @Suite struct SpoolFailureTests {
        @Test func `damage in the spool costs what is damaged alone, and somebody is told at once`() throws {
            let faulty = try FaultStack(registry: FaultWard.registryWithAdministrator)
            defer { try? faulty.heal() }
            try faulty.startPreparedDaemon()
            let readers = Self.readers(of: faulty, usual: 30, padding: 4000)
            defer { readers.stop() }
            let bringBack = try faulty.inflict(.databaseKilled)
            try faulty.expectSpooled(0..<31, of: readers)
            faulty.stack.killDaemon()

            let hurt = readers.reports[16].id
            let segment = try Self.damage(hurt, in: faulty.stack.spool)
            try faulty.startDaemon()
            #expect(
                eventually { faulty.told(of: "spool-corrupt") != nil },
                "nobody was told while PostgreSQL was away; \(faulty.stack.log.suffix(2000))")
            let corrupt = try Data(contentsOf: URL(filePath: segment.path + ".corrupt"))
            #expect(corrupt.range(of: Data(hurt.utf8)) != nil)

            try bringBack()
            let ledger = Ledger(faulty: faulty, readers: readers)
            #expect(
                eventually(within: .seconds(60), every: .milliseconds(100)) {
                    ledger.missing.count == 1 && faulty.stack.metric("homeward_spool_bytes") == 0
                }, "\(ledger.missing)")
            #expect(ledger.missing.first?.hasPrefix("\(hurt) ") == true)
            #expect(readers.progress[16].receipts.isEmpty)
            #expect(
                try eventually {
                    try faulty.stack.query(
                        """
                        SELECT class, severity, state, patient, device FROM homeward.v_alert
                        WHERE rule = 'spool-corrupt'
                        """) == [["technical", "red", "open", "", ""]]
                }, "\(faulty.stack.log.suffix(2000))")
            let message = try #require(faulty.told(of: "spool-corrupt"))
            #expect(TestReader.member("severity", of: message) == "red")
            let summary = try #require(TestReader.member("summary", of: message))
            #expect(summary.contains(segment.path + ".corrupt"))
            // Its reader has had no receipt, has kept it and sends it again.
            readers.lose(patience: .seconds(1))
            #expect(eventually(within: .seconds(60)) { readers.progress[16].isStored })
            try faulty.expectSettled(readers)
            #expect(FileManager.default.fileExists(atPath: segment.path + ".corrupt"))
        }

        @Test func `a spool at its quota stops reading, still takes a red, and drops nothing`() throws {
            let faulty = try FaultStack(registry: FaultWard.registryWithAdministrator)
            defer { try? faulty.heal() }
            let quota = 16 << 20
            try faulty.stack.configure(
                "directory: \(faulty.stack.spool.path) ", as: "directory: \(faulty.stack.spool.path), quota: 16MiB ")
            try faulty.startPreparedDaemon()
            // 265 of these stay below 95 % of the quota, a 266th passes that.
            let readers = Self.readers(of: faulty, usual: 300, padding: 59_800)
            defer { readers.stop() }
            let bringBack = try faulty.inflict(.databaseKilled)
            for part in stride(from: 1, to: 266, by: 53) { try faulty.expectSpooled(part..<part + 53, of: readers) }
            let filled = faulty.stack.metric("homeward_spool_bytes") ?? 0
            #expect(filled < Double(quota) * 0.95)
            #expect(faulty.told(of: "spool-full") == nil)

            try faulty.expectSpooled(0..<1, of: readers)
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P4") != nil })
            let full = faulty.stack.metric("homeward_spool_bytes") ?? 0
            #expect(full > Double(quota) * 0.95)
            #expect(full < Double(quota))
            #expect(eventually { faulty.told(of: "spool-full") != nil })
            #expect(faulty.stack.get("/readyz")?.body.contains("spool full") == true)

            readers.send(266)
            #expect(eventually { faulty.stack.metric("homeward_reports_received_total") == 267 })
            for place in 267..<301 { readers.send(place) }
            #expect(eventually { readers.progress.allSatisfy(\.isAcknowledged) })
            // The one that waits is held until the connection is given up: nothing was read beside it.
            #expect(
                eventually(within: .seconds(60)) {
                    faulty.stack.log.contains("the broker's connection is closed until they are")
                })
            #expect(eventually { faulty.stack.metric("homeward_broker_connected") == 0 })
            #expect(faulty.stack.metric("homeward_reports_received_total") == 267)
            #expect(faulty.stack.metric("homeward_spool_bytes") == full)
            #expect(readers.progress.allSatisfy { $0.receipts.isEmpty })

            try bringBack()
            try faulty.expectSettled(readers)
            #expect(faulty.stack.metric("homeward_spool_bytes") == 0)
        }

        @Test(arguments: [Fault.databaseKilled, .databaseFrozen])
        func `SIGTERM in an outage ends with 0 and loses nothing`(fault: Fault) throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            try faulty.startPreparedDaemon()
            let readers = Self.readers(of: faulty, usual: 40, padding: 0)
            defer { readers.stop() }
            let bringBack = try faulty.inflict(fault)
            try faulty.expectSpooled(0..<21, of: readers)
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P4") != nil })
            for place in 21..<41 { readers.send(place) }
            #expect(eventually { (faulty.stack.metric("homeward_reports_received_total") ?? 0) > 21 })
            let began = ContinuousClock.now
            #expect(faulty.stack.stopDaemon() == 0)
            #expect(.now - began < .seconds(25))
            #expect(faulty.stack.log.contains("pipeline drained"))
            try bringBack()
            try faulty.startDaemon()
            try faulty.expectSettled(readers)
        }

        @Test func `an encrypted spool shows nobody its reports and opens under its own key alone`() throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            let key = faulty.stack.directory.appending(path: "spool-key")
            try Self.writeKey("5a", to: key)
            try faulty.stack.configure(
                "directory: \(faulty.stack.spool.path) ",
                as: "directory: \(faulty.stack.spool.path), key_file: \(key.path) ")
            try faulty.startPreparedDaemon()
            let readers = Self.readers(of: faulty, usual: 20, padding: 100)
            defer { readers.stop() }
            let bringBack = try faulty.inflict(.databaseKilled)
            try faulty.expectSpooled(0..<21, of: readers)
            #expect(faulty.stack.stopDaemon() == 0)
            let written = try Self.segments(in: faulty.stack.spool).map { try Data(contentsOf: $0) }
            #expect(written.reduce(0) { $0 + $1.count } > 21 * 200)
            // Long enough that cipher text has none of them by chance.
            for plain in ["readings", "\"spo2\"", "homeward/v1", "/dev-1/", "\"id\":\"u7\"", "xxxxxxxx"] {
                #expect(written.allSatisfy { $0.range(of: Data(plain.utf8)) == nil }, "\(plain) can be read")
            }

            try Self.writeKey("a5", to: key)
            try faulty.startDaemon()
            let ended = try #require(faulty.stack.waitForDaemon())
            #expect(ended.reason == .exit)
            #expect(ended.status == 78)
            let lastLine = faulty.stack.log.split(separator: "\n").last ?? ""
            #expect(lastLine.contains("another key"), "\(lastLine)")

            try Self.writeKey("5a", to: key)
            try bringBack()
            try faulty.startDaemon()
            try faulty.expectSettled(readers)
        }

        // MARK: -

        /// A red at place 0, then so many usual reports; each is sent when the test says so, and none again unasked.
        private static func readers(of faulty: FaultStack, usual: Int, padding: Int) -> HomeReaders {
            let red = FaultWard.oxygen("red", device: 4, value: 86, isOrdered: true).padded(by: padding)
            let reports = (0..<usual).map {
                FaultWard.oxygen("u\($0)", device: [1, 2, 3, 5][$0 % 4], value: 97, isOrdered: true)
                    .padded(by: padding)
            }
            return HomeReaders(port: faulty.stack.broker.port, reports: [red] + reports, patience: nil)
        }

        private static func segments(in spool: URL) throws -> [URL] {
            try FileManager.default.contentsOfDirectory(
                at: spool.appending(path: "ordinary"), includingPropertiesForKeys: nil
            ).filter { (try? Data(contentsOf: $0).starts(with: Data("HWSPOOL".utf8))) ?? false }
        }

        /// Flips bits of that report's payload; answers in which file.
        private static func damage(_ report: String, in spool: URL) throws -> URL {
            for segment in try segments(in: spool) {
                var bytes = try Data(contentsOf: segment)
                guard let id = bytes.range(of: Data(#""id":"\#(report)""#.utf8)) else { continue }
                // Before the id lies the padding.
                for place in id.lowerBound - 1000..<id.lowerBound - 900 { bytes[place] ^= 0xFF }
                try bytes.write(to: segment)
                return segment
            }
            throw Stack.Failure(description: "\(report) is in no segment")
        }

        private static func writeKey(_ byte: String, to file: URL) throws {
            try String(repeating: byte, count: 32).write(to: file, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o400], ofItemAtPath: file.path)
        }
    }
}
