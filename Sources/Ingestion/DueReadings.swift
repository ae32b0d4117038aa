import Alerting
import Clinical
import Formats
import Registry

/// A patient's timer for what is due next: it comes when a window closes, and is set anew then.
struct DueReadingTimer: Sendable, Hashable {
    static let kind = "due-reading"
    /// Missed readings of a high-risk patient are never deferred for longer.
    static let longestDeferral = Interval.hours(4)

    var patient: Identifier
    /// Since when this schedule has been in force: what opened before was not due.
    var since: Instant
    /// What the schedule says; another one begins anew.
    var schedule: String
    /// When it was due at first, where an outage has put it off.
    var deferredFrom: Instant?

    static func name(of patient: Identifier) -> TimerName { TimerName(kind: kind, subject: patient.description) }

    func timer(due: Instant) -> Timer {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("since_us")
        writer.value(since.microseconds)
        writer.name("schedule")
        writer.value(schedule)
        if let deferredFrom {
            writer.name(DueReadingSearch.deferredFrom)
            writer.value(deferredFrom.microseconds)
        }
        writer.endObject()
        return Timer(kind: Self.kind, subject: patient.description, due: due, payload: writer.text)
    }

    init(patient: Identifier, since: Instant, schedule: String) {
        self.patient = patient
        self.since = since
        self.schedule = schedule
    }

    /// Nil for a timer of another kind, or one that can't be understood.
    init?(_ timer: Timer) {
        guard timer.kind == Self.kind, let patient = Identifier(timer.subject),
            let json = try? JSONReader.value(Array(timer.payload.utf8).span),
            let since = json["since_us"]?.number.flatMap({ Int64(exactly: $0) }),
            let schedule = json["schedule"]?.string
        else { return nil }
        self.init(patient: patient, since: Instant(microseconds: since), schedule: schedule)
        deferredFrom = json[DueReadingSearch.deferredFrom]?.number.flatMap { Int64(exactly: $0) }.map(
            Instant.init(microseconds:))
    }
}

extension Patient {
    /// The same for the same schedule; pauses leave it in force.
    var scheduleText: String {
        profile.timeZone + ": "
            + schedule.map { slot in
                let days = Weekday.allCases.filter(slot.days.contains).map(\.rawValue)
                let numbers = [Int64(slot.due), slot.early.microseconds, slot.grace.microseconds]
                return (slot.kinds.map(\.code) + days + numbers.map { "\($0)" }).joined(separator: " ")
            }.joined(separator: ", ")
    }
}

/// Whose timers have yet to be brought up to the registry's version.
struct ScheduleRound: Sendable {
    /// The most patients of one transaction.
    static let size = 500

    /// Before any registry was read: another one than that of an empty memory.
    var version = Int64.min
    var waiting: [Identifier] = []
}

/// How far missed readings may be told of now.
enum MissedReach: Sendable, Hashable {
    /// Some reports may wait somewhere unread: nobody is called missing but a high-risk patient after `longestDeferral`.
    case overdueHighRisk
    case all
}

/// Of one patient: what the schedule asked for and did not get.
struct JudgedSchedule: Sendable {
    var patient: Patient
    var missed: MissedReadings

    var severity: Severity? { missed.severity(highRisk: patient.profile.highRisk) }

    func finding(at instant: Instant, toldWith list: Subject?) -> Finding {
        let closed = missed.missed.map(\.reading.closes).max() ?? instant
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("missed")
        writer.beginArray()
        for one in missed.missed {
            writer.beginObject()
            writer.name("kinds")
            writer.beginArray()
            for kind in one.kinds { writer.value(kind.code) }
            writer.endArray()
            for (name, instant) in [
                ("opens", one.reading.opens), ("due", one.reading.due), ("closes", one.reading.closes),
            ] {
                writer.name(name)
                writer.value(instant)
            }
            writer.name("second_running")
            writer.value(one.isSecondRunning)
            writer.endObject()
        }
        writer.endArray()
        writer.name("high_risk")
        writer.value(patient.profile.highRisk)
        if let list {
            writer.name("told_with")
            writer.value("\(Schedule.missedReadingsRule) of \(list.text)")
        }
        writer.endObject()
        return Finding(
            subject: .patient(patient.code), site: patient.site, device: nil, rule: Schedule.missedReadingRule,
            alertClass: .clinical, verdict: severity.map { .beyond($0) } ?? .inRange, takenAt: closed,
            receivedAt: instant, report: nil,
            summary: severity == nil
                ? Sentence.nothingMissed : Sentence.missed(missed, timeZone: patient.profile.timeZone),
            explanation: writer.text)
    }
}

