import Foundation
import TestSupport

/// Holds what the readers sent and were told against what the outside can see: the views, the webhook, and what
/// `homeward replay` says of the stored reports.
struct Ledger {
    let faulty: FaultStack
    let readers: HomeReaders

    private var stack: Stack { faulty.stack }

    /// Reports without the receipt that their fate asks for.
    var unreceipted: [String] {
        zip(readers.reports, readers.progress).compactMap { report, progress in
            // What has a mark has no id for a receipt; a contradiction is sent once the other is known to be stored.
            guard report.mark == nil, progress.sent > 0 else { return nil }
            let isReceipted = report.fate.isQuarantined ? progress.isRefused : progress.isStored
            return isReceipted ? nil : "\(report.id) (\(report.fate))"
        }
    }

    /// What the broker acknowledged and no view has.
    var missing: [String] {
        guard let reports = try? storedReports(), let refusals = try? refusals() else { return ["(no answer)"] }
        let stored = Set(reports.map { Key(device: $0.device, id: $0.id) })
        let refused = Set(refusals.map { RefusalKey(key: $0.key, mark: $0.mark, reason: $0.reason) })
        return readers.progress.enumerated().compactMap { place, progress in
            guard progress.isAcknowledged else { return nil }
            let report = readers.reports[place]
            let isThere =
                switch report.fate {
                case .stored: stored.contains(Key(report))
                case .quarantined(let reason): refused.contains(RefusalKey(report, reason: reason))
                }
            return isThere ? nil : "\(report.id) (\(report.fate))"
        }
    }

    func check() throws -> [String] {
        try checkReports() + checkRefusals() + checkReceipts() + checkAlerts()
    }

    var summary: String {
        let receipts = readers.progress.flatMap(\.receipts)
        let sent = readers.progress.reduce(0) { $0 + $1.sent }
        return "sent \(sent) times, \(receipts.count) receipts, \(faulty.hook.arrivals.count) notifications"
    }

    // MARK: - Reports

    private struct Key: Hashable {
        var device: String
        var id: String

        init(device: String, id: String) {
            self.device = device
            self.id = id
        }

        init(_ report: FaultWard.Report) { self.init(device: report.device, id: report.id) }
    }

    private struct StoredReport {
        var device: String
        var id: String
        var receivedAt: String
        var raw: String
        var readings: Int
    }

    private func storedReports() throws -> [StoredReport] {
        try stack.query(
            """
            SELECT r.device, r.report_id, to_char(r.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                convert_from(r.raw, 'UTF8'), coalesce(v.readings, 0)
            FROM homeward.v_report r LEFT JOIN (
                SELECT device, report_id, count(*) AS readings FROM homeward.v_reading GROUP BY device, report_id
            ) v USING (device, report_id) ORDER BY r.received_at, r.report_id
            """
        ).compactMap { row in
            guard row.count == 5 else { return nil }
            return StoredReport(
                device: row[0], id: row[1], receivedAt: row[2], raw: row[3], readings: Int(row[4]) ?? -1)
        }
    }

    private func checkReports() throws -> [String] {
        var problems: [String] = []
        let rows = Dictionary(grouping: try storedReports()) { Key(device: $0.device, id: $0.id) }
        var expected: Set<Key> = []
        for (report, progress) in zip(readers.reports, readers.progress) {
            guard case .stored(let readings, _) = report.fate else { continue }
            let key = Key(report), found = rows[key, default: []]
            expected.insert(key)
            if found.count != 1 { problems.append("\(report.id) stored \(found.count) times") }
            guard let row = found.first else { continue }
            if row.readings != readings {
                problems.append("\(report.id) has \(row.readings) readings, not \(readings)")
            }
            if !progress.payloads.contains(row.raw) {
                problems.append("\(report.id) was stored with other bytes than were sent: \(row.raw)")
            }
        }
        problems += rows.keys.filter { !expected.contains($0) }.map { "stored, but nobody sent it so: \($0.id)" }
        return problems
    }

    // MARK: - Quarantine

    private struct RefusalKey: Hashable {
        /// The id, or the mark in the payload of what has none.
        var name: String
        var reason: String

        init(key: Key?, mark: String, reason: String) {
            name = key.map { "\($0.device) \($0.id)" } ?? mark
            self.reason = reason
        }

        init(_ report: FaultWard.Report, reason: String) {
            self.init(key: report.mark == nil ? Key(report) : nil, mark: report.mark ?? "", reason: reason)
        }
    }

    private struct Refusal {
        var key: Key?
        var mark: String
        var reason: String
        var timesSeen: Int
        var topic: String
        var receivedAt: String
        var payload: String
    }

