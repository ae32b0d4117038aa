import Alerting
import Clinical
import Delivery
import Formats
import Ingestion
import PostgresStore
import Registry

/// `homeward report burden`: what alerts cost those who answer them.
public struct BurdenReport {
    public enum Format: String, CaseIterable, Sendable { case text, csv, json }

    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// 64 when a time or the site's code can't be read, 65 when there is no such site.
    ///
    /// - Parameters:
    ///   - since, until: a day (it begins at midnight where the site is) or a time; `until` is not included.
    ///   - site: nil: all of them.
    public func run(since: String, until: String, site: String?, format: Format) throws -> ExitStatus {
        var chosen: Identifier?
        if let site {
            guard let code = Identifier(site) else {
                StandardError.write("--site: \(StandardErrorLog.escaped(site)) is no code\n")
                return .usage
            }
            chosen = code
        }
        return withDatabase(configurationPath) { loaded throws(StoreFailure) in
            var database = loaded.database
            database.deadline = .minutes(1)
            let reader = BurdenReader(database)
            let zone = try reader.timeZone(of: chosen)
            if let chosen, zone == nil {
                StandardError.write("no site \(chosen)\n")
                return .badData
            }
            let timeZone = zone.flatMap { $0.isEmpty ? nil : $0 } ?? "Europe/London"
            var times: [Instant] = []
            for (name, text) in [("since", since), ("until", until)] {
                guard let instant = WhatIf.instant(text, timeZone: timeZone) else {
                    StandardError.write("--\(name): \(StandardErrorLog.escaped(text)) is no day and no time\n")
                    return .usage
                }
                times.append(instant)
            }
            let now = wallClock()
            guard times[0] < times[1], times[0] < now else {
                StandardError.write("--since must lie before --until and before now\n")
                return .usage
            }
            // What is yet to come burdens nobody.
            let end = min(times[1], now)
            let found = try reader.read(since: times[0], until: end, site: chosen)
            let burden = Burden(
                of: found.alerts, since: times[0], until: end, enrolled: found.enrolled, told: found.told)
            var output = BufferedOutput()
            switch format {
            case .text: for line in BurdenText.lines(burden, site: chosen) { output.write(line) }
            case .csv: for line in BurdenText.table(burden) { output.write(line) }
            case .json: output.write(BurdenText.json(burden, site: chosen))
            }
            output.flush()
            return .success
        }
    }
}

/// The report as text, as a table for spreadsheets, and as JSON.
enum BurdenText {
    private typealias Column = (name: String, value: @Sendable (Burden.Figures) -> Double?)

    private static let shares: [Column] = [
        ("acknowledged_share", { $0.acknowledgedShare }),
        ("resolved_with_action_share", { $0.resolvedWithActionShare }),
        ("auto_cleared_share", { $0.autoClearedShare }),
    ]
    private static let times: [Column] = [
        ("acknowledge_median_seconds", { $0.acknowledgeMedian }),
        ("acknowledge_p95_seconds", { $0.acknowledgeP95 }),
        ("resolve_median_seconds", { $0.resolveMedian }),
        ("resolve_p95_seconds", { $0.resolveP95 }),
    ]

    // MARK: - Text

    static func lines(_ burden: Burden, site: Identifier?) -> [String] {
        let whose = site.map { "site \($0)" } ?? "all sites"
        var lines = [
            "burden of \(whose) from \(RFC3339.format(burden.since)) to \(RFC3339.format(burden.until))",
            "\(burden.patients) patients, \(number(burden.patientWeeks)) patient-weeks", "",
            row(
                "rule",
                [
                    "alerts", "red", "amber", "per pat-week", "acknowl.", "with action", "auto-cleared",
                    "ack med.", "ack p95", "resolve med.", "resolve p95",
                ]),
            row("all clinical", cells(burden.clinical)), row("all technical", cells(burden.technical)),
        ]
        for rule in burden.rules {
            let name = StandardErrorLog.escaped(rule.rule)
            lines.append(row(rule.alertClass == .technical ? name + " (technical)" : name, cells(rule.figures)))
        }
        lines += ["", row("care manager", ["told of", "per week", "answered"])]
        for worker in burden.careManagers {
            lines.append(
                row(
                    StandardErrorLog.escaped(worker.careManager),
                    ["\(worker.told)", worker.toldPerWeek.map(number) ?? "-", "\(worker.answered)"]))
        }
        lines += ["", row("care team", ["flood minutes"])]
        for flood in burden.floods { lines.append(row("\(flood.site)", ["\(flood.minutes)"])) }
        lines.append("")
        lines.append(
            "A flood minute: \(Burden.floodAlerts) or more clinical alerts of one care team within "
                + "\(Burden.floodMinutes) minutes.")
        return lines
    }

    private static func cells(_ figures: Burden.Figures) -> [String] {
        var cells = ["\(figures.alerts)", "\(figures.red)", "\(figures.amber)"]
        cells.append(figures.perPatientWeek.map(number) ?? "-")
        for share in shares { cells.append(share.value(figures).map { "\(number($0 * 100)) %" } ?? "-") }
        for time in times { cells.append(time.value(figures).map(duration) ?? "-") }
        return cells
    }