extension BatchProcessor {
    /// Whether the patient's reports come to this instance: only then it can know that one is missing.
    func serves(_ patient: Patient) -> Bool { options.sites?.contains(patient.site) ?? true }

    /// Brings timers up to the registry, some patients at a time; true while there are more. A timer that has come due
    /// stays: what it is about is judged first.
    mutating func scheduleDueReadings(in store: any CommitStore, by instant: Instant) throws(StoreFailure) -> Bool {
        guard round.version != registry.version || !round.waiting.isEmpty else { return false }
        try open(store)
        if round.version != registry.version {
            let scheduled = registry.patients.values.filter { !$0.schedule.isEmpty && serves($0) }.map(\.code)
            round = ScheduleRound(
                version: registry.version, waiting: scheduled.sorted { $0.description < $1.description })
        }
        guard !round.waiting.isEmpty else {
            store.rollback()
            return false
        }
        let part = round.waiting.suffix(ScheduleRound.size)
        let known = Dictionary(
            try store.timers(part.map(DueReadingTimer.name), skippingLocked: false).map { ($0.name, $0) },
            uniquingKeysWith: { $1 })
        var rows = CommitBatch()
        for code in part {
            let before = known[DueReadingTimer.name(of: code)]
            let isOwed = before.map { $0.due <= instant || DueReadingTimer($0)?.deferredFrom != nil } ?? false
            guard let patient = registry.patients[code], !isOwed else { continue }
            guard let next = patient.dueReadings.nextClosing(after: instant) else {
                if let before { rows.endedTimers.append(before.name) }
                continue
            }
            let text = patient.scheduleText
            let old = before.flatMap(DueReadingTimer.init)
            let same = old.flatMap { $0.schedule == text ? $0 : nil }
            if same != nil, before?.due == next { continue }
            let wanted = same ?? DueReadingTimer(patient: code, since: instant, schedule: text)
            rows.timers.append(wanted.timer(due: next))
        }
        try store.write(rows)
        try store.commit()
        round.waiting.removeLast(part.count)
        return !round.waiting.isEmpty
    }

    /// What schedules have asked for and not got, of patients whose timers have come due.
    func judgeSchedules(
        _ timers: [DueReadingTimer], in store: any CommitStore, at instant: Instant
    ) throws(StoreFailure) -> [JudgedSchedule] {
        var needs: [Identifier: HistoryNeed] = [:]
        var scheduled: [(patient: Patient, since: Instant)] = []
        for timer in timers {
            guard let patient = registry.patients[timer.patient], !patient.schedule.isEmpty else { continue }
            // A schedule that changed since begins anew: what the old one asked for nobody asks for any more.
            let since = timer.schedule == patient.scheduleText ? timer.since : instant
            scheduled.append((patient, since))
            needs[patient.code] = patient.dueReadings.historyNeeded(at: instant, since: since)
        }
        let histories = needs.isEmpty ? [:] : try store.history(of: needs)
        return scheduled.map { patient, since in
            JudgedSchedule(
                patient: patient,
                missed: patient.dueReadings.missed(
                    at: instant, since: since, in: histories[patient.code]?.readings ?? []))
        }
    }

    /// Whom an outage hides is not missing yet: it is looked again later, of a high-risk patient no later than
    /// `longestDeferral` after the reading was due, of anybody no later than 12 h: readers that nobody has any more may
    /// look like an outage for ever. Nil: judge it now.
    func deferral(of timer: Timer, hidden: Set<Identifier>, at instant: Instant) -> Timer? {
        guard var reading = DueReadingTimer(timer), hidden.contains(reading.patient),
            let patient = registry.patients[reading.patient]
        else { return nil }
        let first = reading.deferredFrom ?? timer.due
        var next = instant + CutOff.pause
        next = min(next, first + (patient.profile.highRisk ? DueReadingTimer.longestDeferral : .hours(12)))
        guard next > instant else { return nil }
        reading.deferredFrom = first
        return reading.timer(due: next)
    }

