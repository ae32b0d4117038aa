extension Sentence {
    /// "Weight 82.6 kg on Mon 23 Nov at 08:15, up 2.4 kg from 80.2 kg on Sat 21 Nov at 08:10, at or above the amber limit of
    /// 2 kg in 3 days (heart-failure pack 1a2b3c4d, ESC)."
    public static func summary(
        of outcome: RuleOutcome, takenAt: Instant, receivedAt: Instant, timeZone: String
    ) -> String {
        var text = body(outcome, timeZone: timeZone)
        if outcome.suspect { text += "; suspect, repeat asked" }
        return text + lateness(takenAt: takenAt, receivedAt: receivedAt, timeZone: timeZone) + "."
    }

    /// For `late-red`, where no band is red.
    public static func lateRed(
        of outcome: RuleOutcome, others: [RuleOutcome] = [], takenAt: Instant, receivedAt: Instant, timeZone: String
    ) -> String {
        tooLate(
            summary(of: outcome, takenAt: takenAt, receivedAt: receivedAt, timeZone: timeZone),
            alsoRed: alsoRed(others, timeZone: timeZone))
    }

    /// For `unverified-red`, where no band is red.
    public static func unverifiedRed(
        of outcome: RuleOutcome, others: [RuleOutcome] = [], reason: RefusalReason, receivedAt: Instant,
        timeZone: String
    ) -> String {
        unverified(
            body(outcome, timeZone: timeZone), reason: reason, receivedAt: receivedAt, timeZone: timeZone,
            alsoRed: alsoRed(others, timeZone: timeZone))
    }

    /// For `unverified-red` of a reader that is not known while the registry can't be asked, where no band is red.
    public static func unknownReaderRed(
        of outcome: RuleOutcome, others: [RuleOutcome] = [], receivedAt: Instant, timeZone: String
    ) -> String {
        unknownReader(
            body(outcome, timeZone: timeZone), receivedAt: receivedAt, timeZone: timeZone,
            alsoRed: alsoRed(others, timeZone: timeZone))
    }

    /// "; red too: symptoms: chest-pain"
    public static func alsoRed(_ others: [RuleOutcome], timeZone: String) -> String {
        others.isEmpty ? "" : "; red too: " + others.map { found($0, timeZone: timeZone) }.joined(separator: ", ")
    }

    private static func body(_ outcome: RuleOutcome, timeZone: String) -> String {
        let found = found(outcome, timeZone: timeZone)
        guard let met = outcome.met else { return found + ", in range" }
        let off = outcome.redSwitchedOff ? ", red being switched off" : ""
        let companion = companion(outcome, met)
        return "\(found), \(limit(met))\(companion)\(off) (\(provenance(outcome, met)))"
    }

    // MARK: - What was found

    private static func found(_ outcome: RuleOutcome, timeZone: String) -> String {
        let evidence = outcome.evidence
        guard let met = outcome.met else { return title(outcome.rule) }
        switch met.condition {
        case .change(let kind, let direction, _, _):
            let pair = evidence.readings.filter { $0.kind == kind }
            guard let older = pair.first, let newer = pair.last, pair.count > 1 else { return title(outcome.rule) }
            return
                "\(at(newer, timeZone)), \(direction == .rise ? "up" : "down") \(amount(evidence.measure, kind)) from "
                + "\(value(older)) \(when(older.takenAt, timeZone))"
        case .difference(let kind, let direction, _, let own):
            guard let reading = evidence.readings.last(where: { $0.kind == kind }) else { return title(outcome.rule) }
            let name = own.measure == .dryWeight ? "dry weight" : "baseline"
            let reference = number(evidence.reference ?? 0) + unit(kind)
            return "\(at(reading, timeZone)), \(amount(evidence.measure, kind)) "
                + "\(direction == .rise ? "above" : "below") the \(name) of \(reference)"
        case .mean(let kind, _, _, _):
            let mean = amount(evidence.measure.map(\.magnitude), kind)
            return "Mean \(lowercasedFirst(kind.name)) \(mean), of \(evidence.readingsMeant) readings on "
                + "\(evidence.daysMeant) days"
        case .count(let sign, _, let last, _):
            let what =
                switch sign {
                case .flag(let flag, _): ReadingFlags.names.first { $0.flag == flag }?.name ?? "a flag"
                case .beyond(let kind, let side, let limit): "\(kind.name) \(relation(limit, side, kind))"
                }
            return
                "\(capitalizedFirst(what)) in \(Int(exactly: evidence.measure ?? 0) ?? 0) of the last \(last) reports"
        case .answers:
            return "\(title(outcome.rule)): \(questions(evidence.answers))"
                + (evidence.answers.last.map { " " + when($0.takenAt, timeZone) } ?? "")
        case .news2:
            return evidence.score.map(news2) ?? title(outcome.rule)
        case .beyond(let kind, _, _):
            return evidence.readings.last { $0.kind == kind }.map { at($0, timeZone) } ?? title(outcome.rule)
        }
    }

    /// "NEWS2 7 on scale 1, high: respiratory rate 25 scores 3, …"
    public static func news2(_ score: NEWS2Score) -> String {
        let parts = score.parts.map { part in
            let value =
                part.parameter == .consciousness
                ? part.parameter.kind.codes[optional: Int(exactly: part.value)] ?? "?" : number(part.value)
            return "\(lowercasedFirst(part.parameter.kind.name)) \(value) scores \(part.score.map(String.init) ?? "?")"
        }
        let list = parts.joined(separator: ", ")
        let scale = "scale \(score.scale)" + (score.scaleBy.map { " (chosen by \($0))" } ?? "")
        guard let total = score.total, let trigger = score.trigger else {
            let missing = score.missing.map { lowercasedFirst($0.kind.name) }.joined(separator: ", ")
            return "NEWS2 incomplete on \(scale), no total (missing \(missing)): \(list)"
        }
        return "NEWS2 \(total) on \(scale), \(trigger.rawValue): \(list)"
    }

    // MARK: - Against which limit

    private static func limit(_ met: RuleLevel) -> String {
        let severity = met.severity.rawValue
        switch met.condition {
        case .change(let kind, _, let by, let within):
            return "at or above the \(severity) limit of \(amount(by, kind)) in \(words(within))"
        case .difference(let kind, _, let by, _): return "at or above the \(severity) limit of \(amount(by, kind))"
        case .mean(let kind, let side, let limit, let window):
            return "\(relation(limit, side, kind)), the \(severity) limit of the mean of \(window.days) days"
        case .count(_, let least, let last, _): return "\(least) of \(last) being \(severity)"
        case .answers(_, let least, let days):
            let running = days > 1 ? " on \(days) days running" : ""
            return "\(least == 1 ? "one" : "\(least)") or more\(running) being \(severity)"
        case .news2(let measure, let least):
            let what = measure == .total ? "a total" : "a single score"
            return "\(what) of \(least) or more being \(severity)"
        case .beyond(let kind, let side, let limit): return "\(relation(limit, side, kind)), which is \(severity)"
        }
    }

    private static func companion(_ outcome: RuleOutcome, _ met: RuleLevel) -> String {
        guard let companion = met.companion else { return "" }
        switch companion.sign {
        case .answers: return " together with \(questions(outcome.evidence.answers))"
        case .beyond(let kind, _, _):
            let others = outcome.evidence.readings.filter { $0.kind == kind }
            return " together with "
                + others.map { "\(lowercasedFirst(kind.name)) \(value($0))" }.joined(separator: ", ")
        }
    }

    private static func provenance(_ outcome: RuleOutcome, _ met: RuleLevel) -> String {
        provenance(pack: outcome.pack, hash: outcome.packHash, source: met.source, isProposal: met.isProposal)
    }

    // MARK: - Words

    private static func relation(_ limit: Limit, _ side: Side, _ kind: Kind) -> String {
        "\(relation(limit, side)) \(amount(limit.value, kind))"
    }

    private static func at(_ reading: PastReading, _ timeZone: String) -> String {
        "\(reading.kind.name) \(value(reading)) \(when(reading.takenAt, timeZone))"
    }

    private static func amount(_ value: Double?, _ kind: Kind) -> String {
        number(value ?? 0, decimals: 1) + unit(kind)
    }

    private static func unit(_ kind: Kind) -> String {
        let words = kind.canonicalUnit?.words ?? ""
        return words.isEmpty ? "" : " " + words
    }

    private static func questions(_ answers: [PastAnswer]) -> String {
        var seen: [String] = []
        for answer in answers where !seen.contains(answer.question.rawValue) { seen.append(answer.question.rawValue) }
        return seen.joined(separator: ", ")
    }

    /// `heart-failure-symptoms` for people.
    private static func title(_ rule: String) -> String { capitalizedFirst(rule.replacing("-", with: " ")) }

    private static func capitalizedFirst(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

    /// "pulse", but "SpO2" and "INR".
    private static func lowercasedFirst(_ text: String) -> String {
        guard let second = text.dropFirst().first, second.isLowercase, text != "SpO2" else { return text }
        return text.prefix(1).lowercased() + text.dropFirst()
    }
}

extension Array {
    fileprivate subscript(optional place: Int?) -> Element? {
        guard let place, indices.contains(place) else { return nil }
        return self[place]
    }
}
