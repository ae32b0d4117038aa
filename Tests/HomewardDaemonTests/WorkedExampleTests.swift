import Clinical
import Foundation
import Testing

@testable import Ingestion

/// The worked examples of the guide "How alerts are decided", each sent to the shipped packs.
@Suite struct WorkedExampleTests {
    struct Example: Sendable, CustomTestStringConvertible {
        var row: String
        var patient: [String]
        var sends: [String]
        var alerts: [String]
        var testDescription: String { row }
    }

    private static let guide = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/HomewardDaemon/HomewardDaemon.docc")
        .appending(path: "HowAlertsAreDecided.md")

    /// Rows of four cells under `| patient | sends | alerts | why |`.
    static let examples: [Example] = {
        let text = (try? String(contentsOf: guide, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            guard line.hasPrefix("| "), cells.count == 4, cells[0] != "patient" else { return nil }
            let quoted = cells.map { cell in cell.matches(of: /`([^`]+)`/).map { String($0.1) } }
            return Example(row: String(line), patient: quoted[0], sends: quoted[1], alerts: quoted[2])
        }
    }()

    @Test func `the guide has its examples`() {
        #expect(Self.examples.count >= 30)
        #expect(Self.examples.allSatisfy { !$0.sends.isEmpty })
        #expect(Self.examples.contains { $0.alerts.isEmpty && $0.row.contains("| nothing |") })
    }

    @Test(arguments: examples) func `a worked example is so`(example: Example) throws {
        var ward = ShippedWard(try profile(example.patient))
        for (place, text) in example.sends.enumerated() { try ward.take([try entry("r\(place)", text)]) }
        #expect(ward.told == example.alerts)
        #expect(example.alerts.isEmpty == example.row.contains("| nothing |"))
    }

    /// `heart-failure`, `scale 2`, `own systolic red_below 84`.
    private func profile(_ words: [String]) throws -> PatientProfile {
        var profile = PatientProfile()
        for word in words {
            let parts = word.split(separator: " ").map(String.init)
            switch parts.first {
            case "scale": profile.news2Scale = try #require(parts.last.flatMap { Int($0) })
            case "own":
                try #require(parts.count == 4 && parts[2] == "red_below")
                let kind = try #require(Kind.allCases.first { $0.code == parts[1] })
                let limit = Limit(value: try #require(Double(parts[3])), inclusive: false)
                profile.limits.append(
                    OwnLimit(kind: kind, low: [Threshold(severity: .red, limit: limit, immediate: true)]))
            default:
                try #require(ShippedWard.library[word] != nil, "no such pack: \(word)")
                profile.conditions.append(word)
            }
        }
        return profile
    }

    /// `72 h: weight 82 kg, yes more-swelling`, `0 h, received at 3 h: spo2 91 %`.
    private func entry(_ id: String, _ text: String) throws -> ShippedWard.Entry {
        let halves = text.split(separator: ": ", maxSplits: 1).map(String.init)
        try #require(halves.count == 2, "no time in: \(text)")
        let times = halves[0].split(separator: ", received at ").map(String.init)
        var entry = ShippedWard.Entry(id: id, takenAt: try instant(times[0]))
        if times.count > 1 { entry.receivedAt = try instant(times[1]) }
        for item in halves[1].split(separator: ", ") {
            let words = item.split(separator: " ").map(String.init)
            switch words.first {
            case "yes": entry.answers.append(ShippedWard.yes(try #require(words.last)))
            case "consciousness": entry.readings.append(ShippedWard.code(try #require(words.last)))
            default:
                try #require(words.count == 3, "no kind, value and unit: \(item)")
                let kind = try #require(Kind.allCases.first { $0.code == words[0] })
                entry.readings.append(ShippedWard.reading(kind, try #require(Double(words[1])), words[2]))
            }
        }
        return entry
    }

    /// `20 min`, `-2 h`, after a Monday morning.
    private func instant(_ text: String) throws -> Instant {
        let words = text.split(separator: " ").map(String.init)
        let number = try #require(words.first.flatMap { Int64($0) }, "no time: \(text)")
        switch words.last {
        case "min": return ShippedWard.monday + .minutes(number)
        case "h": return ShippedWard.monday + .hours(number)
        default:
            Issue.record("no unit of time: \(text)")
            return ShippedWard.monday
        }
    }
}
