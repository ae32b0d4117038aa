import Alerting
import Clinical
import Documents
import Foundation
import Ingestion
import Logging
import PostgresStore
import Registry
import ServiceLifecycle

/// The care managers' page's desk on PostgreSQL. Threads and connections of its own, beside the pipeline's: three that read
/// and act, one that signs in, one for corrections, one for what is done about patients, one that keeps the worklist.
///
/// What a viewer may see is what the database shows the page's role in the name of the session; the worklist, which is
/// made of everybody once for all, is cut down to the patients that the database shows.
final class PostgresCareDesk: CareDesk, Service {
    final class Tools {
        let reader: WebReader
        let desk: AlertDesk
        let actions: PatientActions

        init(_ configuration: DatabaseConfiguration, _ packs: PackKeeper) {
            reader = WebReader(configuration) { packs.isApproved }
            desk = AlertDesk(configuration)
            actions = PatientActions(configuration)
        }
    }

    /// Made anew when the packs in force have changed.
    private final class CorrectionTools {
        private let configuration: DatabaseConfiguration
        private var made: (packs: PackLibrary, corrections: ReadingCorrections)?

        init(_ configuration: DatabaseConfiguration) { self.configuration = configuration }

        func corrections(_ packs: PackLibrary) -> ReadingCorrections {
            if let made, made.packs == packs { return made.corrections }
            let corrections = ReadingCorrections(configuration, packs: packs)
            made = (packs, corrections)
            return corrections
        }
    }

    let threads: DeskThreads<Tools>
    private let doorman: DeskThreads<WebAccounts>
    private let corrections: DeskThreads<CorrectionTools>
    let changes: DeskThreads<ChangeTools>
    let keeper: WorklistKeeper
    private let packs: PackKeeper
    private let pastPacks: PastPacks
    private let lists = ShownLists()
    let logger: Logger

    init(_ configuration: DatabaseConfiguration, packs: PackKeeper, served: ServedChannels, logger: Logger) {
        threads = DeskThreads(name: "page", count: 3, limit: 128, logger: logger) { Tools(configuration, packs) }
        // Hashing a password takes 64 MiB and a tenth of a second: one at a time, and few may wait.
        doorman = DeskThreads(name: "sign-in", count: 1, limit: 16, logger: logger) { WebAccounts(configuration) }
        corrections = DeskThreads(name: "corrections", count: 1, limit: 16, logger: logger) {
            CorrectionTools(configuration)
        }
        changes = DeskThreads(name: "changes", count: 1, limit: 32, logger: logger) {
            ChangeTools(configuration, served: served)
        }
        keeper = WorklistKeeper(configuration, packs: packs.library, served: served, logger: logger)
        self.packs = packs
        pastPacks = PastPacks(packs)
        self.logger = logger
    }

    /// Until shutdown: then open event streams end, and so do the threads.
    func run() async throws {
        try await gracefulShutdown()
        keeper.close()
        threads.close()
        doorman.close()
        corrections.close()
        changes.close()
    }

    /// For the worklist and the charts from now on.
    func use(_ packs: PackLibrary) { keeper.use(packs) }

    /// As the worklist was made of.
    func registry() async throws(CareDeskUnavailable) -> Registry { try await keeper.ward().registry }

    func news() -> AsyncStream<Void> { keeper.news() }

    var isBehind: Bool { keeper.isBehind }

    // MARK: Sessions

    func signIn(_ attempt: SignInAttempt) async throws(CareDeskUnavailable) -> SignInOutcome {
        try await doorman.run { accounts throws(StoreFailure) in try accounts.signIn(attempt) }
    }

    func viewer(of session: SessionToken, isActivity: Bool) async throws(CareDeskUnavailable) -> Viewer? {
        try await threads.run { tools throws(StoreFailure) in
            try tools.reader.viewer(session, isActivity: isActivity)
        }
    }

    func signOut(_ session: SessionToken, everywhere: Bool) async throws(CareDeskUnavailable) {
        try await threads.run { tools throws(StoreFailure) in try tools.reader.end(session, everywhere: everywhere) }
    }

    // MARK: Looking

    func worklist(_ session: SessionToken, isActivity: Bool) async throws(CareDeskUnavailable) -> DeskAnswer<Worklist> {
        let viewer = try await threads.run { tools throws(StoreFailure) in
            try tools.reader.looker(session, isActivity: isActivity)
        }
        guard let viewer else { return .signedOut }
        var ward = try await keeper.ward()
        while true {
            if let list = lists.list(of: viewer, ward) { return .seen(list) }
            if await lists.begin(viewer.careManager) { break }
            ward = try await keeper.ward()
        }
        defer { lists.end(viewer.careManager) }
        let known = lists.patients(of: viewer, ward)
        let visible = try await threads.run { tools throws(StoreFailure) in
            try tools.reader.visible(session, withPatients: known == nil)
        }
        guard let visible else { return .signedOut }
        let patients = visible.patients ?? known ?? []
        let list = Worklist(
            viewer: visible.viewer, at: ward.at,
            rows: WorklistRow.list(of: ward.sorted, among: patients, ownOf: visible.viewer.careManager),
            others: visible.others, othersSpoke: visible.othersSpoke, team: team(ward, visible.viewer.site))
        lists.keep(list, among: visible.patients, ward)
        return .seen(list)
    }

