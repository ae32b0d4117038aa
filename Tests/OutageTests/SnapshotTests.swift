import Alerting
import Clinical
import Documents
import Foundation
import Registry
import Testing

@testable import Outage

@Suite struct SnapshotTests {
    private static let reading = PastReading(
        key: ReportKey(device: Identifier("dev-0")!, report: Identifier("a.b:c", grammar: .report)!), index: 1,
        kind: .glucose, value: 3.885, sentValue: 70, sentUnit: .milligramsPerDecilitre, flags: [.movement],
        takenAt: Ward.now, isSuspect: true)

    private static let values: [AnswerValue] = [.boolean(true), .number(0.1), .text("a \"little\"\n\u{1F600}")]
    private static let answers = values.enumerated().map { place, value in
        PastAnswer(
            key: ReportKey(device: Identifier("dev-0")!, report: Identifier("r\(place)", grammar: .report)!),
            question: place == 0 ? .moreBreathless : .tired, value: value, takenAt: Ward.now + .hours(Int64(place)))
    }

    private static let state = OutageState(
        episodes: [
            notice(1).job.episode,
            Episode(
                id: AlertID(high: .max, low: 0), subject: .instance, site: nil, device: nil, rule: "spool-full",
                alertClass: .technical, severity: .amber, state: .acknowledged, late: true, raisedAt: Ward.now,
                summary: "full", escalationLevel: 2, acknowledgedAt: Ward.now + .seconds(1), worstAcknowledged: 0.1,
                revision: 9),
        ],
        windows: [
            Identifier("P0")!: .init(
                kinds: [
                    .glucose: .init(span: .days(7), newest: Ward.now),
                    .pulse: .init(span: .minutes(15), newest: Ward.now - .seconds(1)),
                ], questions: [.moreBreathless: .init(span: .hours(49), newest: Ward.now)],
                past: PatientHistory(readings: [reading], answers: answers)),
            Identifier("P1")!: .init(questions: [.tired: .init(span: .hours(25), newest: Ward.now)]),
        ])

    private static let entries = [
        RegistryEntry(
            key: RegistryKey(entity: .site, code: "north"),
            fields: ["name": .string("North \u{1F600}\n\u{7F}"), "glucose_low": .number(3.9), "hours": .null]),
        RegistryEntry(
            key: RegistryKey(entity: .device, code: "dev-0"),
            fields: ["pairings": .array([.object(["patient": .string("P0"), "live": .boolean(true)])])]),
    ]

    @Test func `what was written is read`() throws {
        let scratch = try Scratch()
        let snapshots = SnapshotDirectory(path: scratch.path)
        #expect(try snapshots.readState() == nil)
        #expect(try snapshots.readRegistry() == nil)
        try snapshots.write(Self.state)
        try snapshots.write(registry: Self.entries, version: 42)
        #expect(try snapshots.readState() == Self.state)
        let registry = try #require(try snapshots.readRegistry())
        #expect(registry.entries == Self.entries)
        #expect(registry.version == 42)
        try snapshots.write(OutageState())
        #expect(try snapshots.readState() == OutageState())
        for name in ["state.snapshot", "windows.snapshot", "registry.snapshot"] {
            let mode = try FileManager.default.attributesOfItem(atPath: scratch.path + "/" + name)[.posixPermissions]
            #expect(mode as? Int == 0o600)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path).count == 3)
    }

    @Test func `alerts are read without windows, and windows without alerts`() throws {
        let alone = try Scratch(), apart = try Scratch()
        try SnapshotDirectory(path: alone.path).write(episodes: Self.state.episodes, timers: [])
        #expect(try SnapshotDirectory(path: alone.path).readState() == OutageState(episodes: Self.state.episodes))
        try SnapshotDirectory(path: apart.path).write(windows: Self.state.windows)
        #expect(try SnapshotDirectory(path: apart.path).readState() == OutageState(windows: Self.state.windows))
    }

    @Test(arguments: ["state.snapshot", "windows.snapshot"])
    func `a byte that is wrong anywhere, or missing, is refused`(file: String) throws {
        let scratch = try Scratch()
        let snapshots = SnapshotDirectory(path: scratch.path)
        try snapshots.write(Self.state)
        let bytes = try scratch.bytes(file)
        for place in bytes.indices {
            var damaged = bytes
            damaged[place] ^= 0x01
            try scratch.write(damaged, file)
            if let state = try? snapshots.readState() {
                // Only what the checksum does not cover and nobody reads.
                #expect(state == Self.state)
            }
            try scratch.write(Array(bytes.prefix(place)), file)
            #expect(throws: OutageFault.self) { try snapshots.readState() }
        }
    }

    @Test func `a file of another version or of another sort is refused by name`() throws {
        let scratch = try Scratch()
        let snapshots = SnapshotDirectory(path: scratch.path)
        try snapshots.write(Self.state)
        let text = String(decoding: try scratch.bytes("state.snapshot"), as: UTF8.self)
        try scratch.write(
            Array(text.replacingOccurrences(of: "\"format\":2", with: "\"format\":1").utf8), "state.snapshot")
        let fault = #expect(throws: OutageFault.self) { try snapshots.readState() }
        #expect(fault?.code == .otherFormat)
        try scratch.write(Array(text.utf8), "registry.snapshot")
        let other = #expect(throws: OutageFault.self) { try snapshots.readRegistry() }
        #expect(other?.code == .damaged)
    }

    @Test func `many patients come back`() throws {
        let scratch = try Scratch()
        let snapshots = SnapshotDirectory(path: scratch.path)
        let entries = (0..<20_000).map { number in
            RegistryEntry(
                key: RegistryKey(entity: .patient, code: "P\(number)"),
                fields: [
                    "site": .string("north"), "key_worker": .string("cm-01"), "name": .string("Patient \(number)"),
                    "baselines": .object(["spo2": .number(91)]), "conditions": .array([.string("copd")]),
                ])
        }
        try snapshots.write(registry: entries, version: 1)
        #expect(try snapshots.readRegistry()?.entries.count == entries.count)
    }
}
