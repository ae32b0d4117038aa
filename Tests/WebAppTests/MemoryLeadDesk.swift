import Alerting
import Clinical
import Foundation
import Registry
import Synchronization

/// What leads ask, answered out of memory beside a `MemoryDesk`, whose viewer and text it takes.
final class MemoryLeadDesk: LeadDesk {
    struct State {
        var releases: [(id: Int64, note: String)] = []
        var releaseRefusal: ReleaseRefusal?
        var changes: [PlanRequest] = []
        var outcome = PlanOutcome.changed
        var approvals: [String] = []
        var approvalRefusal: ApprovalRefusal?
        var retirements: [String] = []
        var retirementRefusal: RetirementRefusal?
        var pairings: [PairingRequest] = []
        var pairingOutcome = PatientActionOutcome.done
        var reason = RefusalReason.retained
        var shared: [String] = []
        var searches: [AuditSearch] = []
        var exports = 0
        var fields: [String: FieldValue] = [:]
    }

    let desk: MemoryDesk
    let state = Mutex(State())

    init(_ desk: MemoryDesk) {
        self.desk = desk
        state.withLock { $0.fields = Self.fields("x") }
    }

    static func fields(_ text: String) -> [String: FieldValue] {
        [
            "name": .string(text),
            "limits": .array([
                .object([
                    "kind": .string("spo2"), "red_below": .number(85), "amber_at_or_below": .number(88),
                    "by": .string(text), "reason": .string(text), "red": .string("off"), "until": .string(text),
                ])
            ]),
            "schedule": .array([
                .object([
                    "kinds": .array([.string("spo2"), .string(text)]), "due": .string("09:00"),
                    "days": .array([.string("mon")]), "grace": .string(text),
                ])
            ]),
            "conditions": .array([.string(text)]), "key_worker": .string(text), "risk": .string(text),
            "targets": .object(["inr": .array([.number(2), .number(3)]), text: .string(text)]),
            "baselines": .object(["spo2": .number(91)]), "pauses": .array([.object(["reason": .string(text)])]),
        ]
    }

    private func begin(_ session: SessionToken) throws(CareDeskUnavailable) -> (viewer: Viewer, text: String)? {
        let (viewer, text, unavailable) = desk.state.withLock { ($0.viewer, $0.text, $0.unavailable) }
        if let unavailable { throw unavailable }
        guard session == MemoryDesk.session, let viewer else { return nil }
        return (viewer, text)
    }

    private static func row(_ text: String) -> QuarantineRow {
        QuarantineRow(
            id: 7, reason: .retained, site: text, device: text, report: text, reading: nil,
            receivedAt: MemoryDesk.now - .days(1), lastReceivedAt: MemoryDesk.now, timesSeen: 2,
            release: ReleaseState(
                requestedBy: text, requestedAt: MemoryDesk.now, note: text, outcome: "quarantined", reason: text))
    }

    private static func span(_ text: String) -> PairingSpan {
        PairingSpan(device: text, patient: text, from: MemoryDesk.now - .days(9), until: MemoryDesk.now + .days(2))
    }

