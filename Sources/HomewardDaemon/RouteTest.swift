import Alerting
import Clinical
import Documents
import Formats
import Foundation
import Ingestion
import PostgresStore
import Registry

/// `homeward route test`: who would be told of an alert, when and how, if nobody answered. Reads only.
public struct RouteTest {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// What is asked, as it was typed.
    public struct Question: Sendable {
        public var patient: String
        /// RFC 3339, or `YYYY-MM-DDTHH:MM` on the site's wall clock.
        public var at: String
        public var severity: String
        public var alertClass: String

        public init(patient: String, at: String, severity: String, alertClass: String) {
            self.patient = patient
            self.at = at
            self.severity = severity
            self.alertClass = alertClass
        }
    }

    /// 64 when the question can't be understood, 65 when there is no such patient or nobody would be told.
    public func run(_ question: Question, json: Bool) throws -> ExitStatus {
        guard let severity = Severity(rawValue: question.severity), severity > .info else {
            return Self.usage("--severity", question.severity, "is neither red nor amber")
        }
        guard let alertClass = AlertClass(rawValue: question.alertClass) else {
            return Self.usage("--class", question.alertClass, "is neither clinical nor technical")
        }
        guard let code = Identifier(question.patient) else {
            return Self.usage("--patient", question.patient, "is no code")
        }
        // Before the database is asked; the zone is the site's.
        guard Self.instant(question.at, timeZone: "GMT") != nil else {
            return Self.usage("--at", question.at, "is no time such as 2026-12-24T18:00 or 2026-12-24T18:00:00Z")
        }
        return withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let registry = try loaded.registry()
            guard let patient = registry.patients[code] else {
                StandardError.write("no patient \(code)\n")
                return .badData
            }
            let zone = registry.sites[patient.site]?.timeZone ?? "GMT"
            guard let at = Self.instant(question.at, timeZone: zone) else {
                return Self.usage("--at", question.at, "does not exist in \(zone): clocks go forward there then")
            }
            let forecast = RouteForecast(
                of: patient, alertClass: alertClass, severity: severity, at: at, registry: registry)
            var output = BufferedOutput()
            if json {
                output.write(forecast.json)
            } else {
                for line in forecast.lines { output.write(line) }
            }
            output.flush()
            return forecast.reachesSomebody ? .success : .badData
        }
    }

    private static func usage(_ option: String, _ text: String, _ words: String) -> ExitStatus {
        StandardError.write("\(option): \(StandardErrorLog.escaped(text)) \(words)\n")
        return .usage
    }

    /// Nil where there is no such time.
    static func instant(_ text: String, timeZone: String) -> Instant? {
        if let instant = RFC3339.parse(text) { return instant }
        let parts = text.split(whereSeparator: { $0 == "T" || $0 == " " })
        guard parts.count == 2, let zone = TimeZone(identifier: timeZone) else { return nil }
        let day = parts[0].split(separator: "-").map { Int($0) }
        let clock = parts[1].split(separator: ":").map { Int($0) }
        guard day.count == 3, clock.count == 2, let year = day[0], let month = day[1], let number = day[2],
            let hour = clock[0], let minute = clock[1], (0...23).contains(hour), (0...59).contains(minute),
            CalendarDate(year: year, month: month, day: number) != nil
        else { return nil }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        let wanted = DateComponents(year: year, month: month, day: number, hour: hour, minute: minute)
        guard let date = calendar.date(from: wanted),
            calendar.dateComponents([.hour, .minute], from: date) == DateComponents(hour: hour, minute: minute),
            let seconds = Int64(exactly: date.timeIntervalSince1970.rounded())
        else { return nil }
        return Instant(microseconds: 0) + .seconds(seconds)
    }
}

/// Who would be told of a patient's alert, as text and as JSON.
struct RouteForecast {
    let patient: Patient
    let site: Site?
    let alertClass: AlertClass
    let severity: Severity
    let at: Instant
    let steps: [ForecastStep]
    let fallback: String?

    init(of patient: Patient, alertClass: AlertClass, severity: Severity, at: Instant, registry: Registry) {
        self.patient = patient
        self.alertClass = alertClass
        self.severity = severity
        self.at = at
        site = registry.sites[patient.site]
        let episode = Coverage.episode(
            .patient(patient.code), site: patient.site, alertClass, severity, at: at)
        steps = Route(registry: registry).forecast(of: episode, site: patient.site, raisedAt: at)
        fallback = registry.served.email ? site?.fallbackEmail : nil
    }

    var reachesSomebody: Bool { steps.contains { !$0.told.isEmpty } }

    /// Contract, section 6.
    private static let minutesBetweenRounds: Int64 = 15

    /// When the chain begins again: after its last step.
    private var round: Interval { .minutes((steps.map(\.after.minutes).max() ?? 0) + Self.minutesBetweenRounds) }

    /// Technical ambers go through their chain once.
    private var repeats: Bool { severity == .red || alertClass == .clinical }

    private func clock(_ instant: Instant) -> String { WallClock.words(instant, timeZone: site?.timeZone) }