    private func refusals() throws -> [Refusal] {
        let marks = Set(readers.reports.compactMap(\.mark))
        return try stack.query(
            """
            SELECT device, report_id, reason, times_seen, topic,
                to_char(received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                convert_from(substring(payload FROM 1 FOR 2000), 'UTF8')
            FROM homeward.v_quarantine
            """
        ).compactMap { row in
            guard row.count == 7 else { return nil }
            let mark = row[6].split { " {},\"".contains($0) }.map(String.init).first { marks.contains($0) }
            return Refusal(
                key: mark != nil || row[1].isEmpty ? nil : Key(device: row[0], id: row[1]), mark: mark ?? "",
                reason: row[2], timesSeen: Int(row[3]) ?? 0, topic: row[4], receivedAt: row[5], payload: row[6])
        }
    }

    /// Exactly one row each, however often it came; and a reading refused alone was seen once, with its report.
    private func checkRefusals() throws -> [String] {
        var problems: [String] = []
        let rows = Dictionary(grouping: try refusals()) { RefusalKey(key: $0.key, mark: $0.mark, reason: $0.reason) }
        var expected: Set<RefusalKey> = []
        for (report, progress) in zip(readers.reports, readers.progress) where progress.sent > 0 {
            let reasons: [String]
            switch report.fate {
            case .stored(_, let refused): reasons = refused
            case .quarantined(let reason): reasons = [reason]
            }
            // Other bytes that were refused as well are a row of their own.
            let variants = report.again.contains { !$0.sameBytes } && report.fate.isQuarantined ? 1...2 : 1...1
            for reason in reasons {
                let key = RefusalKey(report, reason: reason), found = rows[key, default: []]
                expected.insert(key)
                if !variants.contains(found.count) { problems.append("\(report.id) \(reason): \(found.count) rows") }
                if !report.fate.isQuarantined, found.contains(where: { $0.timesSeen != 1 }) {
                    let times = found.map(\.timesSeen)
                    problems.append("\(report.id) was stored once, its \(reason) counted \(times) times")
                }
                if found.contains(where: { $0.timesSeen < 1 }) { problems.append("\(report.id) \(reason): never seen") }
            }
        }
        problems += rows.keys.filter { !expected.contains($0) }.map { "in quarantine and should not be: \($0)" }
        return problems
    }

    // MARK: - Receipts

    private func checkReceipts() -> [String] {
        var problems: [String] = []
        let contradicted = Set(readers.reports.compactMap { $0.contradicts == nil ? nil : $0.id })
        for (report, progress) in zip(readers.reports, readers.progress) {
            for receipt in progress.receipts where report.contradicts == nil {
                let isConflict = receipt.reason == "conflict" && contradicted.contains(report.id)
                let isTrue =
                    switch report.fate {
                    case .stored: ["stored", "duplicate"].contains(receipt.outcome) || isConflict
                    case .quarantined(let reason): receipt.outcome == "quarantined" && receipt.reason == reason
                    }
                if !isTrue { problems.append("\(report.id) (\(report.fate)) was told \(receipt.text)") }
                guard let sent = progress.firstSent,
                    faulty.outages.contains(where: { $0.contains(sent) && $0.contains(receipt.at) })
                else { continue }
                problems.append("\(report.id) got a receipt while nothing could be committed: \(receipt.text)")
            }
        }
        return problems
    }

    // MARK: - Alerts

    private struct Episode: Hashable {
        var patient: String
        var rule: String
    }

    private static let ranks = ["info": 0, "amber": 1, "red": 2]

