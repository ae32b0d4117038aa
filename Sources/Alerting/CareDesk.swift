public import Clinical

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
    /// The worklist is searched by these words: recorded in the read audit, before anything is shown.
    func searched(_ words: String, isActivity: Bool, _ session: SessionToken) async throws(CareDeskUnavailable)
    /// Recorded in the read audit, as is every other look that finds somebody, and one that is refused.
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
    /// Somebody awaits news, and for twenty seconds nobody could have told any: what is shown may be old.
    var isBehind: Bool { get }
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
    /// What was looked for, or the code of the patient who was refused.
    public var detail: String?

    public init(at: Instant, careManager: String, patient: String?, what: String, detail: String? = nil) {
        self.at = at
        self.careManager = careManager
        self.patient = patient
        self.what = what
        self.detail = detail
    }
}
