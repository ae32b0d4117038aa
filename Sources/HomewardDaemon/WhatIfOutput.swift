import Alerting
import Clinical
import Formats
import Foundation

/// The burden of a comparison, over all its patients.
struct WhatIfSummary: Sendable {
    /// Alerts of each severity, and how many of them a patient has in a week.
    struct Burden: Sendable, Hashable {
        var alerts: [Severity: Int] = [:]

        subscript(severity: Severity) -> Int { alerts[severity] ?? 0 }
    }

    let since: Instant
    let until: Instant
    private(set) var patients = 0
    /// Of patients with a report in that time, from their first one on.
    private(set) var patientWeeks = 0.0
    private(set) var reports = 0
    private(set) var reportsBefore = 0
    private(set) var refused = 0
    private(set) var were = Burden()
    private(set) var wouldBe = Burden()
    private(set) var sorts: [AlertComparison.Sort: Int] = [:]

    init(since: Instant, until: Instant) {
        self.since = since
        self.until = until
    }

    /// Alerts that judging can't raise again are not counted as a part of what was: they would be the same.
    mutating func add(_ comparisons: [AlertComparison], of replay: PatientReplay) {
        reports += replay.reports
        reportsBefore += replay.reportsBefore
        refused += replay.refused
        if replay.reports > 0, let first = replay.firstReceivedAt {
            patients += 1
            patientWeeks += (until - max(since, first)).seconds / (7 * 86_400)
        }
        for comparison in comparisons {
            sorts[comparison.sort, default: 0] += 1
            guard comparison.sort != .notReplayed else { continue }
            if let was = comparison.was { were.alerts[was.severity, default: 0] += 1 }
            if let wouldBe = comparison.wouldBe { self.wouldBe.alerts[wouldBe.severity, default: 0] += 1 }
        }
    }

    /// Nil while no time has passed.
    func perPatientWeek(_ count: Int) -> Double? { patientWeeks > 0 ? Double(count) / patientWeeks : nil }
}

/// A comparison as a table, or as one JSON object a line. Everything that came from outside passes through
/// `StandardErrorLog.escaped`.
struct WhatIfOutput {
    let json: Bool

    var header: String? {
        json ? nil : Self.row(["patient", "raised", "was", "would be", "rule", "alert"], "")
    }

    func line(_ comparison: AlertComparison) -> String { json ? Self.json(comparison) : Self.text(comparison) }

    func lines(_ summary: WhatIfSummary) -> [String] { json ? [Self.json(summary)] : Self.text(summary) }

    // MARK: - Text

    private static func row(_ columns: [String], _ rest: String) -> String {
        let widths = [10, 21, 9, 9, 22, 8]
        let padded = zip(columns, widths).map { text, width in
            text + String(repeating: " ", count: max(0, width - text.utf8.count))
        }
        let line = padded.joined(separator: " ") + (rest.isEmpty ? "" : "  \(rest)")
        return String(line.reversed().drop { $0 == " " }.reversed())
    }

    private static func text(_ comparison: AlertComparison) -> String {
        let alert = comparison.wouldBe ?? comparison.was
        let was = comparison.was?.severity.rawValue ?? "-"
        let wouldBe =
            switch comparison.sort {
            case .notReplayed: was
            case .same, .otherSeverity, .newlyRaised, .noLongerRaised, .enteredInError:
                comparison.wouldBe?.severity.rawValue ?? "-"
            }
        let word: String =
            switch comparison.sort {
            case .same: ""
            case .otherSeverity: "(of another severity) "
            case .noLongerRaised: "(no longer raised) "
            case .newlyRaised: "(newly raised) "
            case .enteredInError: "(entered in error) "
            case .notReplayed: "(not raised by a stored report) "
            }
        return row(
            [
                "\(comparison.patient)", RFC3339.format(comparison.raisedAt), was, wouldBe, alert?.rule ?? "",
                (alert?.id.description.prefix(8)).map(String.init) ?? "",
            ], word + StandardErrorLog.escaped(alert?.summary ?? ""))
    }

