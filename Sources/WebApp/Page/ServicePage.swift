import Alerting
import Clinical

/// How the service does, for those who lead a team or run it: this instance's figures, and of their site what is not
/// delivered, what is held in quarantine, and which pairings end.
struct ServicePage {
    let file: ServiceFile
    let form: String
    private let time: PageTime

    init(file: ServiceFile, form: String) {
        self.file = file
        self.form = form
        time = PageTime(now: file.at, timeZone: file.viewer.timeZone)
    }

    var page: HTML {
        PageFrame.page("Service", viewer: file.viewer, form: form) {
            element("div", .class("bar")) {
                element("h1") { "Service" }
                element("span", .class("small")) { "As at \(time.clock(file.at)), \(file.viewer.siteName)" }
            }
            element("div", .class("columns")) {
                element("div") {
                    quarantine
                    troubles
                }
                element("aside") {
                    connections
                    figures
                    deliveries
                    endings
                }
            }
        }
    }

    // MARK: The instance

    private var connections: HTML {
        let figures = file.figures
        return element("section", .class("card")) {
            element("h2") { "Connections" }
            element("ul", .class("plain")) {
                connection("Broker", figures.isBrokerConnected)
                connection("Database", figures.isDatabaseConnected)
            }
            if !figures.problems.isEmpty {
                element("ul", .class("plain")) {
                    for problem in figures.problems { element("li", .class("notice bad")) { problem } }
                }
            }
        }
    }

    private func connection(_ name: String, _ isUp: Bool) -> HTML {
        element("li") {
            element("span", .class(isUp ? "sign sign-green" : "sign sign-red")) {
                isUp ? "✓ \(name): connected" : "✕ \(name): not connected"
            }
        }
    }

    private var figures: HTML {
        let figures = file.figures
        return element("section", .class("card")) {
            element("h2") { "Reports" }
            Facts.list([
                ("A minute", figures.receivedPerMinute.map { Facts.number($0, digits: 1) } ?? "not known yet"),
                ("Received", "\(figures.received)"), ("Stored", "\(figures.stored)"),
                ("Duplicate", "\(figures.duplicate)"), ("Quarantined", "\(figures.quarantined)"),
                ("In flight", "\(figures.inFlight)"),
                ("To an alert", Self.words(figures.reportToAlert)), ("Commit", Self.words(figures.commit)),
                ("Oldest waiting", "\(Facts.number(figures.oldestUnacknowledged, digits: 1)) s"),
                ("Ring", "\(Facts.number(figures.ring * 100, digits: 0)) % full"),
                (
                    "Spool",
                    "\(Facts.bytes(figures.spoolBytes)) of \(Facts.bytes(figures.spoolQuota))"
                        + (figures.spoolLeft.isFinite ? ", room for \(Facts.span(figures.spoolLeft))" : "")
                ),
            ])
            element("p", .class("small")) { "Of this instance, all sites, since it started." }
        }
    }

    private static func words(_ times: ServiceFigures.Times?) -> String {
        guard let times else { return "none yet" }
        return "half within \(Facts.span(times.median)), 99 % within \(Facts.span(times.most))"
    }

    // MARK: Deliveries

    private var deliveries: HTML {
        element("section", .class("card")) {
            element("h2") { "Messages" }
            if file.deliveries.isEmpty { element("p", .class("empty")) { "None in 7 days." } }
            element("ul", .class("plain")) {
                for count in file.deliveries {
                    element("li") {
                        "\(count.channel): "
                        element("strong") { "\(count.count) \(count.state)" }
                        if count.state == "pending" { ", oldest \(time.age(count.oldest))" }
                    }
                }
            }
        }
    }

    private var troubles: HTML {
        guard !file.troubles.isEmpty else { return .nothing }
        return element("section") {
            element("h2") { "Messages that did not arrive at once" }
            table("Messages", ["Since", "To", "State", "Why", "Alert"]) {
                for trouble in file.troubles {
                    element("tr") {
                        element("td") { time.short(trouble.createdAt) }
                        element("td") {
                            element("bdi") { trouble.recipient }
                            " by \(trouble.channel)"
                        }
                        element("td") {
                            trouble.state == "failed" ? "✕ failed" : "pending, tried \(trouble.attempts) ×"
                            if trouble.isDead { element("span", .class("tag")) { "Channel dead" } }
                        }
                        element("td", .class("wide")) { element("bdi") { trouble.lastError ?? "" } }
                        element("td") {
                            element("a", .href(Place("alerts", trouble.alert.description))) { "Open" }
                        }
                    }
                }
            }
        }
    }

    // MARK: Quarantine

