import Foundation

/// The ward of the fault harness and what its home readers will measure, from a seed alone.
struct FaultWard: Sendable {
    /// What has to become of a report, whatever fails in between.
    enum Fate: Sendable, Hashable {
        /// With so many readings, and these refused alone.
        case stored(readings: Int, refused: [String])
        case quarantined(String)
    }

    struct Report: Sendable {
        var id: String
        var topic: String
        var device: String
        /// Milliseconds from the start of publishing.
        var at: Int
        var fate: Fate
        /// `TAKEN` stands for the time of measurement, which is that of the first sending, moved by `takenOffset`.
        var payload: String
        var takenOffset: Double = 0
        /// Sent again though nothing failed: after so many milliseconds; the same bytes, or others that say the same.
        var again: [(after: Int, sameBytes: Bool)] = []
        /// The place of the report that it contradicts: it is sent once that one is known to be stored.
        var contradicts: Int?
        /// Sent when the test says so, not by the clock.
        var isOrdered = false
        /// Its id can't be read, so no receipt comes; its rows are found by this text in the payload.
        var mark: String?

        /// With a field that nobody reads.
        func padded(by bytes: Int) -> Report {
            var padded = self
            let padding = String(repeating: "x", count: bytes)
            padded.payload = payload.replacing(#"{"id":"#, with: #"{"padding":"\#(padding)","id":"#)
            return padded
        }

        var payloadAgain: String { payload.replacing(#"{"id":"#, with: #"{ "battery": 55, "id":"#) }
    }

    static let devices = 12
    /// One kind for each device: what is judged then does not depend on the order in which devices' reports arrive.
    private static let kinds: [(kind: String, unit: String, usual: Int, amber: Int, red: Int)] = [
        ("spo2", "%", 97, 94, 86), ("pulse", "/min", 72, 120, 140), ("respiratory-rate", "/min", 16, 21, 28),
    ]

    let reports: [Report]

    /// SpO2 of a device that measures nothing else.
    static func oxygen(_ id: String, device: Int, value: Int, at: Int = 0, isOrdered: Bool = false) -> Report {
        let reading = #"{"kind":"spo2","value":\#(value),"unit":"%"}"#
        return Report(
            id: id, topic: "homeward/v1/north/dev-\(device)/report", device: "dev-\(device)", at: at,
            fate: .stored(readings: 1, refused: []),
            payload: #"{"id":"\#(id)","taken_at":"TAKEN","readings":[\#(reading)]}"#, isOrdered: isOrdered)
    }

    static let registry = registry(of: devices)

    /// So many patients, each with a device of the same number.
    static func registry(of devices: Int) -> String {
        var lines = [
            "sites:", "  - { code: north, name: North Practice, timezone: Europe/London }", "care_managers:",
            #"  - { code: cm-01, site: north, name: Care manager 1, webhook: "WEBHOOK" }"#, "patients:",
        ]
        for number in 1...devices { lines.append("  - { code: P\(number), site: north, key_worker: cm-01 }") }
        lines.append("devices:")
        for number in 1...devices {
            lines.append(
                "  - { code: dev-\(number), site: north, "
                    + "pairings: [ { patient: P\(number), from: 2020-01-01T00:00:00Z } ] }")
        }
        lines.append("  - { code: dev-spare, site: north, pairings: [] }")
        return lines.joined(separator: "\n") + "\n"
    }

    /// With somebody to tell of technical alerts.
    static var registryWithAdministrator: String {
        let administrator = #"{ code: admin-01, site: north, name: A, role: administrator, webhook: "WEBHOOK" }"#
        return registry.replacing("patients:", with: "  - \(administrator)\npatients:")
    }

    /// - Parameters:
    ///   - rate: reports a second.
    ///   - clockSteps: the daemon's clock will be stepped. It then doubts its clock and refuses nothing for its time, from
    ///     a moment on that nobody here can know: no report is sent whose time is to be refused.
    init(seed: UInt64, seconds: Int, rate: Int, clockSteps: Bool = false) {
        var generator = SeededGenerator(seed: seed ^ 0x5EED)
        var reports: [Report] = []
        var sequences = [Int](repeating: 0, count: Self.devices)
        for number in 0..<max(1, seconds * rate) {
            let device = Int.random(in: 0..<Self.devices, using: &generator)
            sequences[device] += 1
            var report = Self.report(
                number: number, device: device, sequence: sequences[device], seed: seed, clockSteps: clockSteps,
                using: &generator)
            report.at = number * 1000 / rate
            // Overtaken by those that the device measured after it.
            if generator.once(in: 10) { report.at += Int.random(in: 10...1500, using: &generator) }
            if generator.once(in: 8) {
                let late = generator.once(in: 3)
                report.again.append((Int.random(in: late ? 3000...8000 : 0...300, using: &generator), true))
            }
            if generator.once(in: 20), report.mark == nil {
                report.again.append((Int.random(in: 0...4000, using: &generator), false))
            }
            reports.append(report)
            if case .stored = report.fate, generator.once(in: 25) {
                reports.append(Self.contradiction(of: report, at: reports.count - 1))
            }
        }
        self.reports = reports
    }

    private static func report(
        number: Int, device: Int, sequence: Int, seed: UInt64, clockSteps: Bool, using generator: inout SeededGenerator
    ) -> Report {
        let id = "s\(seed)-\(number)"
        let name = "dev-\(device + 1)"
        let (kind, unit, usual, amber, red) = kinds[device % kinds.count]
        func reading(_ value: Int) -> String { #"{"kind":"\#(kind)","value":\#(value),"unit":"\#(unit)"}"# }
        func whole(_ readings: String) -> String {
            #"{"id":"\#(id)","taken_at":"TAKEN","seq":\#(sequence),"readings":[\#(readings)]}"#
        }
        func report(_ fate: Fate, _ payload: String, offset: Double = 0) -> Report {
            Report(
                id: id, topic: "homeward/v1/north/\(name)/report", device: name, at: 0, fate: fate, payload: payload,
                takenOffset: offset)
        }
        let plain = reading(usual + Int.random(in: -1...1, using: &generator))
        switch Int.random(in: 0..<100, using: &generator) {
        case 0..<3: return report(.stored(readings: 1, refused: []), whole(reading(red)))
        case 3..<7: return report(.stored(readings: 1, refused: []), whole(reading(amber)))
        case 7..<12:
            let heavy = #"{"kind":"weight","value":900,"unit":"kg"}"#
            return report(.stored(readings: 1, refused: ["implausible"]), whole(plain + "," + heavy))
        case 12..<26: return refused(report, whole, plain, id: id, clockSteps: clockSteps, using: &generator)
        default: return report(.stored(readings: 1, refused: []), whole(plain))
        }
    }

    private static func refused(
        _ report: (Fate, String, Double) -> Report, _ whole: (String) -> String, _ plain: String, id: String,
        clockSteps: Bool, using generator: inout SeededGenerator
    ) -> Report {
        func elsewhere(_ reason: String, device: String) -> Report {
            var report = report(.quarantined(reason), whole(plain), 0)
            report.device = device
            report.topic = "homeward/v1/north/\(device)/report"
            return report
        }
        func unreadable(_ reason: String, _ payload: String) -> Report {
            var report = report(.quarantined(reason), payload, 0)
            report.mark = id
            return report
        }
        let day = 86_400.0
        let readings: [(reason: String, reading: String)] = [
            ("unknown-kind", #"{"kind":"mood","value":1,"unit":"1"}"#),
            ("unknown-code", #"{"kind":"consciousness","value":"X"}"#),
            ("missing-unit", #"{"kind":"weight","value":80}"#),
            ("unknown-unit", #"{"kind":"weight","value":80,"unit":"cats"}"#),
            ("ambiguous-unit", #"{"kind":"temperature","value":98.6,"unit":"Cel"}"#),
            ("implausible", #"{"kind":"spo2","value":20,"unit":"%"}"#),
            (
                "control-solution",
                #"{"kind":"glucose","value":6,"unit":"mmol/L","flags":["control-solution"]}"#
            ),
        ]
        switch Int.random(in: 0..<16, using: &generator) {
        case 0: return report(.quarantined("malformed"), #"{"id":"\#(id)","readings":[]}"#, 0)
        case 1: return report(.quarantined("empty"), #"{"id":"\#(id)","taken_at":"TAKEN"}"#, 0)
        case 2 where !clockSteps: return report(.quarantined("clock-future"), whole(plain), 2 * day)
        case 3 where !clockSteps: return report(.quarantined("too-old"), whole(plain), -40 * day)
        case 4: return elsewhere("unpaired", device: "dev-spare")
        case 5: return elsewhere("unknown-device", device: "dev-nobody")
        case 6: return unreadable("malformed", "rubbish \(id) {")
        case 7: return unreadable("too-large", "\(id) " + String(repeating: "x", count: 65_537))
        case 8:
            var report = unreadable("bad-topic", whole(plain))
            report.topic = "homeward/v1/north/d v/report"
            return report
        case let other:
            let (reason, reading) = readings[other % readings.count]
            return report(.quarantined(reason), whole(reading), 0)
        }
    }

    /// The same id with another number in it.
    private static func contradiction(of first: Report, at place: Int) -> Report {
        var other = first
        other.fate = .quarantined("conflict")
        other.payload = first.payload.replacing(#""seq":"#, with: #""seq":1"#)
        other.contradicts = place
        other.again = []
        return other
    }
}
