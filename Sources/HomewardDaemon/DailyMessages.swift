import Alerting
import Clinical
import Delivery
import Formats
import Foundation
import Ingestion
import Logging
import PostgresStore
import Registry
import RingBuffer
import ServiceLifecycle

/// Once a day, at 07:30 on the site's clock, each care team is told that Homeward works: "working: 212 watched, 198 heard
/// from, 14 not". Its absence is the sign.
///
/// A message, not an alert. When it is due is a row of the timers, so that of any number of instances one sends it; one
/// that dies between sending and noting it is followed by another that sends it again, under the same key. A thread of
/// its own.
final class DailyMessages: Service {
    /// Minutes after local midnight: when the day's first shift has come and before it makes its round.
    static let minute = 7 * 60 + 30

    private static let interval: Int32 = 5000
    /// Whoever could not be told is tried again so often, for so long.
    private static let retry = Interval.minutes(5)
    private static let patience = Interval.hours(4)
    /// Longer than sending takes: a team's messages are sent one after the other.
    private static let lease = Interval.minutes(10)

    private let configuration: DatabaseConfiguration
    private let board: RegistryBoard
    private let channels: DeliveryChannels
    private let seat: LeaseSeat
    private let logger: Logger
    private let wakeUp = WakeUp()

    init(
        _ configuration: DatabaseConfiguration, registry board: RegistryBoard, channels: DeliveryChannels,
        seat: LeaseSeat, logger: Logger
    ) {
        self.configuration = configuration
        self.board = board
        self.channels = channels
        self.seat = seat
        self.logger = logger
    }

    func run() async throws {
        await withGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                _ = StageThread.start(name: "daily") {
                    self.work()
                    continuation.resume()
                }
            }
        } onGracefulShutdown: {
            self.wakeUp.stop()
        }
    }

    private func work() {
        let desk = DailyMessageDesk(configuration)
        var ensured: Int64?
        while wakeUp.sleep(milliseconds: Self.interval) {
            guard seat.isHolder, let registry = board.registry else { continue }
            do {
                if ensured != registry.version {
                    let now = wallClock()
                    let sites = registry.sites.values.filter { !Synthetic.isSynthetic($0.code) }
                    try desk.ensure(
                        Dictionary(
                            sites.map { ($0.code, Self.due(after: now, timeZone: $0.timeZone)) },
                            uniquingKeysWith: { first, _ in first }))
                    ensured = registry.version
                }
                // One at a time: the lease is for one site's messages.
                while let timer = try desk.claim(limit: 1, lease: Self.lease).first {
                    try tell(timer, registry, desk)
                }
            } catch {
                logger.debug("daily messages wait for the database", metadata: ["error": "\(error)"])
            }
        }
    }

    /// The next 07:30 of the site, which in the night in which clocks change is as far from noon as ever.
    static func due(after instant: Instant, timeZone: String) -> Instant {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(identifier: timeZone) ?? .gmt
        let date = Date(timeIntervalSince1970: Double(instant.microseconds) / 1_000_000)
        let next = calendar.nextDate(
            after: date, matching: DateComponents(hour: minute / 60, minute: minute % 60, second: 0),
            matchingPolicy: .nextTime)
        guard let next, let seconds = Int64(exactly: next.timeIntervalSince1970.rounded()) else {
            return instant + .days(1)
        }
        return Instant(microseconds: 0) + .seconds(seconds)
    }

    private func tell(_ claimed: ClaimedTimer, _ registry: Registry, _ desk: DailyMessageDesk) throws {
        guard let code = Identifier(claimed.timer.subject), let site = registry.sites[code] else {
            return try desk.remove(claimed)
        }
        let now = wallClock()
        var round = DailyRound(claimed.timer)
        let message = DailyMessage(
            of: site, registry: registry, at: now,
            heard: try desk.patientsHeardFrom(at: code, within: DailyMessage.span),
            auditHead: try desk.auditHead())
        let notice = message.notice(began: round.began)
        for reader in message.readers(in: registry) where !round.told.contains(reader.code) {
            var personal = notice
            personal.key += "-\(reader.code)"
            guard let error = channels.send(personal, by: reader.channel, to: reader.address, at: now) else {
                round.told.append(reader.code)
                continue
            }
            round.isIncomplete = true
            logger.warning(
                "daily message was not delivered",
                metadata: ["recipient": "\(reader.code)", "channel": "\(reader.channel.rawValue)", "error": "\(error)"])
        }
        logger.info("daily message", metadata: ["site": "\(code)", "told": "\(round.told.count)"])
        let isAgain = round.isIncomplete && now - round.began < Self.patience
        try desk.move(
            Alerting.Timer(
                kind: DailyMessageDesk.timer, subject: code.description,
                // It came due by the database's clock; where ours is behind, today's would follow today's.
                due: isAgain
                    ? max(now, claimed.timer.due) + Self.retry
                    : Self.due(after: max(now, claimed.timer.due), timeZone: site.timeZone),
                payload: isAgain ? round.payload : "{}"))
    }
}

