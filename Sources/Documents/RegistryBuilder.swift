public import Clinical
public import Registry

/// Entries as data -> the typed `Registry`, with every problem of every entry.
///
/// Give it all entries that there will be, so that references can be checked. Pure; any thread.
public struct RegistryBuilder {
    private let packs: PackLibrary
    private let served: ServedChannels
    private let today: Instant?
    /// NEWS2 and the packs are for adults (clinical facts, section 1).
    private static let youngest = 16

    /// - Parameters:
    ///   - packs: the packs in force: `conditions` must be among them, and a patient's own limits are checked against
    ///     theirs.
    ///   - served: the channels that the configuration can serve: whoever has another one alone is reached by none.
    ///   - today: a patient of these entries who is a child then is refused; nil: nobody's age is looked at.
    public init(packs: PackLibrary, served: ServedChannels = ServedChannels(), today: Instant? = nil) {
        self.packs = packs
        self.served = served
        self.today = today
    }

    /// What became of the entries.
    public struct Outcome: Sendable {
        /// Everything that could be read. Use it only when `problems` is empty.
        public var registry: Registry
        /// What refuses the entries. A problem of an entry that no file names has the entry's name for its file.
        public var problems: [DocumentProblem]
        public var notices: [DocumentProblem]
        /// Patients whose chain of escalation reaches nobody: refused unless `--uncovered`, which keeps them grey.
        public var uncovered: [UncoveredPatient]
    }

    /// The registry of `entries`, each key once.
    public func build(_ entries: [RegistryEntry], version: Int64 = 0) -> Outcome {
        let problems = ProblemList()
        let links = RegistryLinks(keys: entries.map(\.key), packs: packs)
        var registry = Registry(version: version, served: served)
        var sound: [(code: Identifier, node: DocumentNode)] = []
        for entry in entries {
            let node = entry.node
            let before = problems.refusalCount
            read(entry, node, into: &registry, links, DocumentContext(problems))
            if entry.key.entity == .patient, problems.refusalCount == before, let code = Identifier(entry.key.code) {
                sound.append((code, node))
            }
        }
        refuseChildren(among: sound, registry, problems)
        inheritFromSites(&registry)
        links.runWaiting(registry)
        checkPlans(of: sound, registry, problems)
        let nodes = Dictionary(sound.map { ($0.code, $0.node) }, uniquingKeysWith: { first, _ in first })
        let uncovered = Coverage.uncovered(in: registry).map { patient, reason in
            let node = nodes[patient]
            let problem = DocumentProblem(
                file: node?.file ?? "patient \(patient)", line: node?.line,
                message: "an alert of \(patient) would reach nobody: \(reason)")
            return UncoveredPatient(patient: patient, problem: problem)
        }
        return Outcome(
            registry: registry, problems: problems.refusals, notices: problems.notices, uncovered: uncovered)
    }

    private func read(
        _ entry: RegistryEntry, _ node: DocumentNode, into registry: inout Registry, _ links: RegistryLinks,
        _ context: DocumentContext
    ) {
        if entry.key.entity == .escalation {
            if let path = EscalationDocument.value(links).read(node, context) { registry.escalation.append(path) }
            return
        }
        guard let code = Identifier(entry.key.code) else {
            context.report("expected a code of 1 to 64 of [A-Za-z0-9_-]", at: node)
            return
        }
        switch entry.key.entity {
        case .site: registry.sites[code] = SiteDocument.value(code: code).read(node, context)
        case .careManager:
            registry.careManagers[code] = CareManagerDocument.value(code: code, links).read(node, context)
        case .patient: registry.patients[code] = PatientDocument.value(code: code, links).read(node, context)
        case .device: registry.devices[code] = DeviceDocument.value(code: code, links).read(node, context)
        case .escalation: break
        }
    }

    /// What is stored already is told of and refuses nothing: the next entry is no fault of theirs.
    private func refuseChildren(
        among patients: [(code: Identifier, node: DocumentNode)], _ registry: Registry, _ problems: ProblemList
    ) {
        guard let today else { return }
        for (code, node) in patients {
            guard let born = registry.patients[code]?.profile.born, born.age(at: today) < Self.youngest else {
                continue
            }
            var place = node
            if case .mapping(let fields) = node.content, let field = fields.first(where: { $0.name == "born" }) {
                place = field.value
            }
            problems.add(
                "born: \(code) is under \(Self.youngest): NEWS2 and the protocol packs are for adults, and would judge a "
                    + "child wrongly", at: place, isNotice: place.line == nil)
        }
    }

    /// A patient without a time zone of his own has his site's, and every patient has the site's glucose limit.
    private func inheritFromSites(_ registry: inout Registry) {
        for (code, patient) in registry.patients {
            let site = registry.sites[patient.site]
            var profile = patient.profile
            profile.siteGlucoseLow = site?.glucoseLow
            if profile.timeZone.isEmpty { profile.timeZone = site?.timeZone ?? "Europe/London" }
            registry.patients[code]?.profile = profile
        }
    }

    /// Own limits against the packs' other levels and sides.
    private func checkPlans(
        of patients: [(code: Identifier, node: DocumentNode)], _ registry: Registry, _ problems: ProblemList
    ) {
        var plans = Plans(packs: packs)
        for (code, node) in patients {
            guard let profile = registry.patients[code]?.profile else { continue }
            for problem in plans.plan(for: profile).problems {
                var place = node
                if case .mapping(let fields) = node.content, let limits = fields.first(where: { $0.name == "limits" }) {
                    place = limits.value
                }
                // Of one who was enrolled before, when the packs were others: no reason to refuse somebody else.
                problems.add("limits: \(problem)", at: place, isNotice: place.line == nil)
            }
        }
    }
}

/// A patient of whose alerts nobody would be told.
public struct UncoveredPatient: Hashable, Sendable {
    public var patient: Identifier
    public var problem: DocumentProblem
}

/// Whether somebody is told of a patient's alerts.
enum Coverage {
    /// Patients of whose clinical red or amber alerts, in or out of hours, no step reaches a person with a webhook, or
    /// with an e-mail address or a mobile number that the configuration can serve; by code.
    static func uncovered(in registry: Registry) -> [(patient: Identifier, reason: String)] {
        registry.patients.values.sorted { $0.code.description < $1.code.description }.compactMap { patient in
            for severity in [Severity.red, .amber] {
                for inHours in [true, false] where !reaches(patient, severity, inHours: inHours, registry) {
                    let hours = inHours ? "in hours" : "out of hours"
                    return (
                        patient.code,
                        "no step for a clinical \(severity.rawValue) \(hours) leads to \(ways(registry.served))"
                    )
                }
            }
            return nil
        }
    }

    private static func reaches(
        _ patient: Patient, _ severity: Severity, inHours: Bool, _ registry: Registry
    ) -> Bool {
        registry.escalationSteps(
            site: patient.site, alertClass: .clinical, severity: severity, inHours: inHours
        ).contains {
            registry.careManagers($0.to, of: patient).contains(where: registry.served.reach)
        }
    }

    /// "a webhook or e-mail (delivery.sms is not set up)"
    private static func ways(_ served: ServedChannels) -> String {
        let ways = ["a webhook"] + (served.email ? ["e-mail"] : []) + (served.sms ? ["mobile"] : [])
        let missing = (served.email ? [] : ["delivery.smtp"]) + (served.sms ? [] : ["delivery.sms"])
        let others = missing.isEmpty ? "" : " (\(missing.joined(separator: " and ")) not set up)"
        return ways.joined(separator: " or ") + others
    }
}
