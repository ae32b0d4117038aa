public import Alerting
internal import Clinical
public import Ingestion
internal import Registry

/// Of a patient's file: what was done about them, and how their entry was.
extension WebReader {
    private static let patientEvents = Statement(
        name: "web_patient_events",
        sql: """
            SELECT at, care_manager, kind, note, detail::text FROM homeward.patient_event
            WHERE patient = $1::text AND at > now() - $2::int4 * interval '1 day'
            ORDER BY at DESC, id LIMIT 100
            """)
    private static let openFollowUps = Statement(
        name: "web_follow_ups",
        sql: """
            SELECT id, due_at, note, set_by FROM homeward.follow_up
            WHERE patient = $1::text AND done_at IS NULL ORDER BY due_at, id LIMIT 50
            """)
    private static let typedReports = Statement(
        name: "web_typed_reports",
        sql: """
            SELECT entered_at, care_manager, source, outcome, reason FROM homeward.typed_report
            WHERE patient = $1::text AND entered_at > now() - interval '1 day'
                AND (taken_in_at IS NULL OR reason IS NOT NULL)
            ORDER BY entered_at DESC, id LIMIT 20
            """)
    private static let entries = Statement(
        name: "web_patient_entries",
        sql: """
            SELECT valid_from, fields::text FROM (
                SELECT version, valid_from, fields FROM homeward.registry_entry
                WHERE entity = 'patient' AND code = $1::text AND version >= coalesce((
                    SELECT max(version) FROM homeward.registry_entry
                    WHERE entity = 'patient' AND code = $1::text
                        AND valid_from <= now() - $2::int4 * interval '1 day'), 0)
                ORDER BY version DESC LIMIT $3::int4
            ) e ORDER BY version
            """)
    private static let mostEntries = 60
    private static let packRecords = Statement(
        name: "web_pack_records",
        sql: """
            SELECT pack, hash, first_seen_at, NULL::timestamptz, 0::int8 AS place FROM homeward.pack_content
            UNION ALL
            SELECT a.pack, a.hash, a.approved_at, r.retired_at, a.id
            FROM homeward.pack_approval a LEFT JOIN homeward.pack_retirement r ON r.approval = a.id
            ORDER BY place, 3
            """)

    /// - Parameter parameters: the patient's code, and how many days.
    func patientEvents(_ parameters: PostgresParameters) throws(StoreFailure) -> [PatientEvent] {
        let result = try connection.run(Self.patientEvents, parameters, doing: "reading what was done")
        return (0..<result.rowCount).compactMap { row in
            guard let at = result.instant(row, 0), let careManager = result.text(row, 1),
                let kind = result.text(row, 2), let detail = result.text(row, 4)
            else { return nil }
            return PatientEvent(
                at: at, careManager: careManager, kind: kind, note: result.text(row, 3), detail: detail)
        }
    }

    func followUps(of patient: Identifier) throws(StoreFailure) -> [FollowUp] {
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        let result = try connection.run(Self.openFollowUps, parameters, doing: "reading follow-ups")
        return (0..<result.rowCount).compactMap { row in
            guard let id = result.uuid(row, 0), let due = result.instant(row, 1), let note = result.text(row, 2),
                let setBy = result.text(row, 3)
            else { return nil }
            return FollowUp(id: FormID(high: id.high, low: id.low), due: due, note: note, setBy: setBy)
        }
    }

    func typedReports(of patient: Identifier) throws(StoreFailure) -> [TypedReport] {
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        let result = try connection.run(Self.typedReports, parameters, doing: "reading typed reports")
        return (0..<result.rowCount).compactMap { row in
            guard let enteredAt = result.instant(row, 0), let careManager = result.text(row, 1),
                let source = result.text(row, 2)
            else { return nil }
            return TypedReport(
                enteredAt: enteredAt, careManager: careManager, source: source, outcome: result.text(row, 3),
                reason: result.text(row, 4))
        }
    }

    /// - Parameter parameters: the patient's code, and how many days.
    func entries(
        _ parameters: PostgresParameters
    ) throws(StoreFailure) -> (entries: [(from: Instant, fields: [String: FieldValue])], from: Instant?) {
        var parameters = parameters
        parameters.add(Int32(clamping: Self.mostEntries + 1))
        let result = try connection.run(Self.entries, parameters, doing: "reading the patient's entry as it was")
        // One more than is shown: then it is not the one that stood before those days.
        let isCut = result.rowCount > Self.mostEntries
        let entries = ((isCut ? 1 : 0)..<result.rowCount).compactMap {
            row -> (from: Instant, fields: [String: FieldValue])? in
            guard let from = result.instant(row, 0), let fields = RegistryReading.fields(result.bytes(row, 1)) else {
                return nil
            }
            return (from, fields)
        }
        return (entries, isCut ? entries.first?.from : nil)
    }

