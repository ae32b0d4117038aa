public import Clinical
public import Registry

/// A patient's plan as people change it, and the packs that plans stand on.
public protocol PlanDesk: Sendable {
    /// Recorded in the read audit.
    func plan(of patient: Identifier, _ session: SessionToken) async throws(CareDeskUnavailable) -> DeskAnswer<PlanFile>
    /// Checked as `enrol` checks it, and in force for every report received after it returned.
    func change(_ request: PlanRequest, _ session: SessionToken) async throws(CareDeskUnavailable) -> DeskAnswer<
        PlanOutcome
    >
    func packs(_ session: SessionToken) async throws(CareDeskUnavailable) -> DeskAnswer<PackFile>
    /// Puts that content of the pack in force. Nil: it was approved, and is in force.
    func approve(
        _ pack: String, hash: [UInt8], note: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ApprovalRefusal?>
    /// Ends the rules of an approved pack whose file is gone. Nil: it is retired, and no longer in force.
    func retire(
        _ pack: String, reason: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<RetirementRefusal?>
}

// MARK: Plans

/// The fields of a patient's entry in the registry that make the plan.
public enum PlanField: String, CaseIterable, Sendable, Hashable {
    case limits
    case schedule
    case conditions
    case keyWorker = "key_worker"
    case targets
    case baselines
    case risk
}

/// What a person wants changed, of one field.
public struct PlanRequest: Sendable {
    public enum Part: Hashable, Sendable {
        case whole
        /// Of a list, counted from 0.
        case item(Int)
        case newItem
    }

    /// What is sent twice is done once.
    public var form: FormID
    public var patient: Identifier
    public var field: PlanField
    public var part: Part
    /// As the registry has it; null takes it away.
    public var value: FieldValue
    /// The field's fingerprint as the person saw it: if it is another by now, nothing is written.
    public var seen: String
    public var reason: String

    public init(
        form: FormID, patient: Identifier, field: PlanField, part: Part, value: FieldValue, seen: String, reason: String
    ) {
        self.form = form
        self.patient = patient
        self.field = field
        self.part = part
        self.value = value
        self.seen = seen
        self.reason = reason
    }
}

/// Something that is wrong with what a person typed.
public struct PlanFault: Hashable, Sendable {
    /// Within the field: `red_below` of a limit; empty for the field as a whole.
    public var key: String
    public var words: String

    public init(key: String, words: String) {
        self.key = key
        self.words = words
    }
}

public enum PlanOutcome: Sendable, Hashable {
    case changed
    case refused([PlanFault])
    /// Another changed this field meanwhile.
    case movedOn
}

/// One version of a patient's entry, with what it changed.
public struct PlanVersion: Sendable, Hashable {
    public struct Change: Sendable, Hashable {
        public var field: String
        public var before: FieldValue
        public var after: FieldValue

        public init(field: String, before: FieldValue, after: FieldValue) {
            self.field = field
            self.before = before
            self.after = after
        }
    }

    public var version: Int64
    public var at: Instant
    public var actor: String
    /// `enrol` or `page`.
    public var source: String
    public var reason: String?
    /// In the order of the fields' names.
    public var changes: [Change]

    public init(version: Int64, at: Instant, actor: String, source: String, reason: String?, changes: [Change]) {
        self.version = version
        self.at = at
        self.actor = actor
        self.source = source
        self.reason = reason
        self.changes = changes
    }
}

/// Everything that the page of a plan shows.
public struct PlanFile: Sendable {
    public var viewer: Viewer
    public var at: Instant
    public var patient: Identifier
    public var name: String?
    public var timeZone: String
    /// The entry's, as the registry has it.
    public var fields: [String: FieldValue]
    /// The limits that judge, packs and own together.
    public var plan: Plan
    /// The packs that can be chosen, with their titles.
    public var packs: [(code: String, title: String)]
    /// Care managers of the site who may be key workers.
    public var team: [(code: String, name: String)]
    /// Newest first.
    public var versions: [PlanVersion]

    public init(
        viewer: Viewer, at: Instant, patient: Identifier, name: String?, timeZone: String, fields: [String: FieldValue],
        plan: Plan, packs: [(code: String, title: String)], team: [(code: String, name: String)],
        versions: [PlanVersion]
    ) {
        self.viewer = viewer
        self.at = at
        self.patient = patient
        self.name = name
        self.timeZone = timeZone
        self.fields = fields
        self.plan = plan
        self.packs = packs
        self.team = team
        self.versions = versions
    }

    /// Of a field as it stands.
    public func seen(_ field: PlanField) -> String { (fields[field.rawValue] ?? .null).fingerprint }
}

// MARK: Packs

/// One content of a pack that was met.
public struct PackVersion: Sendable, Hashable {
    public var pack: String
    /// SHA-256 of the content.
    public var hash: [UInt8]
    public var firstSeenAt: Instant
    /// Of the configuration with which the daemon started or reloaded last.
    public var isConfigured: Bool
    public var isInForce: Bool
    public var content: [UInt8]
    /// Oldest first.
    public var approvals: [PackApproval]

    public init(
        pack: String, hash: [UInt8], firstSeenAt: Instant, isConfigured: Bool, isInForce: Bool, content: [UInt8],
        approvals: [PackApproval]
    ) {
        self.pack = pack
        self.hash = hash
        self.firstSeenAt = firstSeenAt
        self.isConfigured = isConfigured
        self.isInForce = isInForce
        self.content = content
        self.approvals = approvals
    }
}

public struct PackApproval: Sendable, Hashable {
    public var by: String
    public var at: Instant
    public var note: String
    /// Somebody retired the pack while this was its last approval.
    public var retirement: PackRetirement?

    public init(by: String, at: Instant, note: String, retirement: PackRetirement? = nil) {
        self.by = by
        self.at = at
        self.note = note
        self.retirement = retirement
    }
}

public struct PackRetirement: Sendable, Hashable {
    public var by: String
    public var at: Instant
    public var reason: String

    public init(by: String, at: Instant, reason: String) {
        self.by = by
        self.at = at
        self.reason = reason
    }
}

/// The packs of the installation.
public struct PackFile: Sendable {
    public var viewer: Viewer
    public var at: Instant
    /// By pack; of one pack the newest first.
    public var versions: [PackVersion]
    /// Of several sites only administrators approve, of one its leads too.
    public var mayApprove: Bool

    public init(viewer: Viewer, at: Instant, versions: [PackVersion], mayApprove: Bool) {
        self.viewer = viewer
        self.at = at
        self.versions = versions
        self.mayApprove = mayApprove
    }

    /// Approved and in force, though the configuration has no file of it any more.
    public func isFileMissing(_ pack: String) -> Bool {
        let own = versions.filter { $0.pack == pack }
        return own.contains(where: \.isInForce) && !own.contains(where: \.isConfigured)
    }
}

/// Why a pack is not in force by an approval.
public enum ApprovalRefusal: String, Sendable, Hashable {
    case notConfigured = "that is no longer what the daemon is configured with: look again"
    case approvedAlready = "it is approved already"
    /// The approval stands.
    case notInForce = "not in force: it does not go with the other packs"
    /// The approval stands.
    case notYetInForce = "not in force yet: look again in a moment"

    public var isApproved: Bool { self == .notInForce || self == .notYetInForce }
}

/// Why a pack is not retired.
public enum RetirementRefusal: Sendable, Hashable {
    case configured
    case notApproved
    /// Patients' plans name it: so many.
    case named(Int)
    /// The retirement stands.
    case notYet

    public var words: String {
        switch self {
        case .configured: "the configuration has it: take its file away first, and reload"
        case .notApproved: "nothing of it is approved"
        case .named(let count):
            count == 1
                ? "one patient's plan names it: change that first"
                : "\(count) patients' plans name it: change them first"
        case .notYet: "still in force: look again in a moment"
        }
    }
}
