import Alerting
import Clinical
import Formats
import Registry

/// What readers' own messages say of the readers: technical alerts, one for each (reader, rule), never red.
enum ReaderWatch {
    /// The rules, with when each ends.
    enum Rule: String, CaseIterable {
        /// Under 15 %; ends from 20 % on.
        case batteryLow = "battery-low"
        /// The reader's clock is proved to run ahead of ours; ends when a message that did not wait says our time.
        case clockOffset = "clock-offset"
        /// No such reader is in the registry, or it is of another site; ends with the first report that is stored.
        case unknownDevice = "unknown-device"
        /// Nobody had the reader when it measured; ends with the first report that is stored.
        case unpairedDevice = "unpaired-device"
        /// A report of it was refused for another reason. Never ends by itself: somebody must look at what was refused.
        case quarantinedReport = "quarantined-report"
    }

    static let lowBattery = 15.0
    /// From here on a low battery is over.
    static let goodBattery = 20.0

    /// What a message says of the clock that sent it, as far as it proves anything.
    enum ClockWord: Equatable {
        case ahead(Interval)
        case right
        case nothing
    }

    /// A time before receipt proves nothing: the message may have waited. One that agrees with ours proves that neither
    /// is far off.
    static func clockWord(said: Instant?, receivedAt: Instant) -> ClockWord {
        guard let said else { return .nothing }
        let ahead = said - receivedAt
        if ahead > Clocks.tolerance { return .ahead(ahead) }
        return receivedAt - said <= Clocks.tolerance ? .right : .nothing
    }
}

/// Readers that are in no registry, lately: each has an alert of its own, but a crowd of them is one alert, so that
/// rubbish can't make alerts without end. Part of a transaction: a copy decides.
struct UnknownReaders {
    static let mostPerHour = 20
    private var hour: Int64 = 0
    private var readers: Set<Identifier> = []

    /// Whether the reader has an alert of its own.
    mutating func take(_ reader: Identifier, at instant: Instant) -> Bool {
        let hour = instant.microseconds / 3_600_000_000
        if hour != self.hour { (self.hour, readers) = (hour, []) }
        if readers.contains(reader) { return true }
        guard readers.count < Self.mostPerHour else { return false }
        readers.insert(reader)
        return true
    }
}

extension Draft {
    /// Adds what the batch says of its readers. Of several words of one batch the last counts.
    mutating func watchReaders(in batch: [Candidate], open: Set<Subject>?) {
        var words = ReaderWords(registry: registry, open: open)
        for candidate in batch { words.take(candidate, &strangers) }
        findings += words.findings
    }
}

/// One batch's words.
private struct ReaderWords {
    let registry: Registry
    let open: Set<Subject>?
    private struct Key: Hashable {
        var subject: Subject
        var rule: ReaderWatch.Rule
    }
    private var places: [Key: Int] = [:]
    private(set) var findings: [Finding] = []

    init(registry: Registry, open: Set<Subject>?) {
        self.registry = registry
        self.open = open
    }

    mutating func take(_ candidate: Candidate, _ strangers: inout UnknownReaders) {
        let message = candidate.message
        guard let topic = candidate.decoded.topic else {
            if case .quarantined(let reason) = candidate.outcome.disposition {
                add(
                    .quarantinedReport, .beyond(.amber), candidate, .instance, nil,
                    "A message under a topic that is none of ours was refused (\(reason.rawValue)); see quarantine.")
            }
            return
        }
        switch candidate.outcome.disposition {
        case .quarantined(let reason): refused(candidate, topic, reason, &strangers)
        case .stored:
            let report = candidate.decoded.report
            battery(report.battery, candidate, topic.device)
            clock(report.sentAt ?? report.takenAt, candidate, topic.device)
            for rule in [ReaderWatch.Rule.unknownDevice, .unpairedDevice] {
                end(rule, candidate, topic.device, "A report of device \(topic.device) was stored.")
            }
        case .unanswered:
            // A retained status may be of any age.
            guard !message.retained, let status = candidate.decoded.status else { return }
            battery(status.battery, candidate, topic.device)
            clock(status.now, candidate, topic.device)
        case .pending, .duplicate, .spooled: break
        }
    }

