import Clinical
import Registry

/// An entry of `patients`.
enum PatientDocument {
    enum Risk: String, CaseIterable {
        case high
        case standard
    }

    /// How early and late a reading may come where the slot does not say: 2 h is the outside contract's example, 4 h the
    /// clinical facts' grace; both are proposals.
    static let early = Interval.hours(2)
    static let grace = Interval.hours(4)

    static func value(code: Identifier, _ links: RegistryLinks) -> DocumentValue<Patient> {
        .record { reader in
            let site = reader.required("site", links.reference(to: .site))
            let details = details(reader)
            let keyWorker = reader.optional("key_worker", links.reference(to: .careManager))
            let ownZone = reader.optional("timezone", .timeZone)
            let profile = profile(reader, links)
            let schedule = reader.optional("schedule", .list(of: slot)) ?? []
            let pauses = reader.optional("pauses", .list(of: pause)) ?? []
            let discharge = reader.optional("discharged", discharge)
            guard let site else { return nil }
            if let keyWorker { noteForeign(keyWorker, of: site, reader, links) }
            var patient = Patient(
                code: code, site: site, keyWorker: keyWorker, profile: profile, schedule: schedule, pauses: pauses,
                discharge: discharge, details: details)
            // Empty until the site is known: `RegistryBuilder` puts the site's there.
            patient.profile.timeZone = ownZone ?? ""
            return patient
        }
    }

    private static func details(_ reader: MappingReader) -> PersonalDetails {
        var details = PersonalDetails()
        details.name = reader.optional("name", .text.withheld)
        details.nhsNumber = reader.optional("nhs_number", nhsNumber)
        details.language = reader.optional("language", language) ?? "en"
        details.phone = reader.optional("phone", .text.withheld)
        details.contactPreference = reader.optional("contact_preference", .text.withheld)
        details.nextOfKin = reader.optional("next_of_kin", .text.withheld)
        details.gpPractice = reader.optional("gp_practice", .text.withheld)
        return details
    }

    private static func profile(_ reader: MappingReader, _ links: RegistryLinks) -> PatientProfile {
        var profile = PatientProfile()
        profile.born = reader.optional("born", .date.withheld)
        profile.highRisk = reader.optional("risk", .choice(Risk.self)) == .high
        profile.news2Scale = reader.optional("news2_scale", .integer(in: 1...2)) ?? 1
        profile.news2ScaleBy = reader.optional("news2_scale_by", .text)
        if profile.news2Scale == 2, profile.news2ScaleBy == nil {
            reader.note("is a named clinician's choice: say whose in news2_scale_by", at: "news2_scale")
        }
        profile.conditions = reader.optional("conditions", conditions(links)) ?? []
        profile.baselines = reader.optional("baselines", baselines) ?? [:]
        profile.limits = reader.optional("limits", OwnLimitDocument.list(links)) ?? []
        if let targets = reader.optional("targets", targets) {
            profile.inrTarget = targets.inr
            profile.dryWeight = targets.dryWeight
        }
        return profile
    }

    private static func noteForeign(
        _ keyWorker: Identifier, of site: Identifier, _ reader: MappingReader, _ links: RegistryLinks
    ) {
        links.later { registry in
            guard let theirs = registry.careManagers[keyWorker]?.site, theirs != site else { return }
            reader.note("\(keyWorker) is of site \(theirs), the patient of \(site)", at: "key_worker")
        }
    }

    private static var nhsNumber: DocumentValue<String> {
        DocumentValue { node, context in
            guard let text = DocumentValue.text.withheld.read(node, context) else { return nil }
            switch NHSNumber.verdict(on: text) {
            case .issued: break
            case .test: context.report("is a test number (9…), which is no person's", at: node, isNotice: true)
            case .neverIssued: context.report("is of a range that was never issued", at: node)
            case .wrongCheckDigit: context.report("has a wrong check digit", at: node)
            case .malformed: context.report("must have ten digits", at: node)
            }
            return NHSNumber.normalized(text)
        }
    }

    /// A language tag such as `en`, `cy` or `en-GB` (BCP 47, by shape).
    private static var language: DocumentValue<String> {
        DocumentValue<String>.text.mapping(expected: "a language such as en") { text in
            let parts = text.split(separator: "-", omittingEmptySubsequences: false)
            let isTag = parts.allSatisfy { part in
                (1...8).contains(part.utf8.count) && part.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
            }
            guard let first = parts.first, (2...3).contains(first.utf8.count), isTag else { return nil }
            return first.allSatisfy(\.isLetter) ? text : nil
        }
    }

