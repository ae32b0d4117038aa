import Alerting
import Clinical
import Documents
import Formats
import Foundation
import Ingestion
import PostgresStore
import Registry

/// What changes something about patients; of one thread.
final class ChangeTools {
    let actions: PatientActions
    private let configuration: DatabaseConfiguration
    private let served: ServedChannels
    private var made: (packs: PackLibrary, change: RegistryChange)?

    init(_ configuration: DatabaseConfiguration, served: ServedChannels) {
        self.configuration = configuration
        self.served = served
        actions = PatientActions(configuration)
    }

    /// By the packs in force.
    func change(_ packs: PackLibrary) -> RegistryChange {
        if let made, made.packs == packs { return made.change }
        let change = RegistryChange(configuration, packs: packs, served: served)
        made = (packs, change)
        return change
    }
}

extension PostgresCareDesk {
    func perform(
        _ action: PatientAction, of patient: Identifier, form: FormID, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientActionOutcome> {
        switch action {
        case .call(let outcome, let note):
            return try await write(
                event(form, patient, "call", note, [("outcome", outcome.rawValue)]), within: session)
        case .review(let note):
            return try await write(event(form, patient, "review", note), within: session)
        case .followUp(let due, let note):
            return try await write(
                event(form, patient, "follow-up", note, [("due", due)]), also: .followUp(due: due, note: note),
                within: session)
        case .followedUp(let id, let note):
            return try await write(
                event(form, patient, "follow-up-done", note, [("follow_up", id.description)]), also: .followedUp(id),
                within: session)
        case .typeIn(let readings):
            return try await typeIn(readings, of: patient, form: form, session)
        case .pause(let from, let until, let reason):
            return try await change(
                event(form, patient, "pause", reason, [("from", from.description), ("until", until.description)]),
                within: session
            ) { base throws(RegistryChange.Refusal) in try base.pausing(patient, from: from, until: until, reason) }
        case .endPause(let from, let until, let reason):
            return try await change(
                event(form, patient, "pause-ended", reason, [("from", "\(from)"), ("until", "\(until)")]),
                within: session
            ) { base throws(RegistryChange.Refusal) in try base.endingPause(patient, from: from, until: until) }
        case .discharge(let cause, let reason):
            return try await change(
                event(form, patient, cause == .died ? "death" : "discharge", reason), within: session
            ) { base throws(RegistryChange.Refusal) in try base.discharging(patient, because: cause) }
        case .takeBack(let reason):
            return try await change(event(form, patient, "discharge-taken-back", reason), within: session) {
                base throws(RegistryChange.Refusal) in
                guard base.registry.patients[patient]?.discharge != nil else {
                    throw RegistryChange.Refusal("they are monitored already")
                }
                return [RegistryKey(entity: .patient, code: patient.description): ["discharged": .null]]
            }
        case .replaceReader(let old, let new, let isNewHere, let reason):
            let words = [("old", old?.description), ("new", new.description)].compactMap { name, code in
                code.map { (name, $0) }
            }
            return try await change(
                event(form, patient, "replace-reader", reason, words), readers: [new], within: session
            ) { base throws(RegistryChange.Refusal) in
                try base.replacing(old, with: new, of: patient, isNewHere: isNewHere)
            }
        case .pairReader(let device, let from, let reason):
            return try await change(
                event(
                    form, patient, "pair-reader", reason,
                    [("reader", device.description), ("from", RFC3339.format(from))]), readers: [device],
                within: session
            ) { base throws(RegistryChange.Refusal) in try base.pairing(device, with: patient, from: from) }
        }
    }

    private func event(
        _ form: FormID, _ patient: Identifier, _ kind: String, _ note: String?, _ detail: [(String, String)] = []
    ) -> PatientEventRequest {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, value) in detail {
            writer.name(name)
            writer.value(value)
        }
        writer.endObject()
        return PatientEventRequest(form: form, patient: patient, kind: kind, note: note, detail: writer.text)
    }

