public import Alerting
public import Clinical
internal import Cryptography
public import Ingestion
internal import Registry

/// What the care managers' page reads, each call one transaction in the role of the page and in the name of a session: row-
/// level security leaves only what that session's care manager may see. One thread.
public final class WebReader {
    var connection: PostgresConnection
    private let isApproved: @Sendable () -> Bool

    /// - Parameter isApproved: whether the packs in force are those that were approved last.
    public init(_ configuration: DatabaseConfiguration, isApproved: @escaping @Sendable () -> Bool = { true }) {
        connection = PostgresConnection(configuration.named("web"))
        self.isApproved = isApproved
    }

    // MARK: Sessions

    // Written at most once a minute.
    private static let touch = Statement(
        name: "web_touch",
        sql: """
            UPDATE homeward.web_session SET idle_until = now() + $2::int8 * interval '1 microsecond'
            WHERE token_hash = $1::bytea AND ended_at IS NULL AND expires_at > now() AND idle_until > now()
                AND idle_until < now() + $2::int8 * interval '1 microsecond' - interval '1 minute'
            """)
    private static let end = Statement(
        name: "web_end",
        sql: """
            WITH this AS (
                SELECT care_manager FROM homeward.web_session WHERE token_hash = $1::bytea AND ended_at IS NULL
            )
            , ended AS (
                UPDATE homeward.web_session SET ended_at = now()
                WHERE ended_at IS NULL AND care_manager IN (SELECT care_manager FROM this)
                    AND ($2::int4 = 1 OR token_hash = $1::bytea)
            )
            INSERT INTO homeward.read_audit (care_manager, site, what)
            SELECT this.care_manager, s.code, 'signed-out'
            FROM this JOIN homeward.care_manager c ON c.code = this.care_manager JOIN homeward.site s ON s.id = c.site
            """)
    // What the page asks for by itself is a look all the same: recorded every ten minutes.
    private static let list = Statement(
        name: "web_list_look",
        sql: """
            UPDATE homeward.web_session SET listed_at = now()
            WHERE token_hash = $1::bytea AND ended_at IS NULL AND expires_at > now() AND idle_until > now()
                AND ($2::int4 = 1 OR listed_at IS NULL OR listed_at < now() - interval '10 minutes')
            """)
    static let enter = Statement(
        name: "web_enter",
        sql: "SELECT set_config('homeward.session', $1::text, true), set_config('role', 'homeward_web', true)")
    static let leave = Statement(name: "web_leave", sql: "SELECT set_config('role', 'none', true)")
    private static let viewerStatement = Statement(
        name: "web_viewer",
        sql: """
            SELECT v.care_manager, v.role, v.site, coalesce(e.name, v.site),
                coalesce(e.timezone, 'Europe/London'), EXISTS (SELECT FROM homeward.pack_content)
                    AND NOT EXISTS (SELECT FROM homeward.pack_content c WHERE c.configured
                        AND NOT EXISTS (SELECT FROM homeward.pack_approval a WHERE a.pack = c.pack))
            FROM homeward.web_viewer() v LEFT JOIN homeward.web_site() e ON true
            """)
    private static let audit = Statement(
        name: "web_audit",
        sql: """
            INSERT INTO homeward.read_audit (care_manager, site, patient, what)
            VALUES ($1::text, $2::text, $3::text, $4::text)
            """)

    /// Who is signed in with that session; nil when it has ended.
    public func viewer(_ session: SessionToken, isActivity: Bool) throws(StoreFailure) -> Viewer? {
        try within(session, isActivity: isActivity) { viewer, _ throws(StoreFailure) in viewer }
    }

    public func end(_ session: SessionToken, everywhere: Bool) throws(StoreFailure) {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(sha256(session.bytes))
        parameters.add(Int32(everywhere ? 1 : 0))
        _ = try connection.run(Self.end, parameters, doing: "signing out")
    }

    /// Nil when the session has ended.
    ///
    /// - Parameter isList: the worklist is looked at: when that was last recorded and the record are written as one.
    func within<Value>(
        _ session: SessionToken, isActivity: Bool, isList: Bool = false,
        _ body: (Viewer, WebReader) throws(StoreFailure) -> Value
    ) throws(StoreFailure) -> Value? {
        try connection.startCheckedCall()
        do throws(StoreFailure) {
            let hash = sha256(session.bytes)
            var parameters = PostgresParameters()
            if isActivity {
                parameters.add(hash)
                parameters.add(WebAccounts.idleTime.microseconds)
                _ = try connection.run(Self.touch, parameters, doing: "keeping a session")
            }
            _ = try connection.query("BEGIN", doing: "reading for the page")
            var isLook = false
            if isList {
                parameters = PostgresParameters()
                parameters.add(hash)
                parameters.add(Int32(isActivity ? 1 : 0))
                isLook = try connection.run(Self.list, parameters, doing: "keeping a session").affectedRows == 1
            }
            parameters = PostgresParameters()
            parameters.add(hexadecimal(hash))
            try Self.enter(parameters, &connection)
            var value: Value?
            if var viewer = try Self.viewer(&connection) {
                viewer.hasApprovedLimits = viewer.hasApprovedLimits && isApproved()
                if isLook { try note(viewer, "worklist", patient: nil) }
                value = try body(viewer, self)
            }
            _ = try connection.query("COMMIT", doing: "reading for the page")
            return value
        } catch {
            // The role and the session end with the connection.
            connection.close()
            throw error
        }
    }