    var lines: [String] {
        var lines = [
            "\(alertClass.rawValue) \(severity.rawValue) of \(patient.code) at \(patient.site), raised "
                + "\(clock(at)) (\(site?.timeZone ?? "UTC"), \(RFC3339.format(at)))"
        ]
        for (number, step) in steps.enumerated() {
            let time = "+\(step.after.minutes)m  \(clock(at + step.after))"
            lines.append("step \(number)  \(time)  \(step.to)")
            for told in step.told {
                let deputy = told.insteadOf.map { " for \($0), who is away" } ?? ""
                let ways = told.ways.map { "\($0.channel.rawValue) \(Masked.address($0))" }.joined(separator: ", ")
                lines.append("    \(told.person)\(deputy): \(ways)")
            }
            for gap in step.gaps { lines.append("    nobody: \(gap)") }
        }
        if !reachesSomebody { lines.append("NOBODY would be told") }
        guard repeats else { return lines + ["unanswered  nobody is told again"] }
        let last = "+\(round.minutes)m  \(clock(at + round))"
        let again = "the chain begins again every \(Self.minutesBetweenRounds)m"
        lines.append("unanswered  \(last)  \(again); \(fallbackWords)")
        return lines
    }

    private var fallbackWords: String {
        guard let fallback else {
            return site?.fallbackEmail == nil
                ? "the site has no fallback" : "the fallback can't be told: delivery.smtp is not set up"
        }
        return "the fallback is told \"unanswered\": email \(Masked.email(fallback))"
    }

    /// One object: the question, `reaches_somebody`, `steps` with `told` and `nobody`, and `unanswered`.
    var json: String {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, text) in [
            ("patient", patient.code.description), ("site", patient.site.description),
            ("class", alertClass.rawValue), ("severity", severity.rawValue), ("at", RFC3339.format(at)),
            ("local", clock(at)), ("timezone", site?.timeZone ?? "UTC"),
        ] {
            writer.name(name)
            writer.value(text)
        }
        writer.name("reaches_somebody")
        writer.value(reachesSomebody)
        writer.name("steps")
        writer.beginArray()
        for (number, step) in steps.enumerated() { write(step, number, to: &writer) }
        writer.endArray()
        writer.name("unanswered")
        guard repeats else {
            writer.null()
            writer.endObject()
            return writer.text
        }
        writer.beginObject()
        writer.name("after_minutes")
        writer.value(Int(clamping: round.minutes))
        writer.name("at")
        writer.value(at + round)
        writer.name("local")
        writer.value(clock(at + round))
        writer.name("every_minutes")
        writer.value(Int(Self.minutesBetweenRounds))
        writer.name("fallback")
        if let fallback { writer.value(Masked.email(fallback)) } else { writer.null() }
        writer.endObject()
        writer.endObject()
        return writer.text
    }

    private func write(_ step: ForecastStep, _ number: Int, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("step")
        writer.value(number)
        writer.name("to")
        writer.value(step.to)
        writer.name("after_minutes")
        writer.value(Int(clamping: step.after.minutes))
        writer.name("at")
        writer.value(at + step.after)
        writer.name("local")
        writer.value(clock(at + step.after))
        writer.name("told")
        writer.beginArray()
        for told in step.told {
            writer.beginObject()
            writer.name("care_manager")
            writer.value(told.person)
            writer.name("instead_of")
            if let person = told.insteadOf { writer.value(person) } else { writer.null() }
            writer.name("channels")
            writer.beginArray()
            for way in told.ways {
                writer.beginObject()
                writer.name("channel")
                writer.value(way.channel.rawValue)
                writer.name("address")
                writer.value(Masked.address(way))
                writer.endObject()
            }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.name("nobody")
        writer.beginArray()
        for gap in step.gaps { writer.value(gap) }
        writer.endArray()
        writer.endObject()
    }
}

/// Addresses of people, so that their owner knows them again and nobody else can use them.
enum Masked {
    static func address(_ way: ForecastStep.Way) -> String {
        switch way.channel {
        case .email: email(way.address)
        case .sms: number(way.address)
        case .webhook, .mqtt: url(way.address)
        }
    }

    /// `c…@example.org`
    static func email(_ address: String) -> String {
        guard let at = address.lastIndex(of: "@") else { return "…" }
        return "\(address[..<at].prefix(1))…\(address[at...])"
    }

    /// `…123`: only the last digits.
    static func number(_ number: String) -> String { "…\(number.filter(\.isNumber).suffix(3))" }

    /// `https://host:port/…`: the path and whatever stands before the host may be secrets.
    static func url(_ text: String) -> String {
        guard let url = URLComponents(string: text), let scheme = url.scheme, let host = url.host else { return "…" }
        return "\(scheme)://\(host)\(url.port.map { ":\($0)" } ?? "")/…"
    }
}

extension Interval {
    var minutes: Int64 { microseconds / 60_000_000 }
}

extension LoadedConfiguration {
    /// The registry in force, read from the database.
    func registry() throws(StoreFailure) -> Registry {
        var database = database
        // A large ward takes its time to read; nothing else waits for it.
        database.deadline = .minutes(1)
        let stored = try RegistryStore(database).read()
        let entries = EnrolmentPlan.merged(files: [], stored: stored.fields)
        return RegistryBuilder(packs: try packsInForce(), served: configuration.servedChannels)
            .build(entries, version: stored.version).registry
    }
}
