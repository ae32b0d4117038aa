import Alerting
import Clinical
import Documents
import Formats
import Foundation
import Ingestion
import Registry
import Testing

@testable import HomewardDaemon

/// The shipped packs over recorded streams (`deploy/demo`, with their licences): every alert that they raise, read and
/// judged by a person, so that a change of a rule shows as a change of what a care team would have been told.
@Suite struct RecordedStreamTests {
    private static let demo = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "deploy/demo")

    struct Raised {
        var at: Instant
        var patient: String
        var words: String
    }

    /// Columns by name, row by row.
    private func rows(_ file: String) throws -> [[String: String]] {
        let text = try String(contentsOf: Self.demo.appending(path: file), encoding: .utf8)
        let lines = text.split(whereSeparator: \.isNewline).map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        let names = try #require(lines.first)
        return lines.dropFirst().map { Dictionary(zip(names, $0), uniquingKeysWith: { $1 }) }
    }

    private func registry(_ patients: [String], conditions: [String]) -> Registry {
        let north = Identifier("north")!
        var registry = Registry(version: 1, sites: [north: Site(code: north, name: "North")])
        for name in patients {
            let code = Identifier(name)!
            registry.patients[code] = Patient(
                code: code, site: north, profile: PatientProfile(conditions: conditions, timeZone: "UTC"))
            registry.devices[code] = Device(
                code: code, site: north, pairings: [Pairing(patient: code, from: Instant(microseconds: 0))])
        }
        return registry
    }

    private func replay(
        _ readings: [(patient: String, at: Instant, json: String)], conditions: [String]
    ) throws -> [Raised] {
        var replayer = Replayer(
            packs: BuiltInPacks.library(),
            registry: registry(Array(Set(readings.map(\.patient))), conditions: conditions))
        var raised: [Raised] = []
        for (place, reading) in readings.sorted(by: { $0.at < $1.at }).enumerated() {
            let payload =
                #"{"id":"r\#(place)","taken_at":"\#(RFC3339.format(reading.at))","readings":[\#(reading.json)]}"#
            let taken = try replayer.take(
                Message.recorded(
                    topic: Array("homeward/v1/north/\(reading.patient)/report".utf8), payload: Array(payload.utf8),
                    retained: false, receivedAt: reading.at))
            #expect(taken.outcome.disposition == .stored)
            for change in taken.changes {
                for event in change.events where event.transition.notifies {
                    raised.append(
                        Raised(
                            at: reading.at, patient: reading.patient,
                            words: "\(RFC3339.format(reading.at)) \(reading.patient) \(change.episode.rule) "
                                + "\(event.severity.rawValue)"))
                }
            }
        }
        return raised
    }

    /// A care team of all of them: never ten alerts in ten minutes; and prints what it would have had to read.
    private func checkLoad(_ raised: [Raised], patients: Int, days: Double, _ name: String) {
        for alert in raised {
            let near = raised.count { $0.at >= alert.at && $0.at - alert.at <= .minutes(10) }
            #expect(near < 10, "\(name): a flood at \(alert.words)")
        }
        let load = (Double(raised.count) / (Double(patients) * days) * 100).rounded() / 100
        print("\(name): \(raised.count) alerts, \(load) per patient-day")
    }

    private func instant(_ text: String) throws -> Instant { try #require(RFC3339.parse(text)) }

    @Test(arguments: [("BG", glucose), ("CGM", sensor)]) func glucoseStreams(column: String, expected: [String]) throws
    {
        var readings: [(patient: String, at: Instant, json: String)] = []
        for patient in ["001", "005"] {
            for row in try rows("glucose-\(patient).csv") {
                let time = try #require(row["Time"]).replacing(" ", with: "T") + "Z"
                let value = Double(try #require(row[column]))?.rounded() ?? 0
                let json = #"{"kind":"glucose","value":\#(value),"unit":"mg/dL"}"#
                readings.append((patient, try instant(time), json))
            }
        }
        let raised = try replay(readings, conditions: ["diabetes"])
        checkLoad(raised, patients: 2, days: 1, "glucose, \(column)")
        #expect(raised.map(\.words) == expected)
    }

    /// The trap of units: converted they would lie below 3.9 and 3.0 mmol/L, and alarm one level too high.
    @Test(
        arguments: [
            (71, "mg/dL", []), (70, "mg/dL", []), (69, "mg/dL", ["glucose-low amber"]),
            (55, "mg/dL", ["glucose-low amber"]), (54, "mg/dL", ["glucose-low amber"]),
            (53, "mg/dL", ["glucose-low red"]), (3.9, "mmol/L", []), (3.8, "mmol/L", ["glucose-low amber"]),
            (3.0, "mmol/L", ["glucose-low amber"]), (2.9, "mmol/L", ["glucose-low red"]),
        ] as [(Double, String, [String])])
    func `70 mg per dL and 54 mg per dL alarm at the right level`(value: Double, unit: String, expected: [String])
        throws
    {
        let reading = #"{"kind":"glucose","value":\#(value),"unit":"\#(unit)"}"#
        let at = try instant("2026-11-23T08:15:30Z")
        let raised = try replay([("001", at, reading)], conditions: ["diabetes"])
        #expect(raised.map(\.words) == expected.map { "2026-11-23T08:15:30Z 001 \($0)" })
    }

    /// In pounds it is the same as in kilograms.
    @Test(arguments: [("WeightKg", "kg"), ("WeightPounds", "[lb_av]")]) func weights(column: String, unit: String)
        throws
    {
        var readings: [(patient: String, at: Instant, json: String)] = []
        for row in try rows("weights.csv") {
            let parts = try #require(row["Date"]).split(separator: "-").map { $0.count < 2 ? "0" + $0 : String($0) }
            let value = try #require(row[column])
            let json = #"{"kind":"weight","value":\#(value),"unit":"\#(unit)"}"#
            let at = try instant("\(parts[2])-\(parts[0])-\(parts[1])T08:00:00Z")
            readings.append((try #require(row["Id"]), at, json))
        }
        let raised = try replay(readings, conditions: ["heart-failure"])
        checkLoad(raised, patients: 3, days: 15, "weights, \(unit)")
        #expect(raised.map(\.words) == Self.weights)
    }

    /// Twice over 250 mg/dL, and below 70; nothing is below 54, so that nothing is red.
    private static let glucose = [
        "2017-12-31T20:15:00Z 005 glucose-high amber", "2018-01-01T02:00:00Z 005 glucose-low amber",
    ]
    /// The sensor sees more. 252 at 20:15 of 001 and 251 at 09:30 of 005 come once only; 001 is back over 75 mg/dL
    /// before it falls again.
    private static let sensor = [
        "2017-12-31T20:15:00Z 005 glucose-high amber", "2018-01-01T02:00:00Z 005 glucose-low amber",
        "2018-01-01T03:00:00Z 001 glucose-low amber", "2018-01-01T05:45:00Z 001 glucose-low amber",
    ]
    /// The most that anybody gains is 1.2 kg in a day and 1.4 kg in 7; the most that anybody loses 1.5 kg in 3 days.
    private static let weights: [String] = []
}
