public import Alerting
public import Clinical
public import Ingestion
public import Registry

/// What the pages of a plan and of the packs read, in the page's role.
extension WebReader {
    public struct StoredPlan: Sendable {
        public var viewer: Viewer
        public var at: Instant
        public var fields: [String: FieldValue]
        /// Newest first; the last of a long history has nothing before it to be compared with.
        public var versions: [PlanVersion]
    }

    private static let versionsShown = 50
    private static let versions = Statement(
        name: "web_versions",
        sql: """
            SELECT e.version, e.valid_from, e.actor, e.source, e.reason, e.fields::text, now()
            FROM homeward.patient p JOIN homeward.registry_entry e ON e.entity = 'patient' AND e.code = p.code
            WHERE p.code = $1::text ORDER BY e.version DESC LIMIT $2::int4
            """)

    public func plan(of patient: Identifier, _ session: SessionToken) throws(StoreFailure) -> DeskAnswer<StoredPlan> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<StoredPlan> in
            var parameters = PostgresParameters()
            parameters.add(patient.description)
            parameters.add(Int32(Self.versionsShown + 1))
            let rows = try reader.connection.run(Self.versions, parameters, doing: "reading a plan")
            guard let at = rows.instant(0, 6) else {
                try reader.refuse(patient)
                return .notThere
            }
            var read: [(version: PlanVersion, fields: [String: FieldValue])] = []
            for row in 0..<rows.rowCount {
                guard let version = rows.int64(row, 0), let since = rows.instant(row, 1), let actor = rows.text(row, 2),
                    let source = rows.text(row, 3), let fields = RegistryReading.fields(rows.bytes(row, 5))
                else { throw StoreFailure(kind: .misconfigured, message: "reading a plan: a row can't be understood") }
                read.append(
                    (
                        PlanVersion(
                            version: version, at: since, actor: actor, source: source, reason: rows.text(row, 4),
                            changes: []), fields
                    ))
            }
            let fields = read.first?.fields ?? [:]
            let isWhole = read.count <= Self.versionsShown
            for place in read.indices {
                let before = place + 1 < read.count ? read[place + 1].fields : [:]
                read[place].version.changes = Self.changes(from: before, to: read[place].fields)
            }
            try reader.note(viewer, "plan", patient: patient)
            return .seen(
                StoredPlan(
                    viewer: viewer, at: at, fields: fields,
                    versions: (isWhole ? read : Array(read.dropLast())).map(\.version)))
        } ?? .signedOut
    }

    static func changes(
        from before: [String: FieldValue], to after: [String: FieldValue]
    ) -> [PlanVersion.Change] {
        Set(before.keys).union(after.keys).sorted().compactMap { name in
            let (old, new) = (before[name] ?? .null, after[name] ?? .null)
            return old == new ? nil : PlanVersion.Change(field: name, before: old, after: new)
        }
    }

    // MARK: Packs

    private static let packs = Statement(
        name: "web_packs",
        sql: """
            SELECT c.pack, c.hash, c.first_seen_at, c.configured, c.content, now() FROM homeward.pack_content c
            ORDER BY c.pack, c.configured DESC, c.first_seen_at DESC LIMIT 200
            """)
    private static let approvals = Statement(
        name: "web_approvals",
        sql: """
            SELECT a.pack, a.hash, a.approved_by, a.approved_at, a.note, r.retired_by, r.retired_at, r.reason, a.id
            FROM homeward.pack_approval a LEFT JOIN homeward.pack_retirement r ON r.approval = a.id ORDER BY a.id
            """)
    private static let mayApprove = Statement(name: "web_may_approve", sql: "SELECT homeward.may_approve()")
    // The policy says who may.
    private static let approve = Statement(
        name: "web_approve",
        sql: """
            INSERT INTO homeward.pack_approval (pack, hash, approved_by, note)
            VALUES ($1::text, $2::bytea, $3::text, $4::text)
            """)

    // Plans change in turn with this: none names the pack meanwhile.
    private static let lockRegistry = Statement(
        name: "web_retire_lock", sql: "SELECT pg_advisory_xact_lock(7811322041998342)")
    private static let naming = Statement(name: "web_pack_patients", sql: "SELECT homeward.pack_patients($1::text)")
    // The policy says who may, and of which pack.
    private static let retire = Statement(
        name: "web_retire",
        sql: """
            INSERT INTO homeward.pack_retirement (approval, retired_by, reason) VALUES ($1::int8, $2::text, $3::text)
            """)

    /// Without what is in force, which the daemon knows.
    public func packs(_ session: SessionToken) throws(StoreFailure) -> DeskAnswer<PackFile> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<PackFile> in
            .seen(try reader.packs(viewer))
        } ?? .signedOut
    }

    private func packs(_ viewer: Viewer) throws(StoreFailure) -> PackFile {
        let rows = try connection.run(Self.packs, PostgresParameters(), doing: "reading packs")
        let approvals = try approvals()
        var at = Instant(microseconds: 0)
        var versions: [PackVersion] = []
        for row in 0..<rows.rowCount {
            guard let pack = rows.text(row, 0), let hash = rows.bytes(row, 1), let seen = rows.instant(row, 2),
                let isConfigured = rows.boolean(row, 3), let content = rows.bytes(row, 4),
                let now = rows.instant(row, 5)
            else { continue }
            at = now
            versions.append(
                PackVersion(
                    pack: pack, hash: hash, firstSeenAt: seen, isConfigured: isConfigured, isInForce: false,
                    content: content,
                    approvals: approvals.filter { $0.pack == pack && $0.hash == hash }.map(\.approval)))
        }
        let may = try connection.run(Self.mayApprove, PostgresParameters(), doing: "reading who may approve")
        return PackFile(viewer: viewer, at: at, versions: versions, mayApprove: may.boolean(0, 0) ?? false)
    }

    private struct StoredApproval {
        var id: Int64
        var pack: String
        var hash: [UInt8]
        var approval: PackApproval
    }

    /// Oldest first.
    private func approvals() throws(StoreFailure) -> [StoredApproval] {
        let rows = try connection.run(Self.approvals, PostgresParameters(), doing: "reading approvals")
        return (0..<rows.rowCount).compactMap { row in
            guard let pack = rows.text(row, 0), let hash = rows.bytes(row, 1), let by = rows.text(row, 2),
                let at = rows.instant(row, 3), let note = rows.text(row, 4), let id = rows.int64(row, 8)
            else { return nil }
            var approval = PackApproval(by: by, at: at, note: note)
            if let by = rows.text(row, 5), let at = rows.instant(row, 6), let reason = rows.text(row, 7) {
                approval.retirement = PackRetirement(by: by, at: at, reason: reason)
            }
            return StoredApproval(id: id, pack: pack, hash: hash, approval: approval)
        }
    }

    /// Ends the last approval of a pack whose file is gone and that no patient's plan names. Nil: it is retired.
    public func retire(
        _ pack: String, reason: String, _ session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<RetirementRefusal?> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<RetirementRefusal?> in
            _ = try reader.connection.run(Self.lockRegistry, PostgresParameters(), doing: "retiring a pack")
            let file = try reader.packs(viewer)
            guard file.mayApprove, file.versions.contains(where: { $0.pack == pack }) else { return .notThere }
            if file.versions.contains(where: { $0.pack == pack && $0.isConfigured }) { return .seen(.configured) }
            guard let last = try reader.approvals().last(where: { $0.pack == pack }), last.approval.retirement == nil
            else { return .seen(.notApproved) }
            var parameters = PostgresParameters()
            parameters.add(pack)
            let count = try reader.connection.run(Self.naming, parameters, doing: "counting patients").int64(0, 0) ?? 0
            guard count == 0 else { return .seen(.named(Int(clamping: count))) }
            parameters = PostgresParameters()
            parameters.add(last.id)
            parameters.add(viewer.careManager.description)
            parameters.add(reason)
            _ = try reader.connection.run(Self.retire, parameters, doing: "retiring a pack")
            return .seen(nil)
        } ?? .signedOut
    }

    /// Nil: it was approved. An earlier approved content may be approved again, which puts it back in force; what nobody is
    /// configured with and nobody approved can't.
    public func approve(
        _ pack: String, hash: [UInt8], note: String, _ session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<ApprovalRefusal?> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<ApprovalRefusal?> in
            let file = try reader.packs(viewer)
            guard file.mayApprove else { return .notThere }
            let versions = file.versions.filter { $0.pack == pack }
            guard let wanted = versions.first(where: { $0.hash == hash }) else { return .notThere }
            guard wanted.isConfigured || !wanted.approvals.isEmpty else { return .seen(.notConfigured) }
            let newest = try reader.approvals().last { $0.pack == pack }
            if let newest, newest.hash == hash, newest.approval.retirement == nil { return .seen(.approvedAlready) }
            var parameters = PostgresParameters()
            parameters.add(pack)
            parameters.add(hash)
            parameters.add(viewer.careManager.description)
            parameters.add(note)
            _ = try reader.connection.run(Self.approve, parameters, doing: "approving a pack")
            return .seen(nil)
        } ?? .signedOut
    }
}
