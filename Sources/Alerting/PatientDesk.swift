public import Clinical
public import Registry

/// What care managers do about a patient, and what of it is kept: part of `CareDesk`.
public protocol PatientDesk: Sendable {
    /// Does it once, however often the form is sent. `notThere` also where the viewer may only look.
    func perform(
        _ action: PatientAction, of patient: Identifier, form: FormID, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientActionOutcome>
}

public enum PatientAction: Hashable, Sendable {
    case call(CallOutcome, note: String?)
    /// The daily review is signed off.
    case review(note: String?)
    /// Back on the worklist then: a wall clock's time at the site, `2026-11-24T09:00`.
    case followUp(due: String, note: String)
    /// By the form that set it.
    case followedUp(FormID, note: String?)
    case typeIn(TypedReadings)
    case pause(from: CalendarDate, until: CalendarDate, reason: String)
    /// Ends the pause of those days now: what opens from now on is due again. One that has not begun is taken away.
    case endPause(from: CalendarDate, until: CalendarDate, reason: String)
    /// Ends the schedule and the pairings now.
    case discharge(Discharge.Cause, reason: String)
    /// It was a mistake; a schedule and a reader must be given anew.
    case takeBack(reason: String)
    /// Ends the pairing of the old one, where there is one, and begins that of the new one at the same moment.
    /// One that the registry doesn't know is added where the person has said that it is new here: else a slip of the finger
    /// would be a reader.
    case replaceReader(old: Identifier?, new: Identifier, isNewHere: Bool, reason: String)
    /// Of a time when it was nobody's: from then until it is somebody's next.
    case pairReader(Identifier, from: Instant, reason: String)
}

public enum CallOutcome: String, CaseIterable, Hashable, Sendable {
    case reached
    case noAnswer = "no-answer"
    case leftMessage = "left-message"
}

/// What somebody told over the telephone, as it was typed.
public struct TypedReadings: Hashable, Sendable {
    /// Whose word it is.
    public enum Source: String, CaseIterable, Hashable, Sendable {
        case patient
        case carer
        case professional
    }

    public struct Value: Hashable, Sendable {
        public var kind: Kind
        /// A number, or the code of a coded kind.
        public var text: String
        public var unit: String?

        public init(kind: Kind, text: String, unit: String?) {
            self.kind = kind
            self.text = text
            self.unit = unit
        }
    }

    public var source: Source
    /// A wall clock's time where the patient lives, `2026-11-23T08:15`; nil: just now.
    public var takenAt: String?
    public var values: [Value]

    public init(source: Source, takenAt: String?, values: [Value]) {
        self.source = source
        self.takenAt = takenAt
        self.values = values
    }
}

public enum PatientActionOutcome: Hashable, Sendable {
    case done
    /// By the same form, before.
    case doneBefore
    /// Why not, for the person; nothing was changed.
    case refused(String)
    /// It is kept, and not judged yet: that takes a moment.
    case waiting
}

/// What was done about a patient.
public struct PatientEvent: Hashable, Sendable {
    public var at: Instant
    public var careManager: String
    /// `call`, `review` and the like.
    public var kind: String
    public var note: String?
    /// A JSON object.
    public var detail: String

    public init(at: Instant, careManager: String, kind: String, note: String?, detail: String) {
        self.at = at
        self.careManager = careManager
        self.kind = kind
        self.note = note
        self.detail = detail
    }
}

/// A follow-up that nobody has said is done.
public struct FollowUp: Hashable, Sendable {
    public var id: FormID
    public var due: Instant
    public var note: String
    public var setBy: String

    public init(id: FormID, due: Instant, note: String, setBy: String) {
        self.id = id
        self.due = due
        self.note = note
        self.setBy = setBy
    }
}

/// A report that was typed in lately.
public struct TypedReport: Hashable, Sendable {
    public var enteredAt: Instant
    public var careManager: String
    public var source: String
    /// Nil until it has been taken in: `stored`, `duplicate` or `quarantined`.
    public var outcome: String?
    public var reason: String?

    public init(enteredAt: Instant, careManager: String, source: String, outcome: String?, reason: String?) {
        self.enteredAt = enteredAt
        self.careManager = careManager
        self.source = source
        self.outcome = outcome
        self.reason = reason
    }
}

/// The limits that a patient had from then on, by the packs in force then.
public struct PastPlan: Sendable {
    /// What is known of those packs.
    public enum Packs: Hashable, Sendable {
        case approved
        /// In force as they were configured, before anybody approved them.
        case notApproved
        /// What was configured then is not recorded, or can't be used any more: these are the likeliest.
        case notKnown
    }

    public var from: Instant
    public var plan: Plan
    public var packs: Packs

    public init(from: Instant, plan: Plan, packs: Packs = .approved) {
        self.from = from
        self.plan = plan
        self.packs = packs
    }
}

/// Why somebody was not told of an alert, or not alone.
public struct LedgerRow: Hashable, Sendable {
    public var at: Instant
    public var kind: String
    public var reason: String
    public var actor: String
    public var until: Instant?
    public var recipient: String?

    public init(at: Instant, kind: String, reason: String, actor: String, until: Instant?, recipient: String?) {
        self.at = at
        self.kind = kind
        self.reason = reason
        self.actor = actor
        self.until = until
        self.recipient = recipient
    }
}
