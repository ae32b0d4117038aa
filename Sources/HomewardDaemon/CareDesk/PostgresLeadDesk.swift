import Alerting
import Clinical
import Documents
import Formats
import Ingestion
import PostgresStore
import Registry
import ServiceLifecycle

/// What leads, and whoever changes a plan, ask of the page, on PostgreSQL: threads and connections of its own beside the
/// care desk's, one that reads and one that changes the registry.
final class PostgresLeadDesk: LeadDesk, Service {
    /// Made anew when the packs in force have changed.
    private final class Changer {
        private let configuration: DatabaseConfiguration
        private let served: ServedChannels
        private var made: (change: RegistryChange, packs: PackLibrary)?

        init(_ configuration: DatabaseConfiguration, _ served: ServedChannels) {
            self.configuration = configuration
            self.served = served
        }

        func change(_ packs: PackLibrary) -> RegistryChange {
            if let made, made.packs == packs { return made.change }
            let change = RegistryChange(configuration, packs: packs, served: served)
            made = (change, packs)
            return change
        }
    }

    private let readers: DeskThreads<WebReader>
    private let changers: DeskThreads<Changer>
    private let board: ServiceBoard
    private let packKeeper: PackKeeper
    private let desk: PostgresCareDesk
    private let served: ServedChannels

    init(
        _ configuration: DatabaseConfiguration, board: ServiceBoard, packs: PackKeeper, desk: PostgresCareDesk,
        served: ServedChannels
    ) {
        readers = DeskThreads(name: "leads", count: 1, limit: 64, logger: desk.logger) {
            WebReader(configuration) { packs.isApproved }
        }
        changers = DeskThreads(name: "plans", count: 1, limit: 16, logger: desk.logger) {
            Changer(configuration, served)
        }
        self.board = board
        packKeeper = packs
        self.desk = desk
        self.served = served
    }

    func run() async throws {
        try await gracefulShutdown()
        readers.close()
        changers.close()
    }

    // MARK: Service

