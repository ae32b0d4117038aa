import Alerting
import Clinical
import Documents
import TestSupport
import Testing

@testable import HomewardDaemon
@testable import Ingestion

/// What holds for the alerts of the shipped packs, whatever is sent. A failure shows its seed.
@Suite struct AlertPropertyTests {
    private static let profile = PatientProfile(
        born: CalendarDate(year: 1950, month: 3, day: 1), conditions: ["copd", "diabetes", "heart-failure"],
        baselines: [.spo2: 95, .catScore: 14], dryWeight: 79)

    /// A week of a patient, a report each few hours.
    private func week(_ random: inout SplitMix64) -> [ShippedWard.Entry] {
        (0..<40).map { place in
            let takenAt =
                ShippedWard.monday + .hours(Int64(place) * 4) + .minutes(Int64.random(in: 0..<60, using: &random))
            var entry = ShippedWard.Entry(id: "r\(place)", takenAt: takenAt)
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                let weight = Double(Int.random(in: 780...830, using: &random)) / 10
                entry.readings = [ShippedWard.reading(.weight, weight)]
                if Bool.random(using: &random) { entry.answers = [ShippedWard.yes("more-swelling")] }
            case 1:
                entry.readings = [
                    ShippedWard.reading(.spo2, Double(Int.random(in: 89...98, using: &random))),
                    ShippedWard.reading(.pulse, Double(Int.random(in: 45...135, using: &random))),
                ]
            case 2:
                let systolic = Double(Int.random(in: 75...182, using: &random))
                entry.readings = [
                    ShippedWard.reading(.systolic, systolic), ShippedWard.reading(.diastolic, systolic - 40),
                ]
            case 3:
                let glucose = Double(Int.random(in: 45...380, using: &random))
                entry.readings = [ShippedWard.reading(.glucose, glucose, "mg/dL")]
            default: entry.answers = [ShippedWard.yes("sputum-colour"), ShippedWard.yes("more-breathless")]
            }
            return entry
        }
    }

    private func state(_ ward: ShippedWard) -> [String] {
        ward.store.openEpisodes.map { "\($0.id) \($0.rule) \($0.severity) \($0.summary)" }.sorted()
    }

    /// A broker sends again what was not acknowledged, in any batch and as often as it likes: the same alerts with the
    /// same words, and nobody is told twice.
    @Test(arguments: [21, 22, 23, 24, 25] as [UInt64]) func `redelivery changes nothing`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let entries = week(&random)
        var once = ShippedWard(Self.profile)
        for entry in entries { try once.take([entry]) }
        var again = ShippedWard(Self.profile)
        var place = 0
        while place < entries.count {
            let end = min(entries.count, place + Int.random(in: 1...6, using: &random))
            let old = (0..<Int.random(in: 0...4, using: &random)).compactMap { _ in
                entries[..<end].randomElement(using: &random)
            }
            try again.take(Array(entries[place..<end]) + old)
            place = end
        }
        #expect(state(again) == state(once) && !once.told.isEmpty, "seed \(seed)")
        #expect(Set(again.store.rows.outbox.map(\.key)).count == again.store.rows.outbox.count, "seed \(seed)")
        #expect(again.store.rows.reports.count == entries.count, "seed \(seed)")
    }

    /// The daemon's commits and `homeward replay` tell of the same alerts in the same order. A replay ends a red too,
    /// since nobody resolves it there: so does this ward.
    @Test(arguments: [31, 32, 33, 34, 35] as [UInt64]) func `replay equals live`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let entries = week(&random)
        var live = ShippedWard(Self.profile, redsEndInRange: true)
        for entry in entries { try live.take([entry]) }
        var replayer = Replayer(packs: ShippedWard.library, registry: live.store.currentRegistry)
        var told: [String] = []
        for entry in entries {
            for change in try replayer.take(ShippedWard.message(entry)).changes {
                told += change.events.filter(\.transition.notifies).map {
                    "\(change.episode.rule) \($0.severity.rawValue)"
                }
            }
        }
        #expect(told == live.told && !told.isEmpty, "seed \(seed)")
    }

    /// Arrival order is not time: whatever comes first, the same reds stand open at the end, about the same patient.
    @Test(arguments: [41, 42, 43, 44, 45] as [UInt64]) func `in whatever order reports arrive, the same reds stand`(
        seed: UInt64
    ) throws {
        var random = SplitMix64(seed: seed)
        let last = ShippedWard.monday + .hours(1)
        let entries = (0..<30).map { place in
            ShippedWard.Entry(
                id: "r\(place)", takenAt: ShippedWard.monday + .minutes(Int64(place)), receivedAt: last,
                readings: [
                    ShippedWard.reading(.spo2, Double(Int.random(in: 91...99, using: &random))),
                    ShippedWard.reading(.pulse, Double(Int.random(in: 60...132, using: &random))),
                    ShippedWard.reading(.glucose, Double(Int.random(in: 52...240, using: &random)), "mg/dL"),
                ])
        }
        func reds(_ entries: [ShippedWard.Entry]) throws -> [String: Severity] {
            var ward = ShippedWard(Self.profile)
            for entry in entries { try ward.take([entry]) }
            return ward.open.filter { $0.value == .red }
        }
        let inOrder = try reds(entries)
        for _ in 0..<5 { #expect(try reds(entries.shuffled(using: &random)) == inOrder, "seed \(seed)") }
    }
}