    func service(
        _ search: QuarantineSearch, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ServiceFile> {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        guard viewer.leads else { return .notThere }
        var figures = ServiceFigures()
        figures.problems = [text]
        figures.commit = .init(median: 0.001, most: .infinity)
        return .seen(
            ServiceFile(
                viewer: viewer, at: MemoryDesk.now, figures: figures,
                deliveries: [DeliveryCount(channel: text, state: "pending", count: 3, oldest: MemoryDesk.now)],
                troubles: [
                    DeliveryTrouble(
                        alert: AlertID(high: 1, low: 2), channel: text, recipient: text, state: "failed", isDead: true,
                        attempts: 3, lastError: text, createdAt: MemoryDesk.now)
                ], reasons: [ReasonCount(reason: .retained, rows: 1, times: 2)], search: search, rows: [Self.row(text)],
                hasMore: true, endings: [Self.span(text)]))
    }

    func quarantined(
        _ id: Int64, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<QuarantineFile> {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        guard viewer.leads, id == 7 else { return .notThere }
        var row = Self.row(text)
        row.reason = state.withLock { $0.reason }
        return .seen(
            QuarantineFile(
                viewer: viewer, at: MemoryDesk.now, row: row, detail: text,
                topic: "homeward/v1/north/dev/report", payload: Array("{\(text)}".utf8) + [0xff, 0],
                earlier: [
                    ReleaseState(requestedBy: text, requestedAt: MemoryDesk.now, note: text, outcome: nil, reason: nil)
                ],
                pairings: [Self.span(text)]))
    }

    func release(
        _ id: Int64, note: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ReleaseRefusal?> {
        guard let (viewer, _) = try begin(session) else { return .signedOut }
        guard viewer.leads, id == 7 else { return .notThere }
        state.withLock { $0.releases.append((id, note)) }
        return .seen(state.withLock { $0.releaseRefusal })
    }

    func pair(
        _ request: PairingRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientActionOutcome> {
        guard let (viewer, _) = try begin(session) else { return .signedOut }
        guard viewer.leads, request.patient.description == "P0001" else { return .notThere }
        state.withLock { $0.pairings.append(request) }
        return .seen(state.withLock { $0.pairingOutcome })
    }

    func retire(
        _ pack: String, reason: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<RetirementRefusal?> {
        guard let (viewer, _) = try begin(session) else { return .signedOut }
        guard viewer.leads, pack == "gone" else { return .notThere }
        state.withLock { $0.retirements.append("\(pack) \(reason)") }
        return .seen(state.withLock { $0.retirementRefusal })
    }

    func plan(
        of patient: Identifier, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PlanFile> {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        guard patient.description == "P0001" else { return .notThere }
        let fields = text == "x" ? state.withLock { $0.fields } : Self.fields(text)
        let changes = fields.sorted { $0.key < $1.key }.map {
            PlanVersion.Change(field: $0.key, before: .null, after: $0.value)
        }
        return .seen(
            PlanFile(
                viewer: viewer, at: MemoryDesk.now, patient: patient, name: text, timeZone: "Europe/London",
                fields: fields, plan: Plan(profile: PatientProfile(), packs: PackLibrary([])),
                packs: [("copd", text)], team: [("cm-01", text)],
                versions: [
                    PlanVersion(
                        version: 3, at: MemoryDesk.now, actor: text, source: text, reason: text, changes: changes)
                ]))
    }

    func change(
        _ request: PlanRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PlanOutcome> {
        guard let (viewer, _) = try begin(session) else { return .signedOut }
        guard viewer.mayAct, request.patient.description == "P0001" else { return .notThere }
        state.withLock { $0.changes.append(request) }
        return .seen(state.withLock { $0.outcome })
    }

    func packs(_ session: SessionToken) async throws(CareDeskUnavailable) -> DeskAnswer<PackFile> {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        func version(_ byte: UInt8, isInForce: Bool, _ content: String) -> PackVersion {
            PackVersion(
                pack: "copd", hash: [UInt8](repeating: byte, count: 32), firstSeenAt: MemoryDesk.now,
                isConfigured: !isInForce, isInForce: isInForce, content: Array(content.utf8),
                approvals: isInForce ? [PackApproval(by: text, at: MemoryDesk.now, note: text)] : [])
        }
        return .seen(
            PackFile(
                viewer: viewer, at: MemoryDesk.now,
                versions: [
                    version(1, isInForce: false, "a\nb"), version(2, isInForce: true, "a\n" + text),
                    PackVersion(
                        pack: "gone", hash: [UInt8](repeating: 3, count: 32), firstSeenAt: MemoryDesk.now,
                        isConfigured: false, isInForce: true, content: Array(text.utf8),
                        approvals: [
                            PackApproval(
                                by: text, at: MemoryDesk.now, note: text,
                                retirement: PackRetirement(by: text, at: MemoryDesk.now, reason: text))
                        ]),
                ],
                mayApprove: viewer.leads))
    }

    func approve(
        _ pack: String, hash: [UInt8], note: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ApprovalRefusal?> {
        guard let (viewer, _) = try begin(session) else { return .signedOut }
        guard viewer.leads, pack == "copd" else { return .notThere }
        state.withLock { $0.approvals.append("\(pack) \(hash.first ?? 0) \(note)") }
        if let refusal = state.withLock({ $0.approvalRefusal }) { return .seen(refusal) }
        return .seen(hash.first == 1 ? nil : .approvedAlready)
    }

    func sharing(
        of patient: Identifier, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<SharingFile> {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        guard patient.description == "P0001" else { return .notThere }
        func row(_ id: Int64, ended: Bool) -> SharingRow {
            SharingRow(
                id: id, careManager: "gp-0\(id)", name: text, since: MemoryDesk.now, addedBy: text, word: text,
                endedAt: ended ? MemoryDesk.now : nil, endedBy: ended ? text : nil, endReason: ended ? text : nil)
        }
        return .seen(
            SharingFile(
                viewer: viewer, at: MemoryDesk.now, patient: patient, name: text,
                people: [
                    TeamMember(code: "cm-01", name: text, role: .careManager),
                    TeamMember(code: "gp-03", name: text, role: .readOnly),
                ], rows: [row(1, ended: false), row(2, ended: true)]))
    }

    func share(
        _ patient: Identifier, with careManager: Identifier, word: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Bool> {
        guard let (viewer, _) = try begin(session) else { return .signedOut }
        guard viewer.leads, patient.description == "P0001" else { return .notThere }
        state.withLock { $0.shared.append("\(careManager) \(word)") }
        return .seen(careManager.description == "gp-03")
    }

    func endSharing(
        _ id: Int64, of patient: Identifier, reason: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Bool> {
        guard let (viewer, _) = try begin(session) else { return .signedOut }
        guard viewer.leads, patient.description == "P0001" else { return .notThere }
        state.withLock { $0.shared.append("end \(id) \(reason)") }
        return .seen(id == 1)
    }

    func searchAudit(
        _ search: AuditSearch, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<AuditFile> {
        guard let (viewer, text) = try begin(session) else { return .signedOut }
        guard viewer.maySearchAudit else { return .notThere }
        state.withLock { $0.searches.append(search) }
        return .seen(
            AuditFile(
                viewer: viewer, at: MemoryDesk.now,
                rows: [ReadAuditRow(at: MemoryDesk.now, careManager: text, patient: text, what: text, detail: text)],
                next: 41))
    }

    func export(
        _ patient: Identifier, after place: ExportPlace?, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ExportPart> {
        guard let (viewer, _) = try begin(session) else { return .signedOut }
        guard viewer.mayAct, patient.description == "P0001" else { return .notThere }
        let number = state.withLock { state in
            state.exports += 1
            return state.exports
        }
        return .seen(
            ExportPart(
                lines: "line \(number)\r\n", next: number < 3 ? ExportPlace(table: .answers, key: ["\(number)"]) : nil))
    }
}
