public import Alerting
internal import Clinical
internal import Formats
public import Ingestion

/// What the service page reads and asks for, in the page's role.
extension WebReader {
    static let quarantinePage = 50

    private static let deliveries = Statement(
        name: "web_deliveries",
        sql: """
            SELECT channel, state, count(*)::int4, min(created_at) FROM homeward.outbox
            WHERE state = 'pending' OR created_at > now() - interval '7 days'
            GROUP BY channel, state ORDER BY channel, array_position(ARRAY['pending', 'failed', 'sent'], state)
            """)
    private static let troubles = Statement(
        name: "web_troubles",
        sql: """
            SELECT o.alert, o.channel, o.recipient, o.state, coalesce(a.dead, false), o.attempts, o.last_error,
                o.created_at
            FROM homeward.outbox o
            LEFT JOIN LATERAL (
                SELECT dead FROM homeward.delivery_attempt d WHERE d.delivery_key = o.delivery_key
                ORDER BY attempt DESC LIMIT 1
            ) a ON true
            WHERE (o.state = 'pending' AND o.attempts > 0)
                OR (o.state = 'failed' AND o.created_at > now() - interval '7 days')
            ORDER BY o.created_at DESC, o.delivery_key LIMIT 50
            """)
    private static let reasons = Statement(
        name: "web_quarantine_reasons",
        sql: """
            SELECT reason, count(*)::int4, sum(times_seen)::int8 FROM homeward.quarantine
            WHERE last_received_at > now() - interval '30 days'
            GROUP BY reason ORDER BY count(*) DESC, reason
            """)
    private static let page = Statement(
        name: "web_quarantine_page",
        sql: """
            SELECT q.id, q.reason, q.site, q.device, q.report_id, q.place, q.received_at, q.last_received_at,
                q.times_seen, r.requested_by, r.requested_at, r.note, r.outcome, r.reason
            FROM homeward.quarantine q
            LEFT JOIN LATERAL (
                SELECT * FROM homeward.quarantine_release r WHERE r.quarantine = q.id ORDER BY r.id DESC LIMIT 1
            ) r ON true
            WHERE ($1::text IS NULL OR q.reason = $1::text) AND ($2::int8 IS NULL OR q.id < $2::int8)
            ORDER BY q.id DESC LIMIT $3::int4
            """)
    private static let one = Statement(
        name: "web_quarantined",
        sql: """
            SELECT q.id, q.reason, q.site, q.device, q.report_id, q.place, q.received_at, q.last_received_at,
                q.times_seen, NULL::text, NULL::timestamptz, NULL::text, NULL::text, NULL::text, q.detail, q.topic,
                q.payload, now()
            FROM homeward.quarantine q WHERE q.id = $1::int8
            """)
    private static let releases = Statement(
        name: "web_releases",
        sql: """
            SELECT requested_by, requested_at, note, outcome, reason FROM homeward.quarantine_release
            WHERE quarantine = $1::int8 ORDER BY id DESC LIMIT 20
            """)
    private static let pairings = Statement(
        name: "web_device_pairings",
        sql: """
            SELECT d.code, p.code, lower(h.period), upper(h.period)
            FROM homeward.pairing h JOIN homeward.device d ON d.id = h.device JOIN homeward.patient p ON p.id = h.patient
            WHERE d.code = $1::text AND h.retired_version IS NULL
            ORDER BY lower(h.period) DESC LIMIT 20
            """)
    private static let endings = Statement(
        name: "web_endings",
        sql: """
            SELECT d.code, p.code, lower(h.period), upper(h.period), EXISTS (
                SELECT FROM homeward.pairing o WHERE o.patient = h.patient AND o.retired_version IS NULL AND o.id <> h.id
                    AND (upper_inf(o.period) OR upper(o.period) > upper(h.period)))
            FROM homeward.pairing h JOIN homeward.device d ON d.id = h.device JOIN homeward.patient p ON p.id = h.patient
            WHERE h.retired_version IS NULL AND upper(h.period) > now() AND upper(h.period) <= now() + interval '7 days'
            ORDER BY upper(h.period), d.code LIMIT 200
            """)
    // What the policy refuses inserts nothing and is an error; the request that waits or succeeded stands.
    private static let release = Statement(
        name: "web_release",
        sql: """
            INSERT INTO homeward.quarantine_release (quarantine, requested_by, note)
            VALUES ($1::int8, $2::text, $3::text) ON CONFLICT DO NOTHING
            """)
    private static let clock = Statement(name: "web_now", sql: "SELECT now()")