    func packRecords() throws(StoreFailure) -> PackRecords {
        let result = try connection.run(Self.packRecords, PostgresParameters(), doing: "reading the packs' history")
        var records = PackRecords()
        for row in 0..<result.rowCount {
            guard let pack = result.text(row, 0), let hash = result.bytes(row, 1), let at = result.instant(row, 2),
                let place = result.int64(row, 4)
            else { continue }
            if place == 0 {
                records.contents.append(PackRecords.Content(pack: pack, hash: hash, seenAt: at))
            } else {
                records.approvals.append(
                    PackRecords.Approval(pack: pack, hash: hash, at: at, retiredAt: result.instant(row, 3)))
            }
        }
        return records
    }
}

/// Alerts' histories, which may be very long.
extension WebReader {
    // Besides the newest that are more than another reading: the first, the last, the last of a report and who took it.
    private static let events = Statement(
        name: "web_events",
        sql: """
            SELECT e.alert, e.revision, e.transition, e.severity, e.at, e.device, e.report_id, e.actor, e.summary,
                e.explanation::text
            FROM unnest($1::uuid[]) AS wanted (id)
            CROSS JOIN LATERAL (
                (SELECT revision FROM homeward.alert_event WHERE alert = wanted.id AND transition <> 'joined'
                    ORDER BY revision DESC LIMIT $2::int4)
                UNION
                (SELECT revision FROM homeward.alert_event WHERE alert = wanted.id ORDER BY revision LIMIT 1)
                UNION
                (SELECT revision FROM homeward.alert_event WHERE alert = wanted.id ORDER BY revision DESC LIMIT 1)
                UNION
                (SELECT revision FROM homeward.alert_event WHERE alert = wanted.id AND report_id IS NOT NULL
                    ORDER BY revision DESC LIMIT 1)
                UNION
                (SELECT revision FROM homeward.alert_event WHERE alert = wanted.id AND transition = 'taken'
                    ORDER BY revision DESC LIMIT 1)
            ) chosen
            JOIN homeward.alert_event e ON e.alert = wanted.id AND e.revision = chosen.revision
            ORDER BY e.alert, e.revision
            """)
    private static let counts = Statement(
        name: "web_event_counts",
        sql: """
            SELECT wanted.id, (
                SELECT count(*) FROM (
                    SELECT FROM homeward.alert_event WHERE alert = wanted.id AND transition = 'joined' LIMIT 1000) j
            ), (
                SELECT count(*) FROM (
                    SELECT FROM homeward.alert_event WHERE alert = wanted.id AND transition <> 'joined' LIMIT 1000) t
            )
            FROM unnest($1::uuid[]) AS wanted (id)
            """)
    private static let told = Statement(
        name: "web_told",
        sql: """
            SELECT wanted.id, o.recipient, o.channel, o.state
            FROM unnest($1::uuid[]) AS wanted (id)
            CROSS JOIN LATERAL (
                SELECT recipient, channel, state, revision, step FROM homeward.outbox WHERE alert = wanted.id
                ORDER BY revision DESC, step DESC, channel, recipient LIMIT 40
            ) o
            ORDER BY wanted.id, o.revision, o.step, o.channel, o.recipient
            """)
    private static let ledger = Statement(
        name: "web_ledger",
        sql: """
            SELECT wanted.id, s.at, s.kind, s.reason, s.actor, s.until, s.recipient
            FROM unnest($1::uuid[]) AS wanted (id)
            CROSS JOIN LATERAL (
                SELECT id, at, kind, reason, actor, until, recipient FROM homeward.suppression
                WHERE alert = wanted.id ORDER BY id DESC LIMIT 40
            ) s
            ORDER BY wanted.id, s.id DESC
            """)
    private static let older = Statement(
        name: "web_older_events",
        sql: """
            SELECT alert, revision, transition, severity, at, device, report_id, actor, summary, explanation::text
            FROM homeward.alert_event WHERE alert = $1::uuid AND revision < $2::int4
            ORDER BY revision DESC LIMIT $3::int4
            """)

    /// The most events of an alert on its patient's page that are more than another reading.
    private static let shownEvents: Int32 = 40

