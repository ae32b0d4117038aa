public import Clinical
public import Registry

/// What the care managers' page asks for: the port between it and whatever keeps the ward. Any task may call; every call
/// waits without a thread of the caller's and ends in a bounded time.
///
/// What a viewer may not see is not there: it is neither listed nor found, by whatever code it is asked for.
public protocol CareDesk: PatientDesk {
    /// Never says why it refused.
    func signIn(_ attempt: SignInAttempt) async throws(CareDeskUnavailable) -> SignInOutcome
    /// Nil when the session has ended. `isActivity` false does not put off its idle end: the page asks by itself.
    func viewer(of session: SessionToken, isActivity: Bool) async throws(CareDeskUnavailable) -> Viewer?
    /// This session, or all of the same care manager.
    func signOut(_ session: SessionToken, everywhere: Bool) async throws(CareDeskUnavailable)
    func worklist(_ session: SessionToken, isActivity: Bool) async throws(CareDeskUnavailable) -> DeskAnswer<Worklist>
    /// Recorded in the read audit, as is every other look that finds somebody.
    func patient(
        _ code: Identifier, days: Int, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientFile>
    /// By its id, or one that it was told of under.
    func alert(_ id: AlertID, _ session: SessionToken) async throws(CareDeskUnavailable) -> DeskAnswer<
        (Viewer, AlertFile)
    >
    func act(
        _ request: AlertRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Result<Episode, AlertActionRefusal>>
    /// The open alerts of the viewer's site that may be acknowledged together: technical ones, and those that only inform.
    func minorAlerts(
        _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<(Viewer, [Episode])>
    /// An alert's events before that one, the newest first, `AlertHistory.size` at most. Recorded in the read audit.
    func history(
        of id: AlertID, before: Int32?, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<AlertHistory>
    /// Marks a reading entered in error; `notThere` also where the viewer may only look.
    func markInError(
        _ request: CorrectionRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Bool>
    /// An element whenever the worklist may have changed; nothing piles up while nobody reads. Ends when the desk closes.
    func news() -> AsyncStream<Void>
}

/// The desk can't answer now; `description` has no patient data.
public enum CareDeskUnavailable: Error, Hashable, Sendable, CustomStringConvertible {
    /// More asked at once than it takes on.
    case busy
    case databaseAway
    /// The database lacks something; what, for the operator's log.
    case misconfigured(String)

    public var description: String {
        switch self {
        case .busy: "too many requests at once"
        case .databaseAway: "the database does not answer"
        case .misconfigured(let what): what
        }
    }
}

/// What came of asking for something.
public enum DeskAnswer<Value: Sendable>: Sendable {
    case seen(Value)
    /// There is none, or none for this viewer: nobody can tell which.
    case notThere
    case signedOut
}

/// What a cookie holds: 32 random bytes.
public struct SessionToken: Hashable, Sendable, CustomStringConvertible {
    public let bytes: [UInt8]

    /// Nil for other than 32 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// Not the token: it is as good as a password.
    public var description: String { "a session" }
}

public struct SignInAttempt: Sendable {
    public var careManager: String
    public var password: [UInt8]
    /// Of the authenticator app.
    public var oneTimeCode: String
    /// Where it comes from, as far as that is known: an address, or the network of one.
    public var address: String

    public init(careManager: String, password: [UInt8], oneTimeCode: String, address: String = "unknown") {
        self.careManager = careManager
        self.password = password
        self.oneTimeCode = oneTimeCode
        self.address = address
    }
}

public enum SignInOutcome: Sendable {
    case signedIn(SessionToken)
    /// Nobody of that name, disabled, a wrong password or code, or locked out for a time: nobody is told which.
    case refused
}

/// Whoever is signed in, as the registry has them now.
public struct Viewer: Hashable, Sendable {
    public var careManager: Identifier
    public var role: CareManager.Role
    public var site: Identifier
    public var siteName: String
    /// IANA name.
    public var timeZone: String
    /// Somebody with the right to has approved a version of each pack in use; until then every page says otherwise.
    public var hasApprovedLimits: Bool

    public init(
        careManager: Identifier, role: CareManager.Role, site: Identifier, siteName: String, timeZone: String,
        hasApprovedLimits: Bool = true
    ) {
        self.hasApprovedLimits = hasApprovedLimits
        self.careManager = careManager
        self.role = role
        self.site = site
        self.siteName = siteName
        self.timeZone = timeZone
    }

    public var mayAct: Bool { role != .readOnly }
    public var maySearchAudit: Bool { leads }
    /// Runs the service page, releases what is in quarantine, approves packs, and says who may see a patient.
    public var leads: Bool { role == .teamLead || role == .administrator }
}

/// A patient's line of the worklist, with what a person wants beside the state.
public struct WorklistRow: Hashable, Sendable {
    public var triage: Triage
    public var name: String?
    public var conditions: [String]
    public var isHighRisk: Bool
    /// Clinical alerts that nobody has answered.
    public var unanswered: Int
    public var unansweredSince: Instant?
    /// Shelved ones.
    public var muted: Int
    /// Ended by themselves before anybody saw them.
    public var recoveredUnseen: Int
    /// The first follow-up that is due and that nobody has said is done.
    public var followUp: FollowUp?
    /// When the last review was signed off, today or yesterday.
    public var reviewedAt: Instant?

    public init(
        triage: Triage, name: String?, conditions: [String], isHighRisk: Bool, unanswered: Int,
        unansweredSince: Instant?, muted: Int, recoveredUnseen: Int, followUp: FollowUp? = nil,
        reviewedAt: Instant? = nil
    ) {
        self.triage = triage
        self.name = name
        self.conditions = conditions
        self.isHighRisk = isHighRisk
        self.unanswered = unanswered
        self.unansweredSince = unansweredSince
        self.muted = muted
        self.recoveredUnseen = recoveredUnseen
        self.followUp = followUp
        self.reviewedAt = reviewedAt
    }

    /// A reading that was due has not come.
    public var isOverdue: Bool {
        triage.reasons.contains { reason in
            guard case .alert(let rule, _, _) = reason else { return false }
            return rule == Schedule.missedReadingRule
        }
    }

    /// Red, overdue of high risk, amber, a follow-up that is due, grey, paused, green; of the same, those of that key worker first, then the longest
    /// unanswered.
    public static func isBefore(_ left: WorklistRow, _ right: WorklistRow, ownOf keyWorker: Identifier) -> Bool {
        if left.rank != right.rank { return left.rank < right.rank }
        let isOwn = (left.triage.keyWorker == keyWorker, right.triage.keyWorker == keyWorker)
        if isOwn.0 != isOwn.1 { return isOwn.0 }
        let far = Instant(microseconds: .max)
        let waiting = (left.unansweredSince ?? far, right.unansweredSince ?? far)
        if waiting.0 != waiting.1 { return waiting.0 < waiting.1 }
        return left.triage.patient.description < right.triage.patient.description
    }

    private var rank: Int {
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
}

/// The patients that a viewer may see, and the open alerts of their site that are about no patient.
public struct Worklist: Sendable {
    public var viewer: Viewer
    /// When it was made.
    public var at: Instant
    /// In the order in which to look at them.
    public var rows: [WorklistRow]
    public var others: [Episode]
    /// The names of the site's care managers.
    public var team: [Identifier: String]

    public init(
        viewer: Viewer, at: Instant, rows: [WorklistRow], others: [Episode],
        team: [Identifier: String]
    ) {
        self.viewer = viewer
        self.at = at
        self.rows = rows
        self.others = others
        self.team = team
    }
}

/// A stored reading as a chart shows it.
public struct ChartReading: Hashable, Sendable {
    public var key: ReportKey
    /// Its place in the report, counted from 0.
    public var place: Int
    public var kind: Kind
    /// In the kind's canonical unit; of no meaning for a coded kind.
    public var value: Double
    public var code: String?
    public var valueSent: Double
    public var unitSent: String?
    /// Corrected.
    public var takenAt: Instant
    public var receivedAt: Instant
    public var isSuspect: Bool
    /// Who marked it entered in error, and why.
    public var correction: String?
    /// Who typed it in, and whose word it is; nil of a reader's.
    public var typed: String?

    public init(
        key: ReportKey, place: Int, kind: Kind, value: Double, code: String?, valueSent: Double, unitSent: String?,
        takenAt: Instant, receivedAt: Instant, isSuspect: Bool, correction: String?, typed: String? = nil
    ) {
        self.key = key
        self.place = place
        self.kind = kind
        self.value = value
        self.code = code
        self.valueSent = valueSent
        self.unitSent = unitSent
        self.takenAt = takenAt
        self.receivedAt = receivedAt
        self.isSuspect = isSuspect
        self.correction = correction
        self.typed = typed
    }

    /// Received over an hour after it was taken.
    public var isLate: Bool { receivedAt - takenAt > .hours(1) }
}

/// An alert with everything that is known of it.
public struct AlertFile: Sendable {
    public var episode: Episode
    public var acknowledgedBy: String?
    public var resolvedAt: Instant?
    public var resolvedBy: String?
    /// Oldest first: the newest that are more than another reading, the first, and the last of each that matters.
    public var events: [EpisodeEvent]
    /// There are others.
    public var hasOlderEvents: Bool
    /// How many readings joined it without a word to anybody; of very many, so many at least.
    public var joined: Int
    /// Who was told: recipient, channel, state, in words.
    public var told: [String]
    /// Why somebody was not told, or not alone; the newest first.
    public var ledger: [LedgerRow]

    public init(
        episode: Episode, acknowledgedBy: String?, resolvedAt: Instant?, resolvedBy: String?, events: [EpisodeEvent],
        hasOlderEvents: Bool = false, joined: Int = 0, told: [String], ledger: [LedgerRow] = []
    ) {
        self.episode = episode
        self.acknowledgedBy = acknowledgedBy
        self.resolvedAt = resolvedAt
        self.resolvedBy = resolvedBy
        self.events = events
        self.hasOlderEvents = hasOlderEvents
        self.joined = joined
        self.told = told
        self.ledger = ledger
    }
}

/// Part of an alert's history.
public struct AlertHistory: Sendable {
    /// The most events of a part.
    public static let size = 200

    public var viewer: Viewer
    public var episode: Episode
    /// Newest first.
    public var events: [EpisodeEvent]
    public var hasOlder: Bool

    public init(viewer: Viewer, episode: Episode, events: [EpisodeEvent], hasOlder: Bool) {
        self.viewer = viewer
        self.episode = episode
        self.events = events
        self.hasOlder = hasOlder
    }
}

/// A reader that is, or was last, the patient's.
public struct PatientDevice: Hashable, Sendable {
    public var code: Identifier
    public var from: Instant
    public var until: Instant?
    /// Nil until it said so.
    public var isOnline: Bool?
    public var battery: Double?
    public var firmware: String?
    public var heardAt: Instant?

    public init(
        code: Identifier, from: Instant, until: Instant?, isOnline: Bool?, battery: Double?, firmware: String?,
        heardAt: Instant?
    ) {
        self.code = code
        self.from = from
        self.until = until
        self.isOnline = isOnline
        self.battery = battery
        self.firmware = firmware
        self.heardAt = heardAt
    }
}

/// What a symptom question was answered with.
public struct PatientAnswer: Hashable, Sendable {
    public var question: String
    public var value: String
    public var takenAt: Instant

    public init(question: String, value: String, takenAt: Instant) {
        self.question = question
        self.value = value
        self.takenAt = takenAt
    }
}

/// Everything that the page shows of one patient.
public struct PatientFile: Sendable {
    public var viewer: Viewer
    public var patient: Patient
    /// Of the worklist; nil in the moment before a new patient is on it.
    public var row: WorklistRow?
    public var plan: Plan
    /// The limits over those days, oldest first; the first holds from before their beginning. Empty: those of now.
    public var pastPlans: [PastPlan]
    public var at: Instant
    public var days: Int
    /// Taken in that time, oldest first; entered-in-error ones too.
    public var readings: [ChartReading]
    public var answers: [PatientAnswer]
    /// Those not resolved, then those of that time, newest first.
    public var alerts: [AlertFile]
    public var devices: [PatientDevice]
    /// What was done about the patient, newest first.
    public var events: [PatientEvent]
    /// Those that nobody has said are done, due or not, the first due first.
    public var followUps: [FollowUp]
    /// Reports that were typed in during the last day and wait, or of which something was refused.
    public var typed: [TypedReport]
    /// The names of the site's care managers.
    public var team: [Identifier: String]

    public init(
        viewer: Viewer, patient: Patient, row: WorklistRow?, plan: Plan, pastPlans: [PastPlan] = [], at: Instant,
        days: Int, readings: [ChartReading], answers: [PatientAnswer], alerts: [AlertFile], devices: [PatientDevice],
        events: [PatientEvent] = [], followUps: [FollowUp] = [], typed: [TypedReport] = [],
        team: [Identifier: String]
    ) {
        self.viewer = viewer
        self.patient = patient
        self.row = row
        self.plan = plan
        self.pastPlans = pastPlans
        self.events = events
        self.followUps = followUps
        self.typed = typed
        self.at = at
        self.days = days
        self.readings = readings
        self.answers = answers
        self.alerts = alerts
        self.devices = devices
        self.team = team
    }
}

/// What the viewer wants done about an alert.
public struct AlertRequest: Sendable {
    public enum Verb: Hashable, Sendable {
        case acknowledge
        /// Refused for any but a technical alert or one that only informs.
        case acknowledgeMinor
        case take
        /// To a care manager of the same site who may act.
        case handOver(Identifier)
        case shelve(Interval)
        case unshelve
        case resolve
    }

    public var alert: AlertID
    public var verb: Verb
    public var note: String?
    /// The last event that the viewer saw.
    public var seen: Int32

    public init(alert: AlertID, verb: Verb, note: String?, seen: Int32) {
        self.alert = alert
        self.verb = verb
        self.note = note
        self.seen = seen
    }
}

public struct CorrectionRequest: Sendable {
    public var patient: Identifier
    public var key: ReportKey
    public var place: Int
    public var reason: String

    public init(patient: Identifier, key: ReportKey, place: Int, reason: String) {
        self.patient = patient
        self.key = key
        self.place = place
        self.reason = reason
    }
}

/// Who looked at what.
public struct ReadAuditRow: Hashable, Sendable {
    public var at: Instant
    public var careManager: String
    public var patient: String?
    public var what: String

    public init(at: Instant, careManager: String, patient: String?, what: String) {
        self.at = at
        self.careManager = careManager
        self.patient = patient
        self.what = what
    }
}
