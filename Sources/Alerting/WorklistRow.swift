public import Clinical
import Registry

/// A patient's line of the worklist, with what a person wants beside the state. A class, since thousands of them stand in
/// everybody's list.
public final class WorklistRow: Hashable, Sendable {
    public let triage: Triage
    public let name: String?
    public let conditions: [String]
    public let isHighRisk: Bool
    /// The clinical alerts about the patient that are not resolved, the worst first and of the same the longest waiting.
    public let alerts: [TriageSnapshot.OpenAlert]
    /// Clinical alerts that nobody has answered.
    public let unanswered: Int
    public let unansweredSince: Instant?
    /// Shelved ones.
    public let muted: Int
    /// Ended by themselves before anybody saw them.
    public let recoveredUnseen: Int
    /// The first follow-up that is due and that nobody has said is done.
    public let followUp: FollowUp?
    /// When the last review was signed off, today or yesterday.
    public let reviewedAt: Instant?
    /// A reading that was due has not come.
    public let isOverdue: Bool
    /// Where among the others it stands. Kept, since each viewer's list asks for it.
    private let rank: Int

    public init(
        triage: Triage, name: String?, conditions: [String], isHighRisk: Bool,
        alerts: [TriageSnapshot.OpenAlert] = [], unanswered: Int, unansweredSince: Instant?, muted: Int,
        recoveredUnseen: Int, followUp: FollowUp? = nil, reviewedAt: Instant? = nil
    ) {
        self.triage = triage
        self.name = name
        self.conditions = conditions
        self.isHighRisk = isHighRisk
        self.alerts = alerts.sorted {
            ($1.alert.severity, $0.alert.raisedAt, $0.id) < ($0.alert.severity, $1.alert.raisedAt, $1.id)
        }
        self.unanswered = unanswered
        self.unansweredSince = unansweredSince
        self.muted = muted
        self.recoveredUnseen = recoveredUnseen
        self.followUp = followUp
        self.reviewedAt = reviewedAt
        let isOverdue = triage.reasons.contains { reason in
            guard case .alert(let rule, _, _) = reason else { return false }
            return rule == Schedule.missedReadingRule
        }
        self.isOverdue = isOverdue
        rank =
            switch triage.state {
            case .red: 0
            case _ where isOverdue && isHighRisk: 1
            case .amber: 2
            case _ where followUp != nil: 3
            case .grey: 4
            case .paused: 5
            case .green: 6
            }
    }

    public static func == (left: WorklistRow, right: WorklistRow) -> Bool {
        left === right
            || left.triage == right.triage && left.name == right.name && left.conditions == right.conditions
                && left.isHighRisk == right.isHighRisk && left.alerts == right.alerts
                && left.unanswered == right.unanswered && left.unansweredSince == right.unansweredSince
                && left.muted == right.muted
                && left.recoveredUnseen == right.recoveredUnseen && left.followUp == right.followUp
                && left.reviewedAt == right.reviewedAt
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(triage.patient) }

    /// Red, overdue of high risk, amber, a follow-up that is due, grey, paused, green; of the same the longest unanswered
    /// first, then by code.
    public static func sorted(_ rows: some Sequence<WorklistRow>) -> [WorklistRow] {
        rows.map { ($0.rank, $0.unansweredSince?.microseconds ?? .max, $0.triage.patient.description, $0) }
            .sorted { ($0.0, $0.1, $0.2) < ($1.0, $1.1, $1.2) }
            .map(\.3)
    }

    /// Those of `sorted` that are among `patients`, and of the same rank the key worker's own first.
    public static func list(
        of sorted: [WorklistRow], among patients: Set<Identifier>, ownOf keyWorker: Identifier
    ) -> [WorklistRow] {
        var list: [WorklistRow] = []
        list.reserveCapacity(min(sorted.count, patients.count))
        var others: [WorklistRow] = []
        var rank = 0
        for row in sorted where patients.contains(row.triage.patient) {
            if row.rank != rank {
                list += others
                others.removeAll(keepingCapacity: true)
                rank = row.rank
            }
            if row.triage.keyWorker == keyWorker { list.append(row) } else { others.append(row) }
        }
        return list + others
    }
}

/// The patients that a viewer may see, and the open alerts of their site that are about no patient.
public struct Worklist: Sendable {
    public var viewer: Viewer
    /// When it was made.
    public var at: Instant
    /// In the order in which to look at them.
    public let rows: [WorklistRow]
    /// How many rows are in each state.
    public let counts: [TriageState: Int]
    /// Those that a row has, in order.
    public let conditions: [String]
    public let sites: [Identifier]
    public var others: [Episode]
    /// Of those that are open and red, the last event that notified.
    public var othersSpoke: [AlertID: Int32]
    /// The names of the site's care managers.
    public var team: [Identifier: String]

    public init(
        viewer: Viewer, at: Instant, rows: [WorklistRow], others: [Episode], othersSpoke: [AlertID: Int32] = [:],
        team: [Identifier: String]
    ) {
        self.viewer = viewer
        self.at = at
        self.rows = rows
        var counts: [TriageState: Int] = [:]
        var conditions: Set<String> = []
        var sites: Set<Identifier> = []
        for row in rows {
            counts[row.triage.state, default: 0] += 1
            conditions.formUnion(row.conditions)
            sites.insert(row.triage.site)
        }
        self.counts = counts
        self.conditions = conditions.sorted()
        self.sites = sites.sorted { $0.description < $1.description }
        self.others = others
        self.othersSpoke = othersSpoke
        self.team = team
    }
}