    func searched(
        _ words: String, isActivity: Bool, _ session: SessionToken
    ) async throws(CareDeskUnavailable) {
        try await threads.run { tools throws(StoreFailure) in
            try tools.reader.searched(words, isActivity: isActivity, session)
        }
    }

    private func team(_ ward: WorklistKeeper.Ward, _ site: Identifier) -> [Identifier: String] {
        ward.registry.careManagers.filter { $0.value.site == site }.compactMapValues(\.name)
    }

    func patient(
        _ code: Identifier, days: Int, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientFile> {
        let sight = try await threads.run { tools throws(StoreFailure) in
            try tools.reader.patient(code, days: days, session)
        }
        switch sight {
        case .signedOut: return .signedOut
        case .notThere: return .notThere
        case .seen(let stored):
            let ward = try await keeper.ward()
            // Enrolled a moment ago.
            guard let patient = ward.registry.patients[code] else { return .notThere }
            let plan = Plan(profile: patient.profile, packs: ward.packs)
            let start = stored.at - .days(Int64(days))
            let packs = try await pastPacks.spans(stored.packs, from: start, until: stored.at, now: ward.packs)
            let past = ward.plans(of: patient, stored.entries, packs, from: start)
            return .seen(
                PatientFile(
                    viewer: stored.viewer, patient: patient, row: ward.rows[code], plan: plan,
                    pastPlans: past.plans, limitsFrom: past.from ?? stored.entriesFrom, at: stored.at, days: days,
                    readings: stored.readings, readingsFrom: stored.readingsFrom, answers: stored.answers,
                    alerts: stored.alerts,
                    devices: stored.devices, events: stored.events, followUps: stored.followUps, typed: stored.typed,
                    team: team(ward, stored.viewer.site)))
        }
    }

    func alert(_ id: AlertID, _ session: SessionToken) async throws(CareDeskUnavailable) -> DeskAnswer<
        (Viewer, AlertFile)
    > {
        try await threads.run { tools throws(StoreFailure) in try tools.reader.alert(id, session) }
    }

    func minorAlerts(
        _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<(Viewer, [Episode])> {
        try await threads.run { tools throws(StoreFailure) in try tools.reader.minorAlerts(session) }
    }

    func history(
        of id: AlertID, before: Int32?, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<AlertHistory> {
        try await threads.run { tools throws(StoreFailure) in
            try tools.reader.history(of: id, before: before, session)
        }
    }

    // MARK: Doing

    func act(
        _ request: AlertRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Result<Episode, AlertActionRefusal>> {
        let now = Instant(microseconds: Int64(exactly: (Date.now.timeIntervalSince1970 * 1_000_000).rounded()) ?? 0)
        let action: AlertAction =
            switch request.verb {
            case .acknowledge, .acknowledgeMinor: .acknowledge
            case .take, .handOver: .take
            case .shelve(let span): .shelve(until: now + span)
            case .unshelve: .unshelve
            case .resolve: .resolve
            }
        let answer = try await threads.run {
            [logger] tools throws(StoreFailure) -> DeskAnswer<Result<Episode, AlertActionRefusal>> in
            guard let viewer = try tools.reader.viewer(session, isActivity: true) else { return .signedOut }
            var actor = AlertActor(account: viewer.careManager.description, careManager: viewer.careManager)
            var recipient: Identifier?
            if case .handOver(let code) = request.verb {
                // It is theirs from now on; who gave it to them stands beside it.
                actor.careManager = code
                recipient = code
            }
            let result = try tools.desk.act(
                action, on: request.alert, by: actor, note: request.note, seen: request.seen, within: session,
                minorOnly: request.verb == .acknowledgeMinor, handingTo: recipient, at: now)
            if case .success(let episode) = result {
                logger.info(
                    "alert acted on", metadata: ["alert": "\(episode.id)", "state": "\(episode.state.rawValue)"])
            }
            return result.map { .seen($0) } ?? .notThere
        }
        // The worklist that they go back to has it. Of many at once only the last look counts.
        if case .seen(.success) = answer, request.verb != .acknowledgeMinor { await keeper.waitForNextWard() }
        return answer
    }

    func markInError(
        _ request: CorrectionRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<Bool> {
        let sight = try await threads.run { tools throws(StoreFailure) in try tools.reader.corrector(request, session) }
        switch sight {
        case .signedOut: return .signedOut
        case .notThere: return .notThere
        case .seen(let viewer):
            let wanted = ReadingCorrections.Request(
                site: viewer.site, key: request.key, reading: request.place, by: viewer.careManager,
                actor: viewer.careManager.description, reason: request.reason)
            let packs = packs.library
            let outcome = try await corrections.run { tools throws(StoreFailure) in
                try tools.corrections(packs).mark(wanted)
            }
            guard case .marked(_, let isNew, _, _) = outcome else { return .notThere }
            return .seen(isNew)
        }
    }
}
