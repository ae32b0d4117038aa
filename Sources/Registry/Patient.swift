public import Clinical

/// A person who is monitored.
public struct Patient: Hashable, Sendable {
    public var code: Identifier
    public var site: Identifier
    public var keyWorker: Identifier?
    public var profile: PatientProfile
    public var schedule: [ScheduleSlot]
    public var pauses: [Pause]
    /// Set when they are no longer monitored.
    public var discharge: Discharge?
    /// What only people read; never in a log, a topic or a delivery.
    public var details: PersonalDetails

    public init(
        code: Identifier, site: Identifier, keyWorker: Identifier? = nil, profile: PatientProfile = PatientProfile(),
        schedule: [ScheduleSlot] = [], pauses: [Pause] = [], discharge: Discharge? = nil,
        details: PersonalDetails = PersonalDetails()
    ) {
        self.code = code
        self.site = site
        self.keyWorker = keyWorker
        self.profile = profile
        self.schedule = schedule
        self.pauses = pauses
        self.discharge = discharge
        self.details = details
    }
}

/// The end of monitoring: there is no schedule and no reader any more. What is open stays until somebody deals with it.
public struct Discharge: Hashable, Sendable {
    public enum Cause: String, CaseIterable, Hashable, Sendable {
        case discharged
        case died
    }

    public var at: Instant
    public var because: Cause

    public init(at: Instant, because: Cause) {
        self.at = at
        self.because = because
    }
}

/// Name and contacts.
public struct PersonalDetails: Hashable, Sendable {
    public var name: String?
    public var nhsNumber: String?
    public var language: String
    public var phone: String?
    public var contactPreference: String?
    public var nextOfKin: String?
    public var gpPractice: String?

    public init(
        name: String? = nil, nhsNumber: String? = nil, language: String = "en", phone: String? = nil,
        contactPreference: String? = nil, nextOfKin: String? = nil, gpPractice: String? = nil
    ) {
        self.name = name
        self.nhsNumber = nhsNumber
        self.language = language
        self.phone = phone
        self.contactPreference = contactPreference
        self.nextOfKin = nextOfKin
        self.gpPractice = gpPractice
    }
}

extension Patient {
    public var dueReadings: Schedule { Schedule(slots: schedule, pauses: pauses, timeZone: profile.timeZone) }
}
