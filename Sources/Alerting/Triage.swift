public import Clinical
public import Registry

/// How urgently somebody should look at a patient. Green is earned: whatever keeps Homeward from seeing the patient
/// makes it grey, with its reason.
public enum TriageState: String, CaseIterable, Comparable, Sendable {
    /// An open clinical red.
    case red
    /// An open clinical amber, and no red.
    case amber
    /// Nothing is known to be wrong, and something keeps it from being known to be right.
    case grey
    /// Readings are not expected now.
    case paused
    case green

    public static func < (left: TriageState, right: TriageState) -> Bool { left.rank < right.rank }

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
}

/// Why a patient is not green.
public enum TriageReason: Hashable, Sendable, CustomStringConvertible {
    case alert(rule: String, severity: Severity, state: AlertState)
    case paused(until: CalendarDate, reason: String?)
    case noSchedule
    /// No reading was taken in the last 24 h; the last one before, if there was one in a month.
    case nothingReceived(last: Instant?)
    /// All readings of the last 24 h are suspect: they are never the reason for green.
    case onlySuspect
    case untrustedClock(device: Identifier)
    case serverClock
    /// A reading was refused and has not been repeated; the kind as far as it is known.
    case refused(kind: String?, reason: String)
    /// A rule lacks what it needs.
    case lacking(PlanLack)
    /// The profile contradicts itself; limits that can't be used are left out.
    case unusableLimit(PlanProblem)
    /// An alert would reach nobody.
    case uncovered
    /// There is somebody now, but not always in the coming days; by the site's wall clock.
    case coverageHole(from: String)

    /// The reason's name, without its particulars.
    public var code: String {
        switch self {
        case .alert: "alert"
        case .paused: "paused"
        case .noSchedule: "no-schedule"
        case .nothingReceived: "nothing-received"
        case .onlySuspect: "only-suspect"
        case .untrustedClock: "untrusted-clock"
        case .serverClock: "server-clock"
        case .refused: "refused-reading"
        case .lacking: "lacking"
        case .unusableLimit: "unusable-limit"
        case .uncovered: "uncovered"
        case .coverageHole: Coverage.rule
        }
    }

    public var description: String {
        switch self {
        case .alert(let rule, let severity, let state): "\(severity.rawValue) \(rule) (\(state.rawValue))"
        case .paused(let until, let reason): "paused until \(until)" + (reason.map { " (\($0))" } ?? "")
        case .noSchedule: "no schedule"
        case .nothingReceived: "no reading in 24 h"
        case .onlySuspect: "only suspect readings in 24 h"
        case .untrustedClock(let device): "the clock of device \(device) is not to be trusted"
        case .serverClock: "Homeward's own clock is not to be trusted"
        case .refused(let kind, let reason): "\(kind ?? "a report") was refused (\(reason)) and not repeated"
        case .lacking(let lack): lack.description
        case .unusableLimit(let problem): problem.description
        case .uncovered: "an alert would reach nobody"
        case .coverageHole(let from): "from \(from) an alert would reach nobody"
        }
    }
}

/// What the store knows of one patient beside the registry.
public struct TriageFacts: Hashable, Sendable {
    public struct Alert: Hashable, Sendable {
        public var rule: String
        public var severity: Severity
        public var state: AlertState
        public var raisedAt: Instant

        public init(rule: String, severity: Severity, state: AlertState, raisedAt: Instant) {
            self.rule = rule
            self.severity = severity
            self.state = state
            self.raisedAt = raisedAt
        }
    }

    /// The newest reading of a kind.
    public struct Latest: Hashable, Sendable {
        public var takenAt: Instant
        public var receivedAt: Instant
        public var isSuspect: Bool

        public init(takenAt: Instant, receivedAt: Instant, isSuspect: Bool) {
            self.takenAt = takenAt
            self.receivedAt = receivedAt
            self.isSuspect = isSuspect
        }
    }

    /// Something of the patient's that was refused: a reading, or a whole report where `kind` is nil.
    public struct Refusal: Hashable, Sendable {
        /// As sent; may be none of ours.
        public var kind: String?
        public var reason: String
        public var at: Instant

        public init(kind: String?, reason: String, at: Instant) {
            self.kind = kind
            self.reason = reason
            self.at = at
        }
    }

    /// Clinical ones that are not resolved.
    public var alerts: [Alert] = []
    public var latest: [Kind: Latest] = [:]
    public var refusals: [Refusal] = []
    /// Readers of the patient's with an open `clock-offset`.
    public var untrustedClocks: [Identifier] = []

    public init() {}
}

