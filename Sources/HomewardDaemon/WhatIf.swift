import Clinical
import Delivery
import Documents
import Formats
import Foundation
import Ingestion
import PostgresStore
import Registry

/// `homeward replay --from-database`: what other packs or limits would have made of the reports that are stored, beside
/// what was made of them. Reads only.
public struct WhatIf {
    private let configurationPath: String
    private let registryPath: String?
    private let protocolsPath: String?
    private let patient: String?
    private let site: String?
    private let since: String
    private let json: Bool

    /// - Parameters:
    ///   - registryPath: judged as if this file were enrolled now; nil: by the registry in force.
    ///   - protocolsPath: nil: the packs in force.
    ///   - patient: nil: every patient of `site`.
    ///   - since: a day, from its midnight where the patients are, or a time of RFC 3339.
    public init(
        configurationPath: String, registryPath: String?, protocolsPath: String?, patient: String?, site: String?,
        since: String, json: Bool
    ) {
        self.configurationPath = configurationPath
        self.registryPath = registryPath
        self.protocolsPath = protocolsPath
        self.patient = patient
        self.site = site
        self.since = since
        self.json = json
    }

    /// What was asked cannot be answered; said to whoever asked.
    private struct Refusal: Error {
        var status: ExitStatus
        var words: String
    }

    /// Whose history, by what, from when.
    private struct Question {
        var patients: [HistoryPatient]
        var packs: PackLibrary
        var registry: Registry
        var since: Instant
        var until: Instant
    }

    /// 65 for a bad file, and for a patient or a site that the database does not know. Patients are taken one after the
    /// other, each in the memory of his own history; what is said of one is printed before the next.
    public func run() throws -> ExitStatus {
        withDatabase(configurationPath) { loaded throws(StoreFailure) in
            var database = loaded.database
            // A large registry takes its time to read; nothing else waits for it.
            database.deadline = .minutes(10)
            let history = StoredHistory(database)
            let question: Question
            switch try ask(loaded, database, history) {
            case .success(let asked): question = asked
            case .failure(let refusal):
                StandardError.write("\(refusal.words)\n")
                return refusal.status
            }
            let printer = WhatIfOutput(json: json)
            var output = BufferedOutput()
            if let header = printer.header { output.write(header) }
            var summary = WhatIfSummary(since: question.since, until: question.until)
            let isOne = question.patients.count == 1
            var progress = Progress(
                label: isOne ? "reports replayed" : "patients replayed", total: isOne ? nil : question.patients.count)
            defer { progress.end() }
            for (place, patient) in question.patients.enumerated() {
                let replay = try replay(patient, question, history) { reports in
                    progress.advance(to: isOne ? reports : place)
                }
                let comparisons = replay.comparisons()
                summary.add(comparisons, of: replay)
                guard !comparisons.isEmpty else { continue }
                StandardError.clearLine()
                for comparison in comparisons { output.write(printer.line(comparison)) }
            }
            progress.end()
            for line in printer.lines(summary) { output.write(line) }
            output.flush()
            return .success
        }
    }

    private func ask(
        _ loaded: LoadedConfiguration, _ database: DatabaseConfiguration, _ history: StoredHistory
    ) throws(StoreFailure) -> Result<Question, Refusal> {
        var codes: [String: Identifier] = [:]
        for (name, text) in [("patient", patient), ("site", site)] {
            guard let text else { continue }
            guard let code = Identifier(text) else {
                return .failure(
                    Refusal(status: .usage, words: "--\(name): \(StandardErrorLog.escaped(text)) is no code"))
            }
            codes[name] = code
        }
        let stored = try RegistryStore(database).read()
        let inForce = protocolsPath == nil ? try loaded.packsInForce() : loaded.packs
        let packs: PackLibrary
        let registry: Registry
        do throws(DocumentProblems) {
            packs =
                if let protocolsPath { try ProtocolFiles.library(directory: protocolsPath) } else { inForce }
            let files: [RegistryEntry] =
                if let registryPath { try RegistryFile.read(paths: [registryPath]) } else { [] }
            let outcome = RegistryBuilder(packs: packs).build(
                EnrolmentPlan.merged(files: files, stored: stored.fields), version: 1)
            guard outcome.problems.isEmpty else { throw DocumentProblems(outcome.problems) }
            registry = outcome.registry
        } catch {
            return .failure(Refusal(status: .badData, words: "\(error)"))
        }
        let patients = try history.patients(codes["patient"], site: codes["site"])
        guard let first = patients.first else {
            let whom = [patient.map { "patient \($0)" }, site.map { "site \($0)" }].compactMap(\.self)
            return .failure(
                Refusal(status: .badData, words: "the database has no patient of \(whom.joined(separator: ", "))"))
        }
        let zone =
            patient == nil
            ? registry.sites[first.site]?.timeZone : registry.patients[first.code]?.profile.timeZone
        guard let since = Self.instant(since, timeZone: zone ?? "UTC") else {
            return .failure(
                Refusal(status: .usage, words: "--since: \(StandardErrorLog.escaped(since)) is no day and no time"))
        }
        let until = wallClock()
        guard since < until else {
            return .failure(Refusal(status: .usage, words: "--since: \(RFC3339.format(since)) is yet to come"))
        }
        return .success(
            Question(patients: patients, packs: packs, registry: registry, since: since, until: until))
    }

    private func replay(
        _ patient: HistoryPatient, _ question: Question, _ history: StoredHistory, _ advance: (Int) -> Void
    ) throws(StoreFailure) -> PatientReplay {
        let start = question.since - PatientReplay.lookBack
        var replay = PatientReplay(
            patient, packs: question.packs, registry: question.registry,
            past: try history.alerts(of: patient.code, from: start, until: question.until), since: question.since)
        var last: StoredMessage?
        repeat {
            let page = try history.reports(of: patient, from: start, until: question.until, after: last)
            last = page.count < StoredHistory.pageSize ? nil : page.last
            for stored in page {
                try replay.take(stored)
                advance(replay.reports + replay.reportsBefore)
            }
        } while last != nil
        replay.end()
        return replay
    }

    /// The midnight that a day begins with in the zone, or a time as it stands.
    static func instant(_ text: String, timeZone: String) -> Instant? {
        if let instant = RFC3339.parse(text) { return instant }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [4, 2, 2], let year = Int(parts[0]), let month = Int(parts[1]),
            let day = Int(parts[2]), CalendarDate(year: year, month: month, day: day) != nil
        else { return nil }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(identifier: timeZone) ?? .gmt
        let seconds = calendar.date(from: DateComponents(year: year, month: month, day: day)).flatMap {
            Int64(exactly: calendar.startOfDay(for: $0).timeIntervalSince1970.rounded())
        }
        return seconds.map { Instant(microseconds: 0) + .seconds($0) }
    }
}