    func service(
        _ search: QuarantineSearch, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ServiceFile> {
        let answer = try await readers.run { reader throws(StoreFailure) in try reader.service(search, session) }
        guard case .seen(var file) = answer else { return answer }
        file.figures = board.figures
        return .seen(file)
    }

    func quarantined(
        _ id: Int64, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<QuarantineFile> {
        try await readers.run { reader throws(StoreFailure) in try reader.quarantined(id, session) }
    }

    func release(
        _ id: Int64, note: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ReleaseRefusal?> {
        try await readers.run { reader throws(StoreFailure) in try reader.release(id, note: note, session) }
    }

    func pair(
        _ request: PairingRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientActionOutcome> {
        switch try await quarantined(request.quarantined, session) {
        case .signedOut: return .signedOut
        case .notThere: return .notThere
        case .seen(let file):
            guard file.isPairable, let device = file.row.device.flatMap({ Identifier($0) }) else {
                return .seen(.refused("it is not held for want of a pairing"))
            }
            guard let from = Instant(wallClock: request.from, timeZone: file.viewer.timeZone) else {
                return .seen(.refused("the time from which it is theirs can't be read"))
            }
            guard from <= file.wanted else {
                return .seen(.refused("the pairing would begin after what the report is about"))
            }
            return try await desk.perform(
                .pairReader(device, from: from, reason: request.reason), of: request.patient, form: request.form,
                session)
        }
    }

    // MARK: Plans

    func plan(
        of code: Identifier, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PlanFile> {
        let answer = try await readers.run { reader throws(StoreFailure) in try reader.plan(of: code, session) }
        switch answer {
        case .signedOut: return .signedOut
        case .notThere: return .notThere
        case .seen(let stored):
            let registry = try await desk.registry()
            // Enrolled a moment ago.
            guard let patient = registry.patients[code] else { return .notThere }
            let packs = packKeeper.library
            let team = registry.careManagers.values.filter { $0.site == patient.site && $0.role != .readOnly }
            return .seen(
                PlanFile(
                    viewer: stored.viewer, at: stored.at, patient: code, name: patient.details.name,
                    timeZone: patient.profile.timeZone, fields: stored.fields,
                    plan: Plan(profile: patient.profile, packs: packs),
                    packs: packs.packs.filter { $0.code != PackLibrary.everybody }.map { ($0.code, $0.title) },
                    team: team.map { ($0.code.description, $0.name ?? $0.code.description) }.sorted { $0.0 < $1.0 },
                    versions: stored.versions))
        }
    }

    func change(
        _ request: PlanRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PlanOutcome> {
        let packs = packKeeper.library
        let editing = PlanEditing(request: request, packs: packs, served: served)
        let (answer, version) = try await changers.run {
            changer throws(StoreFailure) -> (DeskAnswer<PlanOutcome>, Int64?) in
            var outcome: PlanOutcome?
            let answer = try changer.change(packs).apply(Self.event(request), within: session) {
                base throws(RegistryChange.Refusal) in
                switch editing.verdict(on: base) {
                case .write(let changes): return changes
                case .movedOn: outcome = .movedOn
                case .refused(let faults): outcome = .refused(faults)
                }
                throw RegistryChange.Refusal("")
            }
            switch answer {
            case .signedOut: return (.signedOut, nil)
            case .notThere: return (.notThere, nil)
            case .seen(.done(let version)): return (.seen(.changed), version)
            case .seen(.doneBefore): return (.seen(.changed), nil)
            case .seen(.refused(let refusal)):
                return (.seen(outcome ?? .refused([PlanFault(key: "", words: refusal.words)])), nil)
            }
        }
        if let version {
            // Asking wakes it where nobody has looked for long.
            _ = try? await desk.registry()
            await desk.keeper.waitForRegistry(version)
        }
        return answer
    }

    private static func event(_ request: PlanRequest) -> PatientEventRequest {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("field")
        writer.value(request.field.rawValue)
        writer.endObject()
        return PatientEventRequest(
            form: request.form, patient: request.patient, kind: "plan", note: request.reason, detail: writer.text)
    }

    // MARK: Packs

    func packs(_ session: SessionToken) async throws(CareDeskUnavailable) -> DeskAnswer<PackFile> {
        let answer = try await readers.run { reader throws(StoreFailure) in try reader.packs(session) }
        guard case .seen(var file) = answer else { return answer }
        let inForce = packKeeper.hashes
        for place in file.versions.indices {
            file.versions[place].isInForce = inForce[file.versions[place].pack] == file.versions[place].hash
        }
        return .seen(file)
    }

    func approve(
        _ pack: String, hash: [UInt8], note: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ApprovalRefusal?> {
        let answer = try await readers.run { reader throws(StoreFailure) in
            try reader.approve(pack, hash: hash, note: note, session)
        }
        guard case .seen(nil) = answer else { return answer }
        // It is approved whatever comes now: where this look fails, the keeper looks again in a moment.
        do throws(CareDeskUnavailable) {
            try await packKeeper.look()
        } catch {
            return .seen(.notYetInForce)
        }
        return packKeeper.hashes[pack] == hash ? answer : .seen(.notInForce)
    }

    func retire(
        _ pack: String, reason: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<RetirementRefusal?> {
        let answer = try await readers.run { reader throws(StoreFailure) in
            try reader.retire(pack, reason: reason, session)
        }
        guard case .seen(nil) = answer else { return answer }
        // It is retired whatever comes now: where this look fails, the keeper looks again in a moment.
        do throws(CareDeskUnavailable) {
            try await packKeeper.look()
        } catch {
            return .seen(.notYet)
        }
        return packKeeper.hashes[pack] == nil ? answer : .seen(.notYet)
    }

    // MARK: Who may see

    func sharing(
        of patient: Identifier, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<SharingFile> {
        let answer = try await readers.run { reader throws(StoreFailure) in try reader.sharing(of: patient, session) }
        guard case .seen(var file) = answer else { return answer }
        file.name = try await desk.registry().patients[patient]?.details.name
        return .seen(file)
    }

    func share(
        _ patient: Identifier, with careManager: Identifier, word: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Bool> {
        try await readers.run { reader throws(StoreFailure) in
            try reader.share(patient, with: careManager, word: word, session)
        }
    }

    func endSharing(
        _ id: Int64, of patient: Identifier, reason: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Bool> {
        try await readers.run { reader throws(StoreFailure) in
            try reader.endSharing(id, of: patient, reason: reason, session)
        }
    }

    func searchAudit(
        _ search: AuditSearch, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<AuditFile> {
        try await readers.run { reader throws(StoreFailure) in try reader.searchAudit(search, session) }
    }

    func export(
        _ patient: Identifier, after place: ExportPlace?, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ExportPart> {
        try await readers.run { reader throws(StoreFailure) in try reader.export(patient, after: place, session) }
    }
}