    private mutating func refused(
        _ candidate: Candidate, _ topic: HomewardTopic, _ reason: RefusalReason, _ strangers: inout UnknownReaders
    ) {
        let device = topic.device
        guard registry.device(device, at: topic.site) != nil else {
            let site = registry.devices[device]?.site ?? (registry.sites[topic.site] == nil ? nil : topic.site)
            guard strangers.take(device, at: candidate.message.receivedAt) else {
                add(
                    .unknownDevice, .beyond(.amber), candidate, .instance, nil,
                    "Over \(UnknownReaders.mostPerHour) devices that are not in the registry have sent reports within "
                        + "the hour; their reports are in quarantine.")
                return
            }
            add(
                .unknownDevice, .beyond(.amber), candidate, .device(device), site,
                "Device \(device) is not in the registry of site \(topic.site): its reports are in quarantine.")
            return
        }
        let what = candidate.message.isStatus ? "status" : "report"
        switch reason {
        case .unpaired:
            add(
                .unpairedDevice, .beyond(.amber), candidate, .device(device), topic.site,
                "Device \(device) was nobody's when it measured: its report is in quarantine.")
        case .clockFuture: clock(candidate.decoded.clock.takenAt, candidate, device)
        default:
            add(
                .quarantinedReport, .beyond(.amber), candidate, .device(device), topic.site,
                "A \(what) of device \(device) was refused (\(reason.rawValue)) and is in quarantine.")
        }
    }

    private mutating func battery(_ percent: Double?, _ candidate: Candidate, _ device: Identifier) {
        guard let percent else { return }
        if percent < ReaderWatch.lowBattery {
            add(
                .batteryLow, .beyond(.amber), candidate, .device(device), registry.devices[device]?.site,
                "The battery of device \(device) is at \(Self.words(percent)) %, below "
                    + "\(Self.words(ReaderWatch.lowBattery)) %.", measured: ("battery", percent))
        } else if percent >= ReaderWatch.goodBattery {
            end(.batteryLow, candidate, device, "The battery of device \(device) is at \(Self.words(percent)) %.")
        }
    }

    private mutating func clock(_ said: Instant?, _ candidate: Candidate, _ device: Identifier) {
        switch ReaderWatch.clockWord(said: said, receivedAt: candidate.message.receivedAt) {
        case .nothing: break
        case .right: end(.clockOffset, candidate, device, "The clock of device \(device) agrees with ours.")
        case .ahead(let interval):
            let seconds = interval.microseconds / 1_000_000
            add(
                .clockOffset, .beyond(.amber), candidate, .device(device), registry.devices[device]?.site,
                "The clock of device \(device) is ahead by at least \(Self.duration(seconds)).",
                measured: ("seconds_ahead", Double(seconds)))
        }
    }

    /// Nothing is written where nothing is open.
    private mutating func end(
        _ rule: ReaderWatch.Rule, _ candidate: Candidate, _ device: Identifier, _ summary: @autoclosure () -> String
    ) {
        let subject = Subject.device(device)
        guard places[Key(subject: subject, rule: rule)] != nil || open?.contains(subject) ?? true else { return }
        add(rule, .inRange, candidate, subject, registry.devices[device]?.site, summary())
    }

    private mutating func add(
        _ rule: ReaderWatch.Rule, _ verdict: Finding.Verdict, _ candidate: Candidate, _ subject: Subject,
        _ site: Identifier?, _ summary: String, measured: (name: String, value: Double)? = nil
    ) {
        let at = candidate.message.receivedAt
        var finding = Finding(
            subject: subject, site: site, device: candidate.decoded.topic?.device, rule: rule.rawValue,
            alertClass: .technical, verdict: verdict, takenAt: at, receivedAt: at, report: candidate.key,
            summary: summary, explanation: explanation(rule, candidate, measured))
        finding.isStanding = true
        let key = Key(subject: subject, rule: rule)
        if let place = places[key] {
            findings[place] = finding
        } else {
            places[key] = findings.count
            findings.append(finding)
        }
    }

    private func explanation(
        _ rule: ReaderWatch.Rule, _ candidate: Candidate, _ measured: (name: String, value: Double)?
    ) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("rule")
        writer.value(rule.rawValue)
        writer.name("device")
        if let topic = candidate.decoded.topic { writer.value(topic.device) } else { writer.null() }
        writer.name("report")
        if let id = candidate.decoded.report.id, !candidate.message.isStatus { writer.value(id) } else { writer.null() }
        writer.name("received_at")
        writer.value(candidate.message.receivedAt)
        if case .quarantined(let reason) = candidate.outcome.disposition {
            writer.name("refused")
            writer.value(reason.rawValue)
        }
        if let measured {
            writer.name(measured.name)
            writer.value(measured.value)
        }
        writer.name("limit")
        switch rule {
        case .batteryLow: writer.value(ReaderWatch.lowBattery)
        case .clockOffset: writer.value(Clocks.tolerance.microseconds / 1_000_000)
        case .unknownDevice, .unpairedDevice, .quarantinedReport: writer.null()
        }
        writer.endObject()
        return writer.text
    }

    private static func words(_ percent: Double) -> String {
        Int(exactly: percent).map(String.init) ?? percent.description
    }

    private static func duration(_ seconds: Int64) -> String {
        if seconds < 120 { return "\(seconds) s" }
        return seconds < 7200 ? "\(seconds / 60) min" : "\(seconds / 3600) h"
    }
}