    /// The timer for what is due after that.
    func nextTimer(after timer: DueReadingTimer, at instant: Instant) -> Timer? {
        guard let patient = registry.patients[timer.patient], !patient.schedule.isEmpty else { return nil }
        let text = patient.scheduleText
        let next = DueReadingTimer(
            patient: timer.patient, since: timer.schedule == text ? timer.since : instant, schedule: text)
        return patient.dueReadings.nextClosing(after: instant).map(next.timer)
    }
}

extension Draft {
    func isToldTogether(_ episode: Episode) -> Bool {
        episode.rule == Schedule.missedReadingRule && episode.severity < .red && toldTogether.contains(episode.subject)
    }

    /// Of an alert that is told in its site's list.
    func suppressions(of change: EpisodeChange) -> [Suppression] {
        guard change.events.contains(where: \.transition.notifies) else { return [] }
        return [
            Suppression(
                kind: .merge, alert: change.episode.id, reason: "told in the list of its site's missed readings")
        ]
    }

    /// A patient alone is told of like anything else. Of several of a site one list is told, an alert of the site; each has
    /// an alert of his own all the same. A red is never part of a list.
    mutating func add(_ judged: [JudgedSchedule], at instant: Instant, open: [Episode]) {
        let owing = Set(open.filter { $0.rule == Schedule.missedReadingRule }.map(\.subject))
        for (site, ofSite) in Dictionary(grouping: judged, by: \.patient.site).sorted(by: {
            $0.key.description < $1.key.description
        }) {
            let ambers = ofSite.filter { $0.severity == .amber }
            // Who is found missing alone after that is told of by himself; of a slot with more patients than one transaction
            // takes there are several lists.
            let closed = Self.closed(ambers, at: instant)
            let list: Subject? = ambers.count > 1 ? .site(site) : nil
            for one in ofSite.sorted(by: { $0.patient.code.description < $1.patient.code.description }) {
                let isListed = list != nil && one.severity == .amber
                if isListed { toldTogether.insert(.patient(one.patient.code)) }
                guard one.severity != nil || owing.contains(.patient(one.patient.code)) else { continue }
                findings.append(one.finding(at: instant, toldWith: isListed ? list : nil))
            }
            if list != nil { addList(of: ambers, site: site, closed: closed, at: instant) }
        }
    }

    private static func closed(_ ambers: [JudgedSchedule], at instant: Instant) -> Instant {
        ambers.flatMap(\.missed.missed).map(\.reading.closes).max() ?? instant
    }

    private mutating func addList(of ambers: [JudgedSchedule], site: Identifier, closed: Instant, at instant: Instant) {
        var finding = Finding(
            subject: .site(site), site: site, device: nil, rule: Schedule.missedReadingsRule, alertClass: .clinical,
            verdict: .inRange, takenAt: closed, receivedAt: instant, report: nil,
            summary: "The next readings were due.")
        // The list of the slot before ends with the next one.
        findings.append(finding)
        finding.verdict = .beyond(.amber)
        finding.summary = Self.list(of: ambers)
        findings.append(finding)
    }

    /// "12 patients have missed a reading: P0003 and P0007 of high risk, P0001, P0002 and 8 others."
    static func list(of ambers: [JudgedSchedule]) -> String {
        let codes = ambers.map { ($0.patient.code.description, $0.patient.profile.highRisk) }.sorted { $0.0 < $1.0 }
        let high = codes.filter(\.1).map { "\($0.0) (high risk)" }
        let others = codes.filter { !$0.1 }.map(\.0)
        let named = others.prefix(10)
        var words = high + named
        if others.count > named.count { words.append("\(others.count - named.count) others") }
        return "\(ambers.count) patients have missed a reading that was due: \(words.joined(separator: ", "))."
    }
}
