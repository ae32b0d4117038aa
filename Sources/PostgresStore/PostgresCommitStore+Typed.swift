internal import Alerting
public import Clinical
public import Ingestion

extension PostgresCommitStore {
    private static let waiting = Statement(
        name: "waiting_reports",
        sql: """
            SELECT id, site, device, payload, entered_at FROM homeward.typed_report
            WHERE taken_in_at IS NULL AND ($1::text[] IS NULL OR site = ANY ($1::text[]))
            ORDER BY entered_at, id LIMIT $2::int4
            """)
    private static let taken = Statement(
        name: "typed_outcomes",
        sql: """
            UPDATE homeward.typed_report t SET taken_in_at = now(), outcome = o.outcome, reason = o.reason
            FROM unnest($1::uuid[], $2::text[], $3::text[]) AS o (id, outcome, reason)
            WHERE t.id = o.id AND t.taken_in_at IS NULL
            """)

    public func waitingReports(sites: Set<Identifier>?, limit: Int) throws(StoreFailure) -> [WaitingReport] {
        connection.startCall()
        var parameters = PostgresParameters()
        if let sites { parameters.addTexts(of: sites) { $0.description } } else { parameters.addNull() }
        parameters.add(Int32(clamping: limit))
        let result = try connection.run(Self.waiting, parameters, doing: "reading typed reports")
        return (0..<result.rowCount).compactMap { row in
            guard let id = result.uuid(row, 0), let site = result.identifier(row, 1),
                let device = result.identifier(row, 2), let payload = result.bytes(row, 3),
                let receivedAt = result.instant(row, 4)
            else { return nil }
            return WaitingReport(
                form: FormID(high: id.high, low: id.low), site: site, device: device, payload: payload,
                receivedAt: receivedAt)
        }
    }

    public func note(_ outcomes: [TypedOutcome]) throws(StoreFailure) {
        guard !outcomes.isEmpty else { return }
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.addArray(.uuid, of: outcomes) { outcome, parameters in
            parameters.write((outcome.form.high, outcome.form.low))
            return true
        }
        parameters.addTexts(of: outcomes) { $0.outcome }
        parameters.addTexts(of: outcomes) { $0.reason }
        _ = try connection.run(Self.taken, parameters, doing: "noting what became of typed reports")
    }
}