    /// Whose session it is, in a transaction that has taken on the page's role.
    static func viewer(_ connection: inout PostgresConnection) throws(StoreFailure) -> Viewer? {
        let row = try connection.run(viewerStatement, PostgresParameters(), doing: "reading a session")
        guard let careManager = row.identifier(0, 0), let site = row.identifier(0, 2),
            let role = row.text(0, 1).flatMap(CareManager.Role.init(rawValue:)), let siteName = row.text(0, 3),
            let timeZone = row.text(0, 4), let hasApprovedLimits = row.boolean(0, 5)
        else { return nil }
        return Viewer(
            careManager: careManager, role: role, site: site, siteName: siteName, timeZone: timeZone,
            hasApprovedLimits: hasApprovedLimits)
    }

    /// Takes on the page's role until the end of the transaction.
    static func enter(_ parameters: PostgresParameters, _ connection: inout PostgresConnection) throws(StoreFailure) {
        do throws(StoreFailure) {
            _ = try connection.run(enter, parameters, doing: "taking on the page's role")
        } catch {
            guard error.kind != .transient else { throw error }
            throw StoreFailure(
                kind: .misconfigured, sqlState: error.sqlState,
                message:
                    "the database's role can't take on homeward_web: run deploy/roles.sql, or create that role and "
                    + "grant it to this one, then `homeward migrate`")
        }
    }

    func note(_ viewer: Viewer, _ what: String, patient: Identifier?) throws(StoreFailure) {
        var parameters = PostgresParameters()
        parameters.add(viewer.careManager.description)
        parameters.add(viewer.site.description)
        parameters.add(optional: patient?.description)
        parameters.add(what)
        _ = try connection.run(Self.audit, parameters, doing: "recording a look")
    }

    // MARK: Worklist

    private static let patients = Statement(name: "web_patients", sql: "SELECT code FROM homeward.patient")
    private static let others = Statement(
        name: "web_others",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision,
                CASE WHEN state = 'open' AND severity = 'red' THEN (
                    SELECT e.revision FROM homeward.alert_event e
                    WHERE e.alert = a.id AND e.transition IN ('opened', 'worsened', 'reopened')
                    ORDER BY e.revision DESC LIMIT 1) END
            FROM homeward.alert a
            WHERE state <> 'resolved' AND subject_type <> 'patient'
            ORDER BY array_position(ARRAY['red', 'amber', 'info'], severity), raised_at, id
            LIMIT 200
            """)

    public struct Visible: Sendable {
        public var viewer: Viewer
        /// Nil where they were not asked for.
        public var patients: Set<Identifier>?
        /// Open alerts of the site that are about no patient.
        public var others: [Episode]
        /// Of those that are open and red, the last event that notified.
        public var othersSpoke: [AlertID: Int32]
    }

    /// Who looks at the worklist, which is recorded; nil when the session has ended.
    public func looker(_ session: SessionToken, isActivity: Bool) throws(StoreFailure) -> Viewer? {
        try within(session, isActivity: isActivity, isList: true) { viewer, _ throws(StoreFailure) in viewer }
    }

    /// What of the worklist that session's care manager may see; nil when it has ended.
    public func visible(_ session: SessionToken, withPatients: Bool) throws(StoreFailure) -> Visible? {
        try within(session, isActivity: false) { viewer, reader throws(StoreFailure) in
            var patients: Set<Identifier>?
            if withPatients {
                let rows = try reader.connection.run(Self.patients, PostgresParameters(), doing: "reading patients")
                patients = Set((0..<rows.rowCount).compactMap { rows.identifier($0, 0) })
            }
            let others = try reader.connection.run(Self.others, PostgresParameters(), doing: "reading alerts")
            var spoke: [AlertID: Int32] = [:]
            for row in 0..<others.rowCount {
                if let id = others.uuid(row, 0), let last = others.int32(row, 18) {
                    spoke[AlertID(high: id.high, low: id.low)] = last
                }
            }
            return Visible(
                viewer: viewer, patients: patients, others: try EpisodeRow.episodes(others), othersSpoke: spoke)
        }
    }
}
