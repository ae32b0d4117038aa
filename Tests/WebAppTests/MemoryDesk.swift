import Alerting
import Clinical
import Foundation
import Registry
import Synchronization

/// A desk with one site's ward in memory: who is signed in, what they see, and what they did.
final class MemoryDesk: CareDesk {
    static let session = SessionToken(bytes: [UInt8](repeating: 7, count: 32))!
    static let other = SessionToken(bytes: [UInt8](repeating: 9, count: 32))!
    static let now = Instant(microseconds: 1_795_421_730_000_000)

    struct State {
        var viewer: Viewer? = MemoryDesk.viewer()
        var text = "x"
        var acts: [AlertRequest] = []
        var corrections: [CorrectionRequest] = []
        var actions: [PatientAction] = []
        var forms: Set<FormID> = []
        var actionOutcome = PatientActionOutcome.done
        /// The readings of the patient's chart, where they are others than usual.
        var readings: [ChartReading]?
        var refusal: AlertActionRefusal?
        var unavailable: CareDeskUnavailable?
        var attempts: [SignInAttempt] = []
        /// `ada`, and by the page itself `ada, itself`.
        var searches: [String] = []
        var activity: [Bool] = []
        var signedOut: [Bool] = []
        var listeners: [AsyncStream<Void>.Continuation] = []
        var isBehind = false
        /// Who has the patient's alert.
        var holder: String?
    }

    let state = Mutex(State())

    static func viewer(_ role: CareManager.Role = .careManager, text: String = "North") -> Viewer {
        Viewer(
            careManager: identifier("cm-01"), role: role, site: identifier("north"), siteName: text,
            timeZone: "Europe/London")
    }

    static func identifier(_ text: String) -> Identifier { Identifier(text, grammar: .report)! }

    private func begin(_ session: SessionToken) throws(CareDeskUnavailable) -> (Viewer, String)? {
        let (viewer, text, unavailable) = state.withLock { ($0.viewer, $0.text, $0.unavailable) }
        if let unavailable { throw unavailable }
        guard session == Self.session, let viewer else { return nil }
        return (viewer, text)
    }

    func signIn(_ attempt: SignInAttempt) async throws(CareDeskUnavailable) -> SignInOutcome {
        state.withLock { $0.attempts.append(attempt) }
        return attempt.password == Array("right".utf8) ? .signedIn(Self.session) : .refused
    }

    func viewer(of session: SessionToken, isActivity: Bool) async throws(CareDeskUnavailable) -> Viewer? {
        try begin(session)?.0
    }

    func signOut(_ session: SessionToken, everywhere: Bool) async throws(CareDeskUnavailable) {
        state.withLock { $0.signedOut.append(everywhere) }
    }

    func worklist(_ session: SessionToken, isActivity: Bool) async throws(CareDeskUnavailable) -> DeskAnswer<Worklist> {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        state.withLock { $0.activity.append(isActivity) }
        let row = Self.row(text, holder: state.withLock { $0.holder })
        return .seen(
            Worklist(
                viewer: viewer, at: Self.now, rows: [row],
                others: [Self.episode(text, .device(Self.identifier("dev-1")))],
                team: [viewer.careManager: text]))
    }

    func searched(_ words: String, isActivity: Bool, _ session: SessionToken) async throws(CareDeskUnavailable) {
        guard try begin(session) != nil else { return }
        state.withLock { $0.searches.append(isActivity ? words : "\(words), itself") }
    }

    static func row(_ text: String, holder: String? = nil) -> WorklistRow {
        let patient = Patient(
            code: identifier("P0001"), site: identifier("north"), keyWorker: identifier("cm-01"),
            pauses: [
                Pause(
                    from: CalendarDate(year: 2020, month: 1, day: 1)!,
                    until: CalendarDate(year: 2099, month: 1, day: 1)!,
                    reason: text)
            ])
        var facts = TriageFacts()
        let alert = TriageFacts.Alert(
            rule: text, severity: .red, state: holder == nil ? .open : .acknowledged, raisedAt: now - .minutes(5))
        facts.alerts = [alert]
        facts.refusals = [.init(kind: text, reason: text, at: now)]
        let triage = Triage(
            of: patient, plan: Plan(profile: PatientProfile(), packs: PackLibrary([])), isUncovered: true, facts: facts,
            isServerClockDoubted: false, at: now)
        return WorklistRow(
            triage: triage, name: text, conditions: [text], isHighRisk: true,
            alerts: [
                .init(
                    subject: .patient(patient.code), alertClass: .clinical, alert: alert, revision: 4,
                    id: AlertID(high: 1, low: 2), spoke: holder == nil ? 3 : nil, holder: holder)
            ], unanswered: 1,
            unansweredSince: now - .minutes(5), muted: 1, recoveredUnseen: 1,
            followUp: FollowUp(id: FormID(high: 5, low: 6), due: now - .hours(1), note: text, setBy: text),
            reviewedAt: now - .minutes(30))
    }

    static func episode(_ text: String, _ subject: Subject) -> Episode {
        Episode(
            id: AlertID(high: 1, low: 2), subject: subject, site: identifier("north"), device: nil, rule: text,
            alertClass: .clinical, severity: .red, state: .open, raisedAt: now - .minutes(5), summary: text,
            revision: 3)
    }