    private static func text(_ summary: WhatIfSummary) -> [String] {
        func line(_ name: String, _ was: String, _ wouldBe: String) -> String {
            let pad = { (text: String, width: Int) in
                String(repeating: " ", count: max(0, width - text.utf8.count)) + text
            }
            return name + pad(was, 40 - name.utf8.count) + pad(wouldBe, 12)
        }
        func rate(_ count: Int) -> String {
            summary.perPatientWeek(count).map { String(format: "%.2f", $0) } ?? "-"
        }
        var lines = ["", line("", "were", "would be")]
        for severity in [Severity.red, .amber] {
            let (was, wouldBe) = (summary.were[severity], summary.wouldBe[severity])
            lines.append(line(severity.rawValue, "\(was)", "\(wouldBe)"))
            lines.append(line("\(severity.rawValue) per patient-week", rate(was), rate(wouldBe)))
        }
        for (sort, words) in [
            (AlertComparison.Sort.noLongerRaised, "no longer raised"), (.newlyRaised, "newly raised"),
            (.otherSeverity, "of another severity"), (.enteredInError, "caused by a reading entered in error"),
            (.notReplayed, "not raised by a stored report, left out"),
        ] {
            guard let count = summary.sorts[sort] else { continue }
            lines.append("\(count) \(words)")
        }
        lines.append(
            "\(summary.patients) \(summary.patients == 1 ? "patient" : "patients"), "
                + String(format: "%.1f", summary.patientWeeks)
                + " patient-weeks since \(RFC3339.format(summary.since)): \(summary.reports) reports, and "
                + "\(summary.reportsBefore) before for what looks back")
        if summary.refused > 0 {
            lines.append("\(summary.refused) reports that a person released can't be judged again and are left out")
        }
        return lines
    }

    // MARK: - JSON

    private static func json(_ comparison: AlertComparison) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("patient")
        writer.value(comparison.patient)
        writer.name("change")
        writer.value(comparison.sort.rawValue)
        for (name, alert) in [("was", comparison.was), ("would_be", comparison.wouldBe)] {
            writer.name(name)
            guard let alert else {
                writer.null()
                continue
            }
            writer.beginObject()
            for (name, text) in [
                ("alert", alert.id.description), ("rule", alert.rule), ("severity", alert.severity.rawValue),
                ("raised_at", RFC3339.format(alert.raisedAt)),
            ] {
                writer.name(name)
                writer.value(text)
            }
            writer.name("ended_at")
            if let endedAt = alert.endedAt { writer.value(endedAt) } else { writer.null() }
            writer.name("summary")
            writer.value(alert.summary)
            writer.endObject()
        }
        writer.endObject()
        return writer.text
    }

    private static func json(_ summary: WhatIfSummary) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("summary")
        writer.beginObject()
        for (name, instant) in [("since", summary.since), ("until", summary.until)] {
            writer.name(name)
            writer.value(instant)
        }
        for (name, count) in [
            ("patients", summary.patients), ("reports", summary.reports), ("reports_before", summary.reportsBefore),
            ("reports_left_out", summary.refused),
        ] {
            writer.name(name)
            writer.value(count)
        }
        writer.name("patient_weeks")
        writer.value(summary.patientWeeks)
        for (name, burden) in [("were", summary.were), ("would_be", summary.wouldBe)] {
            writer.name(name)
            writer.beginObject()
            for severity in [Severity.red, .amber] {
                writer.name(severity.rawValue)
                writer.value(burden[severity])
                writer.name("\(severity.rawValue)_per_patient_week")
                if let rate = summary.perPatientWeek(burden[severity]) { writer.value(rate) } else { writer.null() }
            }
            writer.endObject()
        }
        writer.name("changes")
        writer.beginObject()
        for sort in AlertComparison.Sort.allCases {
            writer.name(sort.rawValue)
            writer.value(summary.sorts[sort] ?? 0)
        }
        writer.endObject()
        writer.endObject()
        writer.endObject()
        return writer.text
    }
}
