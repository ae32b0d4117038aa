public import Clinical
public import Registry

/// Who may see a patient, who looked, and the patient's own data for the patient.
public protocol SharingDesk: Sendable {
    func sharing(
        of patient: Identifier, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<SharingFile>
    /// A professional who may only look is selected for the patient. False where that one can't be, or is already.
    func share(
        _ patient: Identifier, with careManager: Identifier, word: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Bool>
    /// False when it had ended.
    func endSharing(
        _ id: Int64, of patient: Identifier, reason: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Bool>
    /// Of the viewer's site, newest first; `notThere` for those who may not search it.
    func searchAudit(
        _ search: AuditSearch, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<AuditFile>
    /// A part of all that is stored of a patient, as lines of CSV; nil for the first part. The first is recorded in the read
    /// audit.
    func export(
        _ patient: Identifier, after place: ExportPlace?, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ExportPart>
}

/// A professional who is selected for a patient, or was.
public struct SharingRow: Sendable, Hashable {
    public var id: Int64
    public var careManager: String
    public var name: String?
    public var since: Instant
    public var addedBy: String
    /// On whose word.
    public var word: String
    public var endedAt: Instant?
    public var endedBy: String?
    public var endReason: String?

    public init(
        id: Int64, careManager: String, name: String?, since: Instant, addedBy: String, word: String,
        endedAt: Instant?, endedBy: String?, endReason: String?
    ) {
        self.id = id
        self.careManager = careManager
        self.name = name
        self.since = since
        self.addedBy = addedBy
        self.word = word
        self.endedAt = endedAt
        self.endedBy = endedBy
        self.endReason = endReason
    }
}

/// A care manager of the patient's site.
public struct TeamMember: Sendable, Hashable {
    public var code: String
    public var name: String?
    public var role: CareManager.Role

    public init(code: String, name: String?, role: CareManager.Role) {
        self.code = code
        self.name = name
        self.role = role
    }
}

public struct SharingFile: Sendable {
    public var viewer: Viewer
    public var at: Instant
    public var patient: Identifier
    public var name: String?
    /// Everybody of the site, those too who may only look.
    public var people: [TeamMember]
    /// Current ones first, then ended ones, newest first.
    public var rows: [SharingRow]

    public init(
        viewer: Viewer, at: Instant, patient: Identifier, name: String?, people: [TeamMember], rows: [SharingRow]
    ) {
        self.viewer = viewer
        self.at = at
        self.patient = patient
        self.name = name
        self.people = people
        self.rows = rows
    }

    /// Who may look at every patient of the site.
    public var team: [TeamMember] { people.filter { $0.role != .readOnly } }
    /// Who can be selected.
    public var choices: [TeamMember] {
        let current = Set(rows.filter { $0.endedAt == nil }.map(\.careManager))
        return people.filter { $0.role == .readOnly && !current.contains($0.code) }
    }
}

/// Which looks; nil leaves that open.
public struct AuditSearch: Sendable, Hashable {
    public var patient: Identifier?
    public var careManager: Identifier?
    /// Days of the site's time zone, both ends included.
    public var from: CalendarDate?
    public var until: CalendarDate?
    /// Older than that row: the next page.
    public var before: Int64?

    public init(
        patient: Identifier? = nil, careManager: Identifier? = nil, from: CalendarDate? = nil,
        until: CalendarDate? = nil, before: Int64? = nil
    ) {
        self.patient = patient
        self.careManager = careManager
        self.from = from
        self.until = until
        self.before = before
    }
}

public struct AuditFile: Sendable {
    public var viewer: Viewer
    public var at: Instant
    public var rows: [ReadAuditRow]
    /// Where the next page begins; nil on the last.
    public var next: Int64?

    public init(viewer: Viewer, at: Instant, rows: [ReadAuditRow], next: Int64?) {
        self.viewer = viewer
        self.at = at
        self.rows = rows
        self.next = next
    }
}

/// How far an export has come.
public struct ExportPlace: Sendable, Hashable {
    /// In the order in which they are written.
    public enum Table: String, CaseIterable, Sendable, Hashable {
        case readings, answers, alerts, events, followUps, sharing, pairings, versions, quarantined
    }

    public var table: Table
    /// Of the last row that was written; empty at a table's beginning.
    public var key: [String]

    public init(table: Table, key: [String]) {
        self.table = table
        self.key = key
    }
}

public struct ExportPart: Sendable {
    public var lines: String
    /// Nil at the end.
    public var next: ExportPlace?

    public init(lines: String, next: ExportPlace?) {
        self.lines = lines
        self.next = next
    }
}