    private var quarantine: HTML {
        element("section") {
            element("h2") { "Quarantine" }
            if !file.reasons.isEmpty {
                element("ul", .class("counts"), .aria(.label, "Reasons, 30 days")) {
                    for count in file.reasons {
                        element("li") {
                            element(
                                "a", .href(Place("service", query: [("reason", count.reason.rawValue)])),
                                file.search.reason == count.reason ? .aria(.current, "true") : nil
                            ) { "\(count.reason.rawValue): \(count.rows)" }
                            if count.times > count.rows {
                                element("span", .class("small")) { " (\(count.times) times)" }
                            }
                        }
                    }
                }
                if file.search.reason != nil {
                    element("p") { element("a", .href(Place("service"))) { "All reasons" } }
                }
            }
            if file.rows.isEmpty {
                element("p", .class("empty")) { "Nothing is held." }
            } else {
                table("Held reports", ["Received", "Reader", "Reason", "Release"]) {
                    for row in file.rows { line(row) }
                }
            }
            if file.hasMore, let last = file.rows.last {
                element("nav", .class("pager"), .aria(.label, "Older")) { older(last.id) }
            }
        }
    }

    private func older(_ id: Int64) -> HTML {
        var query = [("before", "\(id)")]
        if let reason = file.search.reason { query.append(("reason", reason.rawValue)) }
        return element("a", .href(Place("service", query: query))) { "Older" }
    }

    private func line(_ row: QuarantineRow) -> HTML {
        element("tr") {
            element("td") {
                time.short(row.receivedAt)
                if row.timesSeen > 1 { element("span", .class("small")) { " ×\(row.timesSeen)" } }
            }
            element("td") {
                element("bdi") { row.device ?? "not readable" }
                if let report = row.report {
                    element("span", .class("small")) {
                        " "
                        element("bdi") { report }
                    }
                }
            }
            element("td") {
                row.reason.rawValue
                if let reading = row.reading { " (reading \(reading))" }
            }
            element("td") {
                row.release.map { Self.words($0) + " " } ?? ""
                element("a", .href(Place("quarantine", "\(row.id)"))) {
                    "Look"
                    element("span", .class("visually-hidden")) {
                        " at \(row.report ?? "report") of \(row.device ?? "nobody")"
                    }
                }
            }
        }
    }

    static func words(_ release: ReleaseState) -> String {
        switch release.outcome {
        case nil: "waits to be taken in"
        case "stored": "stored"
        case "duplicate": "was stored already"
        default: "refused again: \(release.reason ?? "")"
        }
    }

    // MARK: Pairings

    private var endings: HTML {
        element("section", .class("card")) {
            element("h2") { "Pairings that end within 7 days" }
            if file.endings.isEmpty { element("p", .class("empty")) { "None." } }
            element("ul", .class("plain")) {
                for span in file.endings {
                    element("li") {
                        if let until = span.until { "\(time.short(until)): " }
                        element("bdi") { span.device }
                        " of "
                        element("a", .href(Place("patients", span.patient))) { span.patient }
                        if !span.goesOn { element("span", .class("tag")) { "No other reader" } }
                    }
                }
            }
        }
    }

    private func table(_ label: String, _ heads: [String], @HTMLBuilder _ rows: () -> HTML) -> HTML {
        Facts.table(label, heads, rows)
    }
}

/// Names with their values, and numbers as people read them.
enum Facts {
    static func list(_ rows: [(String, String?)]) -> HTML {
        element("dl", .class("facts")) {
            for (name, value) in rows {
                if let value {
                    element("dt") { name }
                    element("dd") { element("bdi") { value } }
                }
            }
        }
    }

    /// It scrolls by itself where it is too wide.
    static func table(_ label: String, _ heads: [String], @HTMLBuilder _ rows: () -> HTML) -> HTML {
        element("div", .class("scroll"), .role("region"), .aria(.label, label), .tabindex) {
            element("table") {
                element("thead") {
                    element("tr") { for head in heads { element("th", .scope("col")) { head } } }
                }
                element("tbody") { rows() }
            }
        }
    }

    static func number(_ value: Double, digits: Int) -> String {
        guard value.isFinite, value.magnitude < 1e12 else { return "-" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (value * scale).rounded()
        guard digits > 0 else { return "\(Int64(exactly: scaled) ?? 0)" }
        let shown = scaled / scale
        return Int64(exactly: shown).map { "\($0)" } ?? "\(shown)"
    }

    static func bytes(_ count: Double) -> String {
        switch count {
        case ..<10_240: "\(number(count, digits: 0)) B"
        case ..<10_485_760: "\(number(count / 1024, digits: 0)) KiB"
        case ..<10_737_418_240: "\(number(count / 1_048_576, digits: 0)) MiB"
        default: "\(number(count / 1_073_741_824, digits: 1)) GiB"
        }
    }

    /// Of seconds.
    static func span(_ seconds: Double) -> String {
        switch seconds {
        case ..<1: "\(number(seconds * 1000, digits: 1)) ms"
        case ..<120: "\(number(seconds, digits: 1)) s"
        case ..<7200: "\(number(seconds / 60, digits: 0)) min"
        case ..<172_800: "\(number(seconds / 3600, digits: 0)) h"
        default: seconds.isFinite ? "\(number(seconds / 86_400, digits: 0)) days" : "over the last bound"
        }
    }
}
