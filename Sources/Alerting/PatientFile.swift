public import Clinical
public import Registry

/// Everything that the page shows of one patient.
public struct PatientFile: Sendable {
    public var viewer: Viewer
    public var patient: Patient
    /// Of the worklist; nil in the moment before a new patient is on it.
    public var row: WorklistRow?
    public var plan: Plan
    /// The limits over those days, oldest first; the first holds from before their beginning. Empty: those of now.
    public var pastPlans: [PastPlan]
    /// From when on `pastPlans` are all; nil: over those days. There were more changes than are shown.
    public var limitsFrom: Instant?
    public var at: Instant
    public var days: Int
    /// Taken in that time, oldest first; entered-in-error ones too.
    public var readings: [ChartReading]
    /// From when on `readings` are all; nil: over those days. There are more than are shown.
    public var readingsFrom: Instant?
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
        viewer: Viewer, patient: Patient, row: WorklistRow?, plan: Plan, pastPlans: [PastPlan] = [],
        limitsFrom: Instant? = nil, at: Instant, days: Int, readings: [ChartReading], readingsFrom: Instant? = nil,
        answers: [PatientAnswer], alerts: [AlertFile], devices: [PatientDevice],
        events: [PatientEvent] = [], followUps: [FollowUp] = [], typed: [TypedReport] = [],
        team: [Identifier: String]
    ) {
        self.viewer = viewer
        self.patient = patient
        self.row = row
        self.plan = plan
        self.pastPlans = pastPlans
        self.limitsFrom = limitsFrom
        self.readingsFrom = readingsFrom
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