    /// Without the instance's figures.
    public func service(
        _ search: QuarantineSearch, _ session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<ServiceFile> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<ServiceFile> in
            guard viewer.leads else { return .notThere }
            let none = PostgresParameters()
            let now = try reader.connection.run(Self.clock, none, doing: "reading the time")
            guard let at = now.instant(0, 0) else { return .notThere }
            let deliveries = try reader.connection.run(Self.deliveries, none, doing: "reading deliveries")
            let reasons = try reader.connection.run(Self.reasons, none, doing: "counting the quarantine")
            var parameters = PostgresParameters()
            parameters.add(optional: search.reason?.rawValue)
            if let before = search.before { parameters.add(before) } else { parameters.addNull() }
            parameters.add(Int32(Self.quarantinePage + 1))
            let page = try reader.connection.run(Self.page, parameters, doing: "reading the quarantine")
            let rows = try (0..<page.rowCount).map { place throws(StoreFailure) in try Self.row(page, place) }
            let endings = try reader.connection.run(Self.endings, none, doing: "reading pairings")
            let file = ServiceFile(
                viewer: viewer, at: at,
                deliveries: (0..<deliveries.rowCount).compactMap { row in
                    guard let channel = deliveries.text(row, 0), let state = deliveries.text(row, 1),
                        let count = deliveries.int32(row, 2), let oldest = deliveries.instant(row, 3)
                    else { return nil }
                    return DeliveryCount(channel: channel, state: state, count: Int(count), oldest: oldest)
                }, troubles: try reader.troubles(),
                reasons: (0..<reasons.rowCount).compactMap { row in
                    guard let reason = reasons.text(row, 0).flatMap(RefusalReason.init(rawValue:)),
                        let count = reasons.int32(row, 1), let times = reasons.int64(row, 2)
                    else { return nil }
                    return ReasonCount(reason: reason, rows: Int(count), times: Int(clamping: times))
                }, search: search, rows: Array(rows.prefix(Self.quarantinePage)),
                hasMore: rows.count > Self.quarantinePage, endings: Self.spans(endings, hasEnd: true))
            try reader.note(viewer, "service", patient: nil)
            return .seen(file)
        } ?? .signedOut
    }

    private func troubles() throws(StoreFailure) -> [DeliveryTrouble] {
        let rows = try connection.run(Self.troubles, PostgresParameters(), doing: "reading deliveries")
        return (0..<rows.rowCount).compactMap { row in
            guard let alert = rows.uuid(row, 0), let channel = rows.text(row, 1), let recipient = rows.text(row, 2),
                let state = rows.text(row, 3), let isDead = rows.boolean(row, 4), let attempts = rows.int32(row, 5),
                let createdAt = rows.instant(row, 7)
            else { return nil }
            return DeliveryTrouble(
                alert: AlertID(high: alert.high, low: alert.low), channel: channel, recipient: recipient, state: state,
                isDead: isDead, attempts: Int(attempts), lastError: rows.text(row, 6), createdAt: createdAt)
        }
    }

    private static func row(_ rows: borrowing PostgresResult, _ row: Int) throws(StoreFailure) -> QuarantineRow {
        guard let id = rows.int64(row, 0), let reason = rows.text(row, 1).flatMap(RefusalReason.init(rawValue:)),
            let receivedAt = rows.instant(row, 6), let last = rows.instant(row, 7), let times = rows.int32(row, 8)
        else { throw StoreFailure(kind: .misconfigured, message: "reading the quarantine: a row can't be understood") }
        var release: ReleaseState?
        if let by = rows.text(row, 9), let at = rows.instant(row, 10), let note = rows.text(row, 11) {
            release = ReleaseState(
                requestedBy: by, requestedAt: at, note: note, outcome: rows.text(row, 12), reason: rows.text(row, 13))
        }
        return QuarantineRow(
            id: id, reason: reason, site: rows.text(row, 2), device: rows.text(row, 3), report: rows.text(row, 4),
            reading: rows.int16(row, 5).map { Int($0) }, receivedAt: receivedAt, lastReceivedAt: last,
            timesSeen: Int(times), release: release)
    }

    private static func spans(_ rows: borrowing PostgresResult, hasEnd: Bool) -> [PairingSpan] {
        var spans: [PairingSpan] = []
        for row in 0..<rows.rowCount {
            guard let device = rows.text(row, 0), let patient = rows.text(row, 1), let from = rows.instant(row, 2)
            else { continue }
            spans.append(
                PairingSpan(
                    device: device, patient: patient, from: from, until: rows.instant(row, 3),
                    goesOn: hasEnd ? rows.boolean(row, 4) ?? false : false))
        }
        return spans
    }

    public func quarantined(_ id: Int64, _ session: SessionToken) throws(StoreFailure) -> DeskAnswer<QuarantineFile> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<QuarantineFile> in
            guard viewer.leads, let file = try reader.held(id, viewer) else { return .notThere }
            // Whose report it is, as far as it and the pairings tell; else of everybody who is shown as its device's holder.
            let holder = file.takenAt.flatMap { at in
                file.pairings.first { $0.from <= at && ($0.until.map { at < $0 } ?? true) }
            }
            let patients = Set((holder.map { [$0] } ?? file.pairings).compactMap { Identifier($0.patient) })
            for patient in patients.sorted(by: { $0.description < $1.description }) {
                try reader.note(viewer, "quarantine", patient: patient)
            }
            if patients.isEmpty { try reader.note(viewer, "quarantine", patient: nil) }
            return .seen(file)
        } ?? .signedOut
    }

    private func held(_ id: Int64, _ viewer: Viewer) throws(StoreFailure) -> QuarantineFile? {
        var parameters = PostgresParameters()
        parameters.add(id)
        let found = try connection.run(Self.one, parameters, doing: "reading the quarantine")
        guard found.rowCount == 1, let detail = found.text(0, 14), let topic = found.text(0, 15),
            let payload = found.bytes(0, 16), let at = found.instant(0, 17)
        else { return nil }
        var row = try Self.row(found, 0)
        let asked = try connection.run(Self.releases, parameters, doing: "reading releases")
        let states = (0..<asked.rowCount).compactMap { place -> ReleaseState? in
            guard let by = asked.text(place, 0), let at = asked.instant(place, 1), let note = asked.text(place, 2)
            else { return nil }
            return ReleaseState(
                requestedBy: by, requestedAt: at, note: note, outcome: asked.text(place, 3),
                reason: asked.text(place, 4))
        }
        row.release = states.first
        var device = PostgresParameters()
        device.add(row.device ?? "")
        let pairings = try connection.run(Self.pairings, device, doing: "reading pairings")
        return QuarantineFile(
            viewer: viewer, at: at, row: row, detail: detail, topic: topic, payload: payload,
            earlier: Array(states.dropFirst()), pairings: Self.spans(pairings, hasEnd: false),
            takenAt: Self.takenAt(payload))
    }

    private static func takenAt(_ payload: [UInt8]) -> Instant? {
        (try? JSONReader.value(payload.span, maximumDepth: 8))?["taken_at"]?.string.flatMap { RFC3339.parse($0) }
    }

    /// Asks the daemon's commit to judge it again. Nil: it was asked for; asking twice asks once.
    public func release(
        _ id: Int64, note: String, _ session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<ReleaseRefusal?> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<ReleaseRefusal?> in
            guard viewer.leads, let file = try reader.held(id, viewer) else { return .notThere }
            if file.row.release?.isSettled ?? false { return .seen(.requestedAlready) }
            guard file.isReleasable else { return .seen(.notReleasable) }
            var parameters = PostgresParameters()
            parameters.add(id)
            parameters.add(viewer.careManager.description)
            parameters.add(note)
            let asked = try reader.connection.run(Self.release, parameters, doing: "releasing a report").affectedRows
            return .seen(asked == 1 ? nil : .requestedAlready)
        } ?? .signedOut
    }
}