/// A patient's line of the worklist.
public struct Triage: Hashable, Sendable {
    public var patient: Identifier
    public var site: Identifier
    public var keyWorker: Identifier?
    public var state: TriageState
    /// What made the state first, then everything else that stands against green. Empty for green.
    public var reasons: [TriageReason]
    /// Of the open clinical alerts of the state's severity, the longest waiting.
    public var oldestAlertAt: Instant?
    /// By its own, corrected time; nil where there was none in a month.
    public var lastReadingAt: Instant?
    /// No longer monitored: on the list as long as an alert is open.
    public var isDischarged: Bool

    /// So long without a reading is grey (clinical facts, section 4, "Nothing may delay or hide a red", 7).
    public static let silence = Interval.hours(24)

    /// Pure: the same patient, facts and time give the same state. An open red stands before everything, then an open
    /// amber; a pause stands before what makes grey, since readings are not expected; green is what is left.
    ///
    /// - Parameters:
    ///   - plan: the patient's, by the packs in force.
    ///   - holeFrom: when the next hole in the patient's coverage begins, by the site's wall clock.
    ///   - isServerClockDoubted: an alert `server-clock` is open.
    public init(
        of patient: Patient, plan: Plan, isUncovered: Bool, holeFrom: String? = nil, facts: TriageFacts,
        isServerClockDoubted: Bool, at now: Instant
    ) {
        self.patient = patient.code
        site = patient.site
        keyWorker = patient.keyWorker
        lastReadingAt = facts.latest.values.map(\.takenAt).max()
        let telling = facts.alerts.filter { $0.severity >= .amber }.sorted {
            ($1.severity, $0.raisedAt) < ($0.severity, $1.raisedAt)
        }
        let worst = telling.first?.severity
        oldestAlertAt = telling.first?.raisedAt
        let alerts = telling.map { TriageReason.alert(rule: $0.rule, severity: $0.severity, state: $0.state) }
        let paused = Self.pause(of: patient, at: now)
        let greys = Self.greys(
            of: patient, plan: plan, isUncovered: isUncovered, holeFrom: holeFrom, facts: facts,
            isServerClockDoubted: isServerClockDoubted, at: now)
        // Nothing is expected of whoever is no longer monitored; what is open still is.
        isDischarged = patient.discharge.map { $0.at <= now } ?? false
        reasons = isDischarged ? alerts : alerts + paused + greys
        state =
            switch worst {
            case .red: .red
            case .amber: .amber
            default: isDischarged || !paused.isEmpty ? .paused : greys.isEmpty ? .green : .grey
            }
    }

    private static func pause(of patient: Patient, at now: Instant) -> [TriageReason] {
        patient.pause(at: now).map { [.paused(until: $0.until, reason: $0.reason)] } ?? []
    }

    private static func greys(
        of patient: Patient, plan: Plan, isUncovered: Bool, holeFrom: String?, facts: TriageFacts,
        isServerClockDoubted: Bool, at now: Instant
    ) -> [TriageReason] {
        var reasons: [TriageReason] = []
        if patient.schedule.isEmpty { reasons.append(.noSchedule) }
        let recent = facts.latest.values.filter { now - $0.takenAt <= silence }
        if recent.isEmpty {
            reasons.append(.nothingReceived(last: facts.latest.values.map(\.takenAt).max()))
        } else if recent.allSatisfy(\.isSuspect) {
            reasons.append(.onlySuspect)
        }
        reasons += facts.untrustedClocks.map { .untrustedClock(device: $0) }
        if isServerClockDoubted { reasons.append(.serverClock) }
        for refusal in facts.refusals where isOutstanding(refusal, facts) {
            let reason = TriageReason.refused(kind: refusal.kind, reason: refusal.reason)
            if !reasons.contains(reason) { reasons.append(reason) }
        }
        reasons += plan.lacking.map { .lacking($0) } + plan.problems.map { .unusableLimit($0) }
        if isUncovered {
            reasons.append(.uncovered)
        } else if let holeFrom {
            reasons.append(.coverageHole(from: holeFrom))
        }
        return reasons
    }

    /// A refused reading is made good by a later one of its kind that is not suspect; what has no known kind, by any.
    private static func isOutstanding(_ refusal: TriageFacts.Refusal, _ facts: TriageFacts) -> Bool {
        let kind = refusal.kind.flatMap { code in Kind.allCases.first { $0.code == code } }
        let repeats = kind.map { facts.latest[$0].map { [$0] } ?? [] } ?? Array(facts.latest.values)
        return !repeats.contains { $0.receivedAt > refusal.at && !$0.isSuspect }
    }
}

extension Patient {
    /// The pause that the day is in, where the patient lives.
    fileprivate func pause(at now: Instant) -> Pause? {
        // An unknown time zone can't be enrolled; if it were, nobody would be called paused for it.
        guard let today = LocalTime(now, timeZone: profile.timeZone)?.date else { return nil }
        return pauses.last { $0.covers(now, on: today) }
    }