    /// What the rules alone make of what is in the database: the highest severity of each episode.
    private func ruled() throws -> [Episode: String] {
        let stored = try storedReports().map { row in
            ("homeward/v1/north/\(row.device)/report", row.receivedAt, row.raw)
        }
        // After all that was stored, so that a contradiction finds what it contradicts.
        let refused = try refusals().filter { $0.reason != "too-large" }.map { ($0.topic, $0.receivedAt, $0.payload) }
        let lines = try (stored + refused).map { topic, receivedAt, payload in
            let line = try JSONSerialization.data(
                withJSONObject: ["topic": topic, "received_at": receivedAt, "payload": payload])
            return String(decoding: line, as: UTF8.self)
        }
        let input = stack.directory.appending(path: "stored.ndjson")
        try (lines.joined(separator: "\n") + "\n").write(to: input, atomically: true, encoding: .utf8)
        let ended = try stack.run("replay", "--registry", stack.registryFile.path, input.path)
        try stack.expectSuccess(ended)
        var highest: [Episode: String] = [:]
        for line in ended.output.split(separator: "\n") {
            guard let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any],
                let alert = object["alert"] as? [String: Any], alert["class"] as? String == "clinical",
                let patient = object["patient"] as? String, let rule = alert["rule"] as? String,
                let severity = alert["severity"] as? String
            else { continue }
            let episode = Episode(patient: patient, rule: rule)
            if Self.ranks[severity] ?? 0 >= Self.ranks[highest[episode] ?? ""] ?? -1 { highest[episode] = severity }
        }
        return highest
    }

    private struct Alert {
        var id: String
        var episode: Episode
        var severity: String
        var state: String
    }

    private func checkAlerts() throws -> [String] {
        let alerts = try stack.query(
            "SELECT alert_id, patient, rule, severity, state FROM homeward.v_alert WHERE class = 'clinical'"
        ).compactMap { row in
            row.count == 5
                ? Alert(id: row[0], episode: Episode(patient: row[1], rule: row[2]), severity: row[3], state: row[4])
                : nil
        }
        var problems: [String] = []
        var highest: [Episode: String] = [:]
        for alert in alerts where Self.ranks[alert.severity] ?? 0 >= Self.ranks[highest[alert.episode] ?? ""] ?? -1 {
            highest[alert.episode] = alert.severity
        }
        let ruled = try ruled()
        for episode in Set(ruled.keys).union(highest.keys) where ruled[episode] != highest[episode] {
            problems.append(
                "\(episode.patient) \(episode.rule): \(ruled[episode] ?? "nothing") by the rules, "
                    + "\(highest[episode] ?? "nothing") in v_alert")
        }
        // No red resolves itself, and nobody resolves it here: its episode is one row.
        for (episode, rows) in Dictionary(grouping: alerts, by: \.episode) {
            let unresolved = rows.count { $0.state != "resolved" }
            if unresolved > 1 { problems.append("\(episode.patient) \(episode.rule): \(unresolved) at once") }
            let reds = rows.count { $0.severity == "red" }
            if reds > 1 { problems.append("\(episode.patient) \(episode.rule): \(reds) red alerts of one episode") }
        }
        if ruled.isEmpty { problems.append("the ward raised no alert at all") }
        return try problems + checkDeliveries(of: alerts)
    }

    /// Each alert was told of; a repeat only under the same key, and on record it was sent once.
    private func checkDeliveries(of alerts: [Alert]) throws -> [String] {
        var problems: [String] = []
        func unsent() throws -> [[String]] {
            try stack.query(
                "SELECT alert_id, channel, state, last_error FROM homeward.v_delivery WHERE state <> 'sent'")
        }
        if try !eventually(within: .seconds(60), every: .milliseconds(100), { try unsent().isEmpty }) {
            problems.append("never sent: \(try unsent())")
        }
        let recorded = Dictionary(
            try stack.query("SELECT alert_id, count(*) FROM homeward.v_delivery GROUP BY alert_id").map {
                ($0[0], Int($0[1]) ?? 0)
            }, uniquingKeysWith: { first, _ in first })
        let clinical = faulty.hook.arrivals.filter { TestReader.member("class", of: $0.body) == "clinical" }
        // An alert that was told of in an outage may turn out to be part of an older one.
        let aliases = Dictionary(
            try stack.query("SELECT alias, alert_id FROM homeward.alert_alias").map { ($0[0], $0[1]) },
            uniquingKeysWith: { first, _ in first })
        let arrivals = Dictionary(grouping: clinical) { arrival in
            let id = TestReader.member("alert", of: arrival.body) ?? ""
            return aliases[id] ?? id
        }
        let known = Set(alerts.map(\.id))
        for id in arrivals.keys where !known.contains(id) { problems.append("told of an alert that is not: \(id)") }
        for alert in alerts {
            let told = arrivals[alert.id, default: []]
            let name = "\(alert.episode.patient) \(alert.episode.rule)"
            if !told.contains(where: { TestReader.member("severity", of: $0.body) == alert.severity }) {
                problems.append("nobody was told of \(name) as \(alert.severity)")
            }
            // One key for each thing said: that it opened, that it worsened. A daemon that was killed may not know in the
            // outage that the alert is open: it tells of it again, under what is its alias from then on.
            let keys = Dictionary(grouping: told) { arrival in
                "\(TestReader.member("severity", of: arrival.body) ?? "") \(arrival.delivery.prefix(36))"
            }.mapValues { Set($0.map(\.delivery)) }
            for (said, keys) in keys where keys.count > 1 || keys.contains("") {
                problems.append("\(name) told as \(said) under keys \(keys.sorted())")
            }
            let all = Set(told.map(\.delivery)).count
            if recorded[alert.id] != all {
                problems.append("\(name): \(all) notifications, \(recorded[alert.id] ?? 0) on record")
            }
        }
        return problems
    }
}

extension FaultWard.Fate {
    var isQuarantined: Bool { if case .quarantined = self { true } else { false } }
}
