public import Alerting
public import Clinical
internal import Cryptography
internal import Documents
internal import Formats
public import Ingestion
public import Registry

/// What persons do with alerts, one transaction each: for `homeward alerts` and the page. One thread.
///
/// The alert's row is locked, so that an action and a report that worsens the alert take turns. Escalation ends in the
/// same transaction; what brings the alert back is set in it.
public final class AlertDesk {
    private var connection: PostgresConnection

    private static let lock = Statement(
        name: "lock_alert",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision
            FROM homeward.alert WHERE id = $1::uuid
            FOR UPDATE
            """)
    private static let visible = Statement(
        name: "visible_alert", sql: "SELECT 1 FROM homeward.alert WHERE id = $1::uuid FOR UPDATE")
    private static let fitting = Statement(
        name: "fitting_alert",
        sql: """
            SELECT a.class = 'technical' OR a.severity = 'info', EXISTS (
                SELECT FROM homeward.registry_current e
                WHERE e.entity = 'care-manager' AND e.code = $2::text AND e.fields ->> 'site' = a.site
                    AND coalesce(e.fields ->> 'role', 'care-manager') <> 'read-only')
            FROM homeward.alert a WHERE a.id = $1::uuid
            FOR UPDATE
            """)
    private static let spoke = Statement(
        name: "alert_spoke",
        sql: """
            SELECT max(revision) FROM homeward.alert_event
            WHERE alert = $1::uuid AND transition = ANY ($2::text[])
            """)
    private static let claim = Statement(
        name: "alert_claim",
        sql: """
            SELECT actor, revision, at FROM homeward.alert_event
            WHERE alert = $1::uuid AND transition IN ('acknowledged', 'taken')
            ORDER BY revision DESC LIMIT 1
            """)
    private static let role = Statement(
        name: "care_manager_role",
        sql: """
            SELECT coalesce(fields ->> 'role', 'care-manager') FROM homeward.registry_current
            WHERE entity = $1::text AND code = $2::text
            """)

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("desk"))
    }

    /// Does it, and returns the alert as it is afterwards; nil when there is no such alert. Committed when it returns.
    ///
    /// - Parameters:
    ///   - seen: the last event that the person saw.
    ///   - session: of the page: an alert that it may not act on is not there.
    ///   - minorOnly: refused for any but a technical alert or one that only informs.
    ///   - recipient: who gets it from the actor: of the alert's site, and may act.
    public func act(
        _ action: AlertAction, on alert: AlertID, by actor: AlertActor, note: String?, seen: Int32?,
        within session: SessionToken? = nil, minorOnly: Bool = false, handingTo recipient: Identifier? = nil,
        at instant: Instant
    ) throws(StoreFailure) -> Result<Episode, AlertActionRefusal>? {
        try connection.startCheckedCall()
        do {
            _ = try connection.query("BEGIN; SET LOCAL synchronous_commit = on", doing: "acting on an alert")
            if let session, try !mayAct(on: alert, within: session) {
                _ = try connection.query("ROLLBACK", doing: "acting on an alert")
                return nil
            }
            if let refusal = try refusal(alert, minorOnly: minorOnly, recipient) {
                _ = try connection.query("ROLLBACK", doing: "acting on an alert")
                return .failure(refusal)
            }
            let result = try change(action, alert, actor, note, seen, instant)
            _ = try connection.query("COMMIT", doing: "acting on an alert")
            return result
        } catch {
            // Whatever was begun ends with the session.
            connection.close()
            throw error
        }
    }

    /// Why the alert is none of these, or can't be handed to that care manager.
    private func refusal(
        _ alert: AlertID, minorOnly: Bool, _ recipient: Identifier?
    ) throws(StoreFailure) -> AlertActionRefusal? {
        guard minorOnly || recipient != nil else { return nil }
        var parameters = PostgresParameters()
        parameters.add((alert.high, alert.low))
        parameters.add(optional: recipient?.description)
        let result = try connection.run(Self.fitting, parameters, doing: "acting on an alert")
        if minorOnly, result.boolean(0, 0) == false { return .notMinor }
        if recipient != nil, result.boolean(0, 1) == false { return .noSuchCareManager }
        return nil
    }

    /// Locks the alert as the page would: row-level security says whether it is there and the session may act on it.
    private func mayAct(on alert: AlertID, within session: SessionToken) throws(StoreFailure) -> Bool {
        var parameters = PostgresParameters()
        parameters.add(hexadecimal(sha256(session.bytes)))
        try WebReader.enter(parameters, &connection)
        parameters = PostgresParameters()
        parameters.add((alert.high, alert.low))
        let found = try connection.run(Self.visible, parameters, doing: "acting on an alert").rowCount == 1
        _ = try connection.run(WebReader.leave, PostgresParameters(), doing: "acting on an alert")
        return found
    }

    /// What the registry says of a care manager; nil where it knows none of that code.
    public func role(of careManager: Identifier) throws(StoreFailure) -> CareManager.Role? {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(RegistryEntity.careManager.rawValue)
        parameters.add(careManager.description)
        let result = try connection.run(Self.role, parameters, doing: "reading a care manager")
        return result.text(0, 0).flatMap(CareManager.Role.init(rawValue:))
    }

    private func change(
        _ action: AlertAction, _ alert: AlertID, _ actor: AlertActor, _ note: String?, _ seen: Int32?,
        _ instant: Instant
    ) throws(StoreFailure) -> Result<Episode, AlertActionRefusal>? {
        var parameters = PostgresParameters()
        parameters.add((alert.high, alert.low))
        guard
            let episode = try EpisodeRow.episodes(
                try connection.run(Self.lock, parameters, doing: "acting on an alert")
            ).first
        else { return nil }
        parameters.addTexts(of: EpisodeEvent.Transition.allCases.filter(\.notifies)) { $0.rawValue }
        let spoke = try connection.run(Self.spoke, parameters, doing: "acting on an alert").int32(0, 0)
        let claim = try claim(on: alert)
        let change: EpisodeChange
        do throws(AlertActionRefusal) {
            change = try episode.after(
                action, by: actor, note: note, explanation: Self.explanation(action, actor, note, seen), seen: seen,
                spoke: spoke ?? 0, claim: claim, at: instant)
        } catch {
            return .failure(error)
        }
        var calls = EpisodeWriting.calls([change])
        let timers = AlertTimers(after: action, on: change.episode, at: instant)
        var batch = CommitBatch()
        batch.endedTimers = timers.ended
        batch.timers = timers.set
        calls += TimerWriting.calls(batch)
        if case .shelve(let end) = action {
            calls.append(
                SuppressionWriting.call([
                    Suppression(
                        kind: .shelving, alert: alert, reason: note ?? "", actor: actor.name, until: end)
                ]))
        }
        _ = try connection.run(calls, doing: "acting on an alert")
        return .success(change.episode)
    }

    private func claim(on alert: AlertID) throws(StoreFailure) -> AlertClaim? {
        var parameters = PostgresParameters()
        parameters.add((alert.high, alert.low))
        let found = try connection.run(Self.claim, parameters, doing: "acting on an alert")
        guard let holder = found.text(0, 0), let revision = found.int32(0, 1), let at = found.instant(0, 2) else {
            return nil
        }
        return AlertClaim(holder: holder, revision: revision, at: at)
    }

    private static func explanation(
        _ action: AlertAction, _ actor: AlertActor, _ note: String?, _ seen: Int32?
    ) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("account")
        writer.value(actor.account)
        if let careManager = actor.careManager {
            writer.name("on_behalf_of")
            writer.value(careManager.description)
        }
        if let note {
            writer.name("note")
            writer.value(note)
        }
        if case .shelve(let end) = action {
            writer.name("until")
            writer.value(end)
        }
        if let seen {
            writer.name("seen")
            writer.value(Int(seen))
        }
        writer.endObject()
        return writer.text
    }
}