    private static func row(_ name: String, _ cells: [String]) -> String {
        let first = name + String(repeating: " ", count: max(1, 30 - name.count))
        return first
            + cells.map { String(repeating: " ", count: max(1, 13 - $0.count)) + $0 }.joined()
    }

    private static func duration(_ seconds: Double) -> String {
        switch seconds {
        case ..<120: "\(number(seconds)) s"
        case ..<7200: "\(number(seconds / 60)) min"
        case ..<172_800: "\(number(seconds / 3600)) h"
        default: "\(number(seconds / 86_400)) d"
        }
    }

    /// Two decimals at most.
    private static func number(_ value: Double) -> String {
        let hundredths = (value * 100).rounded()
        guard let whole = Int64(exactly: hundredths) else { return "\(value)" }
        if whole % 100 == 0 { return "\(whole / 100)" }
        let text = "\(Double(whole) / 100)"
        return text
    }

    // MARK: - CSV

    /// RFC 4180, one line for each rule, person and team; what does not apply is empty.
    static func table(_ burden: Burden) -> [String] {
        let figures = shares.map(\.name) + times.map(\.name)
        let header =
            ["row", "name", "class", "alerts", "red", "amber", "per_patient_week"] + figures
            + ["told", "told_per_week", "answered", "flood_minutes"]
        func line(_ cells: [String]) -> String {
            (cells + Array(repeating: "", count: max(0, header.count - cells.count))).map(cell).joined(separator: ",")
        }
        func values(_ figures: Burden.Figures) -> [String] {
            var values = ["\(figures.alerts)", "\(figures.red)", "\(figures.amber)"]
            values.append(figures.perPatientWeek.map { "\($0)" } ?? "")
            for column in shares + times { values.append(column.value(figures).map { "\($0)" } ?? "") }
            return values
        }
        let blank = Array(repeating: "", count: 5 + shares.count + times.count)
        var lines = [header.joined(separator: ",")]
        lines.append(line(["all", "", "clinical"] + values(burden.clinical)))
        lines.append(line(["all", "", "technical"] + values(burden.technical)))
        for rule in burden.rules {
            lines.append(line(["rule", rule.rule, rule.alertClass.rawValue] + values(rule.figures)))
        }
        for worker in burden.careManagers {
            lines.append(
                line(
                    ["care-manager", worker.careManager] + blank
                        + ["\(worker.told)", worker.toldPerWeek.map { "\($0)" } ?? "", "\(worker.answered)"]))
        }
        for flood in burden.floods {
            lines.append(line(["care-team", "\(flood.site)"] + blank + ["", "", "", "\(flood.minutes)"]))
        }
        return lines
    }

    /// A spreadsheet takes what begins with = + - @ for a formula.
    private static func cell(_ text: String) -> String {
        let isFormula = text.first.map { "=+-@\t".contains($0) } ?? false
        let safe = isFormula && Double(text) == nil ? "'" + text : text
        guard safe.contains(where: { ",\"\r\n".contains($0) }) else { return safe }
        return "\"" + safe.replacing("\"", with: "\"\"") + "\""
    }

    // MARK: - JSON

    static func json(_ burden: Burden, site: Identifier?) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("since")
        writer.value(burden.since)
        writer.name("until")
        writer.value(burden.until)
        writer.name("site")
        if let site { writer.value(site) } else { writer.null() }
        writer.name("patients")
        writer.value(burden.patients)
        writer.name("patient_weeks")
        writer.value(burden.patientWeeks)
        for (name, figures) in [("clinical", burden.clinical), ("technical", burden.technical)] {
            writer.name(name)
            writer.beginObject()
            add(figures, to: &writer)
            writer.endObject()
        }
        writer.name("rules")
        writer.beginArray()
        for rule in burden.rules {
            writer.beginObject()
            writer.name("rule")
            writer.value(rule.rule)
            writer.name("class")
            writer.value(rule.alertClass.rawValue)
            add(rule.figures, to: &writer)
            writer.endObject()
        }
        writer.endArray()
        writer.name("care_managers")
        writer.beginArray()
        for worker in burden.careManagers {
            writer.beginObject()
            writer.name("care_manager")
            writer.value(worker.careManager)
            writer.name("told")
            writer.value(worker.told)
            writer.name("told_per_week")
            if let perWeek = worker.toldPerWeek { writer.value(perWeek) } else { writer.null() }
            writer.name("answered")
            writer.value(worker.answered)
            writer.endObject()
        }
        writer.endArray()
        writer.name("floods")
        writer.beginArray()
        for flood in burden.floods {
            writer.beginObject()
            writer.name("site")
            writer.value(flood.site)
            writer.name("flood_minutes")
            writer.value(flood.minutes)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }

    private static func add(_ figures: Burden.Figures, to writer: inout JSONWriter) {
        for (name, count) in [("alerts", figures.alerts), ("red", figures.red), ("amber", figures.amber)] {
            writer.name(name)
            writer.value(count)
        }
        writer.name("per_patient_week")
        if let perWeek = figures.perPatientWeek { writer.value(perWeek) } else { writer.null() }
        for column in shares + times {
            writer.name(column.name)
            if let value = column.value(figures) { writer.value(value) } else { writer.null() }
        }
    }
}