    func readHistory(of files: inout [AlertFile]) throws(StoreFailure) {
        guard !files.isEmpty else { return }
        let places = Dictionary(
            files.enumerated().map { ($0.element.episode.id, $0.offset) }, uniquingKeysWith: { first, _ in first })
        var ids = PostgresParameters()
        ids.addAlerts(of: files) { $0.episode.id }
        var chosen = ids
        chosen.add(Self.shownEvents)
        for event in try events(Self.events, chosen) {
            if let place = places[event.alert] { files[place].events.append(event) }
        }
        let counts = try connection.run(Self.counts, ids, doing: "counting alerts' events")
        for row in 0..<counts.rowCount {
            guard let place = alert(counts, row).flatMap({ places[$0] }), let joined = counts.int64(row, 1),
                let others = counts.int64(row, 2)
            else { continue }
            files[place].joined = Int(joined)
            files[place].hasOlderEvents = others > Int64(Self.shownEvents)
        }
        let told = try connection.run(Self.told, ids, doing: "reading deliveries")
        for row in 0..<told.rowCount {
            guard let place = alert(told, row).flatMap({ places[$0] }), let recipient = told.text(row, 1),
                let channel = told.text(row, 2), let state = told.text(row, 3)
            else { continue }
            files[place].told.append("\(recipient) by \(channel): \(state)")
        }
        let ledger = try connection.run(Self.ledger, ids, doing: "reading the ledger")
        for row in 0..<ledger.rowCount {
            guard let place = alert(ledger, row).flatMap({ places[$0] }), let at = ledger.instant(row, 1),
                let kind = ledger.text(row, 2), let reason = ledger.text(row, 3), let actor = ledger.text(row, 4)
            else { continue }
            files[place].ledger.append(
                LedgerRow(
                    at: at, kind: kind, reason: reason, actor: actor, until: ledger.instant(row, 5),
                    recipient: ledger.text(row, 6)))
        }
    }

    private func alert(_ result: borrowing PostgresResult, _ row: Int) -> AlertID? {
        result.uuid(row, 0).map { AlertID(high: $0.high, low: $0.low) }
    }

    private func events(
        _ statement: Statement, _ parameters: PostgresParameters
    ) throws(StoreFailure) -> [EpisodeEvent] {
        let events = try connection.run(statement, parameters, doing: "reading alerts' history")
        var found: [EpisodeEvent] = []
        for row in 0..<events.rowCount {
            guard let id = alert(events, row), let revision = events.int32(row, 1),
                let transition = events.text(row, 2).flatMap({ EpisodeEvent.Transition(rawValue: $0) }),
                let severity = events.text(row, 3).flatMap({ Severity(rawValue: $0) }),
                let at = events.instant(row, 4), let actor = events.text(row, 7), let summary = events.text(row, 8),
                let explanation = events.text(row, 9)
            else { throw StoreFailure(kind: .misconfigured, message: "reading alerts' history: not understood") }
            var report: ReportKey?
            if let device = events.identifier(row, 5), let sent = events.identifier(row, 6, grammar: .report) {
                report = ReportKey(device: device, report: sent)
            }
            found.append(
                EpisodeEvent(
                    alert: id, revision: revision, transition: transition, severity: severity, at: at, report: report,
                    actor: actor, summary: summary, explanation: explanation))
        }
        return found
    }

    /// An alert's events before that one, newest first.
    public func history(
        of id: AlertID, before: Int32?, _ session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<AlertHistory> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<AlertHistory> in
            guard let file = try reader.alertFile(id) else { return .notThere }
            var parameters = PostgresParameters()
            parameters.add((file.episode.id.high, file.episode.id.low))
            parameters.add(before ?? .max)
            parameters.add(Int32(clamping: AlertHistory.size + 1))
            let events = try reader.events(Self.older, parameters)
            var patient: Identifier?
            if case .patient(let code) = file.episode.subject { patient = code }
            try reader.note(viewer, "alert", patient: patient)
            return .seen(
                AlertHistory(
                    viewer: viewer, episode: file.episode, events: Array(events.prefix(AlertHistory.size)),
                    hasOlder: events.count > AlertHistory.size))
        } ?? .signedOut
    }

    private static let minor = Statement(
        name: "web_minor",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision
            FROM homeward.alert
            WHERE state = 'open' AND (class = 'technical' OR severity = 'info')
            ORDER BY raised_at, id
            LIMIT 500
            """)

    /// Those that may be acknowledged together, the longest waiting first.
    public func minorAlerts(_ session: SessionToken) throws(StoreFailure) -> DeskAnswer<(Viewer, [Episode])> {
        try within(session, isActivity: true) {
            viewer, reader throws(StoreFailure) -> DeskAnswer<(Viewer, [Episode])> in
            let result = try reader.connection.run(Self.minor, PostgresParameters(), doing: "reading minor alerts")
            let episodes = try EpisodeRow.episodes(result)
            for episode in episodes {
                if case .patient(let code) = episode.subject { try reader.note(viewer, "alert", patient: code) }
            }
            return .seen((viewer, episodes))
        } ?? .signedOut
    }
}