    private static func conditions(_ links: RegistryLinks) -> DocumentValue<[String]> {
        let known = links.packs.packs.map(\.code)
        let condition = DocumentValue<String> { node, context in
            guard let code = DocumentValue.text.read(node, context) else { return nil }
            if known.contains(code) { return code }
            let nearest = NearestName.nearest(to: code, among: known).map { "; the nearest is \"\($0)\"" } ?? ""
            context.report("there is no protocol pack \"\(DocumentNode.excerpt(of: code))\"\(nearest)", at: node)
            return nil
        }
        return .list(of: condition)
    }

    private static var baselines: DocumentValue<[Kind: Double]> {
        DocumentValue { node, context in
            guard let entries = DocumentValue<Double>.names(of: .number).read(node, context) else { return nil }
            var baselines: [Kind: Double] = [:]
            for entry in entries {
                guard let kind = Kind(code: entry.name) else {
                    let nearest = NearestName.nearest(to: entry.name, among: Kind.allCases.map(\.code)) ?? ""
                    let name = DocumentNode.excerpt(of: entry.name)
                    context.report("there is no kind \"\(name)\"; the nearest is \"\(nearest)\"", at: entry.node)
                    continue
                }
                if checkPlausible(entry.value, kind, context, at: entry.node) { baselines[kind] = entry.value }
            }
            return baselines
        }
    }

    private static var targets: DocumentValue<(inr: ClosedRange<Double>?, dryWeight: Double?)> {
        .record { reader in
            let inr = reader.optional("inr", inrTarget)
            var dryWeight = reader.optional("dry_weight", .number)
            if let weight = dryWeight, !Kind.weight.plausibility.refusedOutside.contains(weight) {
                reader.report("\(DocumentNode.text(of: weight)) kg is not plausible", at: "dry_weight")
                dryWeight = nil
            }
            return (inr, dryWeight)
        }
    }

    private static var inrTarget: DocumentValue<ClosedRange<Double>> {
        DocumentValue { node, context in
            guard
                let ends = DocumentValue.list(of: .number(in: Kind.inr.plausibility.refusedOutside))
                    .read(node, context)
            else { return nil }
            guard ends.count == 2, ends[0] < ends[1] else {
                context.report("expected two numbers, the lower first, such as [2.0, 3.0]", at: node)
                return nil
            }
            return ends[0]...ends[1]
        }
    }

    /// Reports a number that the kind can't have at all.
    static func checkPlausible(_ value: Double, _ kind: Kind, _ context: DocumentContext, at node: DocumentNode) -> Bool
    {
        let range = kind.plausibility.refusedOutside
        if range.contains(value) { return true }
        let ends = "\(DocumentNode.text(of: range.lowerBound)) to \(DocumentNode.text(of: range.upperBound))"
        let unit = kind.canonicalUnit.map { " \($0.code)" } ?? ""
        context.report("\(kind.code) is \(ends)\(unit), never \(DocumentNode.text(of: value))", at: node)
        return false
    }

    private static var slot: DocumentValue<ScheduleSlot> {
        .record { reader in
            let kinds = reader.required("kinds", .list(of: .kind))
            let due = reader.required("due", .clockTime)
            let days = reader.optional("days", .list(of: .choice(Weekday.self))) ?? Weekday.allCases
            let early = reader.optional("early", .duration) ?? Self.early
            let grace = reader.optional("grace", .duration) ?? Self.grace
            if reader.isEmptyList("kinds") { reader.report("is empty", at: "kinds") }
            if reader.isEmptyList("days") { reader.report("is empty", at: "days") }
            guard let kinds, let due else { return nil }
            return ScheduleSlot(kinds: kinds, due: due, days: Set(days), early: early, grace: grace)
        }
    }

    private static var pause: DocumentValue<Pause> {
        .record { reader in
            let days = reader.daySpan()
            let reason = reader.optional("reason", .text)
            let ended = reader.optional("ended", .instant)
            return days.map { Pause(from: $0.lowerBound, until: $0.upperBound, reason: reason, ended: ended) }
        }
    }

    private static var discharge: DocumentValue<Discharge> {
        .record { reader in
            let at = reader.required("at", .instant)
            let because = reader.required("because", .choice(Discharge.Cause.self))
            guard let at, let because else { return nil }
            return Discharge(at: at, because: because)
        }
    }
}