    /// Those that are, and those to come.
    public func pausesLeft(at now: Instant) -> [Pause] {
        guard let today = LocalTime(now, timeZone: profile.timeZone)?.date else { return [] }
        return pauses.filter { today <= $0.until && ($0.ended.map { now < $0 } ?? true) }
    }

    /// Readings are not expected today.
    public func isPaused(at now: Instant) -> Bool { pause(at: now) != nil }
}

/// What the store knows of all patients, and the worklist made of it. Pure.
public struct TriageSnapshot: Sendable {
    /// An open alert that has a say.
    public struct OpenAlert: Hashable, Sendable {
        public var subject: Subject
        public var alertClass: AlertClass
        public var alert: TriageFacts.Alert
        /// Grows with everything that happens to it.
        public var revision: Int32
        public var id: AlertID
        /// Of an open red its last event that notified.
        public var spoke: Int32?
        /// Who took it last, else who acknowledged it; nil while it is open.
        public var holder: String?

        public init(
            subject: Subject, alertClass: AlertClass, alert: TriageFacts.Alert, revision: Int32 = 0,
            id: AlertID = AlertID(high: 0, low: 0), spoke: Int32? = nil, holder: String? = nil
        ) {
            self.subject = subject
            self.alertClass = alertClass
            self.alert = alert
            self.revision = revision
            self.id = id
            self.spoke = spoke
            self.holder = holder
        }
    }

    public var alerts: [OpenAlert] = []
    public var latest: [Identifier: [Kind: TriageFacts.Latest]] = [:]
    public var refusals: [Identifier: [TriageFacts.Refusal]] = [:]
    /// When it was taken, by the store's clock.
    public var at: Instant

    public init(at: Instant) { self.at = at }

    /// The technical rules that make a patient grey.
    public static let readerClockRule = "clock-offset"
    public static let serverClockRule = "server-clock"

    /// Whose alerts differ between these two: those of a reader are about whoever holds it, or held it last.
    public func patients(changedFrom before: TriageSnapshot, in registry: Registry) -> Set<Identifier> {
        Set(
            Set(alerts).symmetricDifference(before.alerts).compactMap { open in
                switch open.subject {
                case .patient(let code): code
                case .device(let code): registry.devices[code]?.presentOrLastPatient(at: at)
                case .site, .instance: nil
                }
            })
    }

    /// Red, amber, grey, paused, green; within a state the longest waiting alert first, then by code.
    ///
    /// - Parameters:
    ///   - plan: each patient's, by the packs in force.
    ///   - uncovered: patients whose alerts would reach nobody.
    public func worklist(
        of registry: Registry, site: Identifier? = nil, uncovered: Set<Identifier>, plan: (Patient) -> Plan
    ) -> [Triage] {
        var facts: [Identifier: TriageFacts] = [:]
        var isServerClockDoubted = false
        for open in alerts {
            switch (open.subject, open.alertClass) {
            case (.patient(let patient), .clinical): facts[patient, default: TriageFacts()].alerts.append(open.alert)
            case (.device(let device), _):
                // About whoever holds the reader now, or held it last.
                guard let patient = registry.devices[device]?.presentOrLastPatient(at: at) else { break }
                if open.alertClass == .clinical {
                    facts[patient, default: TriageFacts()].alerts.append(open.alert)
                } else if open.alert.rule == Self.readerClockRule {
                    facts[patient, default: TriageFacts()].untrustedClocks.append(device)
                }
            case (.instance, .technical) where open.alert.rule == Self.serverClockRule: isServerClockDoubted = true
            default: break
            }
        }
        let patients = registry.patients.values.filter {
            site == nil ? !Synthetic.isSynthetic($0.site) : $0.site == site
        }
        let holes = Coverage(registry: registry).earliestHoles(of: site.map { [$0] }, from: at)
        return patients.map { patient in
            let hole = holes[patient.code]
            var known = facts[patient.code] ?? TriageFacts()
            known.latest = latest[patient.code] ?? [:]
            known.refusals = refusals[patient.code] ?? []
            return Triage(
                of: patient, plan: plan(patient),
                isUncovered: uncovered.contains(patient.code) || hole.map { $0.from <= at } ?? false,
                holeFrom: hole.map { WallClock.words($0.from, timeZone: registry.sites[patient.site]?.timeZone) },
                facts: known, isServerClockDoubted: isServerClockDoubted, at: at)
        }.filter { !$0.isDischarged || $0.state < .grey }.sorted { left, right in
            if left.state != right.state { return left.state < right.state }
            let far = Instant(microseconds: .max)
            let waiting = (left.oldestAlertAt ?? far, right.oldestAlertAt ?? far)
            if waiting.0 != waiting.1 { return waiting.0 < waiting.1 }
            return left.patient.description < right.patient.description
        }
    }
}