    private func write(
        _ event: PatientEventRequest, also addition: PatientEventAddition? = nil, within session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientActionOutcome> {
        try await changes.run { tools throws(StoreFailure) in
            try tools.actions.perform(event, also: addition, within: session)
        }
    }

    private func change(
        _ event: PatientEventRequest, also addition: PatientEventAddition? = nil, readers: [Identifier] = [],
        within session: SessionToken,
        _ edit: @escaping @Sendable (RegistryChange.Base) throws(RegistryChange.Refusal) -> RegistryChange.Base.Edit
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientActionOutcome> {
        let packs = try await keeper.ward().packs
        let answer = try await changes.run { tools throws(StoreFailure) in
            try tools.change(packs).apply(event, also: addition, readers: readers, within: session, edit: edit)
        }
        switch answer {
        case .signedOut: return .signedOut
        case .notThere: return .notThere
        case .seen(.done(let version)):
            await keeper.waitForRegistry(version)
            return .seen(.done)
        case .seen(.doneBefore): return .seen(.doneBefore)
        case .seen(.refused(let refusal)): return .seen(.refused(refusal.words))
        }
    }

    // MARK: Typing in

    /// How long somebody waits to see what became of what they typed.
    private static let patience = Duration.seconds(4)

    private func typeIn(
        _ typed: TypedReadings, of patient: Identifier, form: FormID, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientActionOutcome> {
        let ward = try await keeper.ward()
        // Only their time zone is taken from it: what may be written is the database's to say.
        let zone = ward.registry.patients[patient]?.profile.timeZone ?? "Europe/London"
        let report: TypedPayload
        do throws(TypedPayload.Refusal) {
            report = try TypedPayload(typed, form: form, timeZone: zone)
        } catch {
            return .seen(.refused(error.words))
        }
        guard let device = TypedReader.code(of: patient) else { return .notThere }
        let answer = try await change(
            event(
                form, patient, "typed-reading", nil, [("source", typed.source.rawValue), ("readings", report.words)]),
            also: .typedReport(device: device, source: typed.source.rawValue, payload: report.bytes),
            readers: [device], within: session
        ) { base throws(RegistryChange.Refusal) in try base.givingVoice(to: patient, device) }
        guard case .seen(.done) = answer else { return answer }
        let end = ContinuousClock.now + Self.patience
        while ContinuousClock.now < end {
            // It is written: whoever can't see what becomes of it must not type it in again.
            let outcome: (outcome: String, reason: String?)?
            do throws(CareDeskUnavailable) {
                outcome = try await threads.run { tools throws(StoreFailure) in
                    try tools.actions.outcome(ofTyped: form)
                }
            } catch {
                return .seen(.waiting)
            }
            if let outcome {
                guard outcome.outcome == "quarantined" else { return .seen(.done) }
                return .seen(.refused("it was quarantined: \(outcome.reason ?? "no reason")"))
            }
            try? await Task.sleep(for: .milliseconds(100))
        }
        return .seen(.waiting)
    }
}

extension WorklistKeeper.Ward {
    /// The most plans of one patient that are told apart: of more changes the oldest are left out.
    static let mostPlans = 60

    /// The patient's limits as they changed: the entry as it was, by the packs that were in force.
    ///
    /// - Parameters:
    ///   - entries: oldest first; the first may have stood before those days.
    ///   - packs: the same.
    /// - Returns: from when on they are all; nil: over those days.
    func plans(
        of patient: Patient, _ entries: [(from: Instant, fields: [String: FieldValue])], _ packs: [PastPacks.Span],
        from start: Instant
    ) -> (plans: [PastPlan], from: Instant?) {
        guard let first = entries.first?.from else { return ([], nil) }
        let begin = max(first, start)
        let all = Set(entries.map(\.from) + packs.map(\.from)).filter { $0 > begin }.sorted()
        let isCut = all.count >= Self.mostPlans
        let cuts = isCut ? Array(all.suffix(Self.mostPlans)) : [begin] + all
        let others = others
        var plans: [PastPlan] = []
        var last: (profile: PatientProfile, packs: PackLibrary, standing: PastPlan.Packs)?
        for cut in cuts {
            guard let entry = entries.last(where: { $0.from <= cut }) else { continue }
            let span = packs.last { $0.from <= cut }
            let library = span?.library ?? self.packs
            let standing = span?.standing ?? .notKnown
            let key = RegistryKey(entity: .patient, code: patient.code.description)
            let built = RegistryBuilder(packs: library).build(others + [RegistryEntry(key: key, fields: entry.fields)])
            guard let profile = built.registry.patients[patient.code]?.profile else { continue }
            if let last, last.profile == profile, last.standing == standing, last.packs == library { continue }
            last = (profile, library, standing)
            plans.append(PastPlan(from: cut, plan: Plan(profile: profile, packs: library), packs: standing))
        }
        // Before there was a patient here nothing was judged: the chart of a new one is not left without bands.
        if !isCut, !plans.isEmpty { plans[0].from = min(plans[0].from, start) }
        return (plans, isCut ? plans.first?.from : nil)
    }

    /// What a patient's entry names.
    private var others: [RegistryEntry] {
        registry.careManagers.map { code, careManager in
            RegistryEntry(
                key: RegistryKey(entity: .careManager, code: code.description),
                fields: ["site": .string(careManager.site.description)])
        }
            + registry.sites.map { code, site in
                var fields: [String: FieldValue] = ["name": .string(site.name), "timezone": .string(site.timeZone)]
                if let low = site.glucoseLow { fields["glucose_low"] = .number(low) }
                return RegistryEntry(key: RegistryKey(entity: .site, code: code.description), fields: fields)
            }
    }
}