    static func file(_ text: String, _ subject: Subject) -> AlertFile {
        // PostgreSQL keeps no NUL in JSON.
        let text = text.replacing("\0", with: "")
        let json = String(decoding: try! JSONEncoder().encode([text: [text]]), as: UTF8.self)
        return AlertFile(
            episode: episode(text, subject), acknowledgedBy: text, resolvedAt: nil, resolvedBy: text,
            events: [
                EpisodeEvent(
                    alert: AlertID(high: 1, low: 2), revision: 3, transition: .opened, severity: .red, at: now,
                    report: nil, actor: text, summary: text, explanation: json)
            ], hasOlderEvents: true, joined: 7, told: [text],
            ledger: [
                LedgerRow(at: now, kind: "shelving", reason: text, actor: text, until: now, recipient: text)
            ])
    }

    func patient(
        _ code: Identifier, days: Int, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientFile> {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        guard code.description == "P0001" else { return .notThere }
        let patient = Patient(
            code: code, site: viewer.site, profile: PatientProfile(conditions: [text]),
            details: PersonalDetails(
                name: text, nhsNumber: text, language: text, phone: text, contactPreference: text, nextOfKin: text,
                gpPractice: text))
        func reading(_ kind: Kind, _ place: Int, _ age: Interval, suspect: Bool = false, wrong: Bool = false)
            -> ChartReading
        {
            ChartReading(
                key: ReportKey(device: Self.identifier("dev-1"), report: Self.identifier("r\(place)")), place: place,
                kind: kind, value: 90 + Double(place), code: kind.isCoded ? text : nil, valueSent: 90, unitSent: text,
                takenAt: Self.now - age, receivedAt: Self.now - age + .hours(Int64(place)), isSuspect: suspect,
                correction: wrong ? text : nil, typed: place == 0 ? text : nil)
        }
        return .seen(
            PatientFile(
                viewer: viewer, patient: patient, row: Self.row(text),
                plan: Plan(profile: patient.profile, packs: PackLibrary([])),
                pastPlans: [
                    PastPlan(from: Self.now - .days(60), plan: Plan(profile: PatientProfile(), packs: PackLibrary([]))),
                    PastPlan(from: Self.now - .days(2), plan: Plan(profile: PatientProfile(), packs: PackLibrary([]))),
                ], at: Self.now, days: days,
                readings: state.withLock { $0.readings } ?? [
                    reading(.spo2, 0, .days(3)), reading(.spo2, 1, .days(2), suspect: true),
                    reading(.spo2, 2, .days(1), wrong: true), reading(.consciousness, 3, .hours(1)),
                ], answers: [PatientAnswer(question: text, value: text, takenAt: Self.now)],
                alerts: [Self.file(text, .patient(code))],
                devices: [
                    PatientDevice(
                        code: Self.identifier("dev-1"), from: Self.now - .days(9), until: nil, isOnline: true,
                        battery: 50,
                        firmware: text, heardAt: Self.now)
                ],
                events: [
                    PatientEvent(
                        at: Self.now, careManager: text, kind: "call", note: text,
                        detail: String(decoding: try! JSONEncoder().encode(["outcome": text]), as: UTF8.self))
                ],
                followUps: [FollowUp(id: FormID(high: 5, low: 6), due: Self.now, note: text, setBy: text)],
                typed: [
                    TypedReport(
                        enteredAt: Self.now, careManager: text, source: text, outcome: "quarantined", reason: text)
                ], team: [viewer.careManager: text, Self.identifier("cm-02"): text]))
    }

    func perform(
        _ action: PatientAction, of patient: Identifier, form: FormID, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientActionOutcome> {
        guard let (viewer, _) = try begin(session) else { return .signedOut }
        guard viewer.mayAct, patient.description == "P0001" else { return .notThere }
        return .seen(
            state.withLock { state in
                guard state.actionOutcome == .done else { return state.actionOutcome }
                guard state.forms.insert(form).inserted else { return .doneBefore }
                state.actions.append(action)
                return .done
            })
    }

    func minorAlerts(
        _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<(Viewer, [Episode])> {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        var episode = Self.episode(text, .device(Self.identifier("dev-1")))
        episode.alertClass = .technical
        episode.severity = .amber
        return .seen((viewer, [episode]))
    }

    func history(
        of id: AlertID, before: Int32?, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<AlertHistory> {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        guard id.low == 2 else { return .notThere }
        let file = Self.file(text, .patient(Self.identifier("P0001")))
        return .seen(
            AlertHistory(viewer: viewer, episode: file.episode, events: file.events, hasOlder: before == nil))
    }

    func alert(_ id: AlertID, _ session: SessionToken) async throws(CareDeskUnavailable) -> DeskAnswer<
        (Viewer, AlertFile)
    > {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        switch id.low {
        case 2: return .seen((viewer, Self.file(text, .patient(Self.identifier("P0001")))))
        case 3: return .seen((viewer, Self.file(text, .device(Self.identifier("dev-1")))))
        default: return .notThere
        }
    }

    func act(
        _ request: AlertRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Result<Episode, AlertActionRefusal>> {
        guard try begin(session) != nil else { return .signedOut }
        state.withLock { $0.acts.append(request) }
        if let refusal = state.withLock({ $0.refusal }) { return .seen(.failure(refusal)) }
        return .seen(.success(Self.episode("x", .patient(Self.identifier("P0001")))))
    }

    func markInError(
        _ request: CorrectionRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Bool> {
        guard try begin(session) != nil else { return .signedOut }
        state.withLock { $0.corrections.append(request) }
        return .seen(true)
    }

    var isBehind: Bool { state.withLock { $0.isBehind } }

    func news() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        state.withLock { $0.listeners.append(continuation) }
        return stream
    }
}
