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
            guard let at = rows.instant(0, 6) else { return .notThere }
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
        sql: "SELECT pack, hash, approved_by, approved_at, note FROM homeward.pack_approval ORDER BY id")
    private static let mayApprove = Statement(name: "web_may_approve", sql: "SELECT homeward.may_approve()")
    // The policy says who may.
    private static let approve = Statement(
        name: "web_approve",
        sql: """
            INSERT INTO homeward.pack_approval (pack, hash, approved_by, note)
            VALUES ($1::text, $2::bytea, $3::text, $4::text)
            """)

    /// Without what is in force, which the daemon knows.
    public func packs(_ session: SessionToken) throws(StoreFailure) -> DeskAnswer<PackFile> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<PackFile> in
            .seen(try reader.packs(viewer))
        } ?? .signedOut
    }

    private func packs(_ viewer: Viewer) throws(StoreFailure) -> PackFile {
        let rows = try connection.run(Self.packs, PostgresParameters(), doing: "reading packs")
        var approvals: [PackKey: [PackApproval]] = [:]
        let said = try connection.run(Self.approvals, PostgresParameters(), doing: "reading approvals")
        for row in 0..<said.rowCount {
            guard let pack = said.text(row, 0), let hash = said.bytes(row, 1), let by = said.text(row, 2),
                let at = said.instant(row, 3), let note = said.text(row, 4)
            else { continue }
            approvals[PackKey(pack: pack, hash: hash), default: []].append(PackApproval(by: by, at: at, note: note))
        }
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
                    content: content, approvals: approvals[PackKey(pack: pack, hash: hash)] ?? []))
        }
        let may = try connection.run(Self.mayApprove, PostgresParameters(), doing: "reading who may approve")
        return PackFile(viewer: viewer, at: at, versions: versions, mayApprove: may.boolean(0, 0) ?? false)
    }

    private struct PackKey: Hashable {
        var pack: String
        var hash: [UInt8]
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
            let newest = versions.flatMap { version in version.approvals.map { (version.hash, $0.at) } }
                .max { $0.1 < $1.1 }
            if newest?.0 == hash { return .seen(.approvedAlready) }
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