/// One day's message of a site, as far as it has come: what its timer remembers.
struct DailyRound {
    var began: Instant
    var told: [Identifier] = []
    var isIncomplete = false

    init(_ timer: Alerting.Timer) {
        let json = try? JSONReader.value(Array(timer.payload.utf8).span)
        began = json?["began"]?.string.flatMap(RFC3339.parse) ?? timer.due
        told = json?["told"]?.array?.compactMap { $0.string.flatMap { Identifier($0) } } ?? []
    }

    var payload: String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("began")
        writer.value(began)
        writer.name("told")
        writer.beginArray()
        for person in told { writer.value(person) }
        writer.endArray()
        writer.endObject()
        return writer.text
    }
}

/// What is said to a care team once a day.
struct DailyMessage {
    /// So far back somebody has been heard from.
    static let span = Triage.silence

    let site: Site
    let at: Instant
    let watched: Int
    let heard: Int
    /// Off the machine it bears witness of what was sealed until now.
    let auditHead: AuditHead?

    /// Whoever is paused today is not expected to be heard from, and counted only if they were.
    init(of site: Site, registry: Registry, at now: Instant, heard: Set<Identifier>, auditHead: AuditHead? = nil) {
        self.site = site
        at = now
        self.auditHead = auditHead
        let watched = registry.patients.values.filter {
            $0.site == site.code && (heard.contains($0.code) || !$0.isPaused(at: now))
        }
        self.watched = watched.count
        self.heard = watched.count { heard.contains($0.code) }
    }

    var counts: String { "working: \(watched) watched, \(heard) heard from, \(watched - heard) not" }

    var text: String {
        counts + (auditHead.map { "; audit \($0.short)" } ?? "")
    }

    func notice(began: Instant) -> Notice {
        let date = WallClock.words(began, timeZone: site.timeZone).split(separator: " ").dropFirst().first ?? ""
        return Notice(
            key: "daily-\(site.code)-\(date)", site: site.code, sort: "daily",
            subject: "Homeward \(site.code): \(counts)", text: text)
    }

    struct Reader {
        var code: Identifier
        var channel: Channel
        var address: String
    }

    /// The site's care managers and team leads who are not away, each by one channel: e-mail, else a webhook, else a text
    /// message.
    func readers(in registry: Registry) -> [Reader] {
        let today = WallClock.date(at, timeZone: site.timeZone)
        return registry.careManagers.values.filter { person in
            person.site == site.code && [.careManager, .teamLead].contains(person.role)
                && !(today.map { today in person.away.contains { $0.from <= today && today <= $0.until } } ?? false)
        }.sorted { $0.code.description < $1.code.description }.compactMap { person in
            if registry.served.email, let email = person.email {
                Reader(code: person.code, channel: .email, address: email)
            } else if let webhook = person.webhook {
                Reader(code: person.code, channel: .webhook, address: webhook)
            } else if registry.served.sms, let mobile = person.mobile {
                Reader(code: person.code, channel: .sms, address: mobile)
            } else {
                nil
            }
        }
    }
}
