import Alerting
import CLinux
import Clinical
import Cryptography
import Delivery
import Documents
import Formats
import Foundation
import Ingestion
import Logging
import MQTTClient
import PostgresStore
import Registry
import Synchronization

/// What has come to the end of a self-test. Any thread.
final class SelfTestArrivals: Sendable {
    struct Arrival {
        var headers: [String: String]
        var body: [UInt8]
        /// Monotonic nanoseconds.
        var at: Int64
    }

    private let all = Mutex<[Arrival]>([])

    func add(headers: [String: String], body: [UInt8]) {
        all.withLock { $0.append(Arrival(headers: headers, body: body, at: linux_monotonic_nanoseconds())) }
    }

    func take() -> [Arrival] {
        all.withLock { arrivals in
            defer { arrivals = [] }
            return arrivals
        }
    }
}

/// A synthetic reading, all the way: broker, daemon, database, outbox, dispatcher, and an HTTP end of our own. Blocks; one
/// thread.
///
/// The patient, the reader and the care manager are entries of the registry under a site that no real one shares, so that
/// the daemon treats them as any other and nothing of them is anybody's. The alert is resolved when it has come.
struct SelfTestRun {
    let loaded: LoadedConfiguration
    let registry: Registry
    /// Where the alert is to come.
    let sink: String
    let limit: Interval
    let arrivals: SelfTestArrivals
    let report: DoctorReport

    struct Failure: Error {
        var words: String
    }

    /// Another self-test of this instance does not end: that one speaks for both.
    private struct Busy: Error {}

    /// The reading: a red under every adult's plan, at once.
    private static let reading = #"{"kind":"spo2","value":75,"unit":"%"}"#
    private static let rule = "spo2-low"

    func run() {
        guard let code = Identifier(loaded.syntheticCode) else {
            return report.add(.selfTest, .failed(.badConfiguration), "broker.client_id gives no code")
        }
        let failure: String?
        do {
            let desk = SelfTestDesk(loaded.database)
            try enrol(code)
            try begin(code, desk)
            let left = AlertDesk(loaded.database)
            // Of one that was killed.
            try resolveAll(of: code, left)
            let took = Result { () throws(Failure) in try follow(code) }
            try resolveAll(of: code, left)
            switch took {
            case .success(let milliseconds):
                _ = try desk.end(code, failure: nil, at: wallClock())
                report.add(.selfTest, .ok, "the alert of a synthetic reading came \(milliseconds) ms after it was sent")
                failure = nil
            case .failure(let error): failure = error.words
            }
        } catch is Busy {
            return report.add(.selfTest, .failed(.unavailable), "another self-test of this instance is under way")
        } catch let error as Failure {
            failure = error.words
        } catch let error as StoreFailure {
            failure = "database: \(error.message)"
        } catch {
            failure = "\(error)"
        }
        if let failure {
            report.add(.selfTest, .failed(.unavailable), failure)
            SelfTestAlarm(loaded: loaded, registry: registry, report: report).raise(failure)
        } else {
            callHeartbeat()
        }
    }

    private func callHeartbeat() {
        let head = auditHead()
        guard let url = loaded.configuration.heartbeatURL else {
            return report.add(.heartbeat, .warning, "no heartbeat_url: if this host dies, nobody is told")
        }
        let error = Heartbeat.call(
            url, auditHead: head?.description ?? "", deadline: loaded.configuration.deadlines.delivery)
        if let error {
            report.add(.heartbeat, .failed(.unavailable), "heartbeat_url: \(error)")
        } else {
            report.add(.heartbeat, .ok, "heartbeat_url was called")
        }
    }

    /// What goes off this machine can't be rewritten by whoever owns it. That nothing is sealed silences no heartbeat.
    private func auditHead() -> AuditHead? {
        do throws(StoreFailure) {
            let verifier = AuditVerifier(loaded.database)
            let waited = try verifier.unsealedSeconds()
            guard let standing = try verifier.standing() else {
                report.add(.audit, .warning, "nothing has been sealed yet: the daemon does so every five minutes")
                return nil
            }
            let words = "head \(standing.head.short), sealed \(standing.sealedMinutesAgo) min ago"
            if waited > AuditVerifier.longestUnsealed {
                report.add(.audit, .warning, "\(words); not sealed for \(waited.rounded()) s: see KeepingHistory")
            } else {
                report.add(.audit, .ok, words)
            }
            return standing.head
        } catch {
            report.add(.audit, .warning, error.message)
            return nil
        }
    }

    /// Enters the synthetic site, patient, reader and care manager, once.
    private func enrol(_ code: Identifier) throws {
        let entries = Self.entries(code.description)
        var database = loaded.database
        database.deadline = .minutes(1)
        let store = RegistryStore(database)
        for attempt in 1... {
            let stored = try store.read()
            let isEntered = entries.allSatisfy { entry in
                let fields = stored.fields[entry.key]
                return entry.fields.allSatisfy { fields?[$0.key]?.value == $0.value }
            }
            if isEntered { return }
            let outcome = RegistryBuilder(packs: try loaded.packsInForce())
                .build(EnrolmentPlan.merged(files: entries, stored: stored.fields))
            let plan = EnrolmentPlan(files: entries, stored: stored.fields, replace: true)
            do throws(StoreFailure) {
                _ = try store.apply(
                    RegistryUpdate(
                        base: stored, changes: plan.changes, registry: outcome.registry, source: "doctor",
                        actor: NSUserName()))
                return
            } catch {
                // Somebody else changed the registry between our read and our write: look again.
                guard error.kind == .transient, attempt < Self.attempts else { throw error }
            }
        }
    }

    private static let attempts = 10

    private static func entries(_ code: String) -> [RegistryEntry] {
        let site = FieldValue.string(Synthetic.siteCode)
        return [
            RegistryEntry(
                key: RegistryKey(entity: .site, code: Synthetic.siteCode),
                fields: ["name": .string("Homeward's self-test"), "timezone": .string("Europe/London")]),
            // Where its messages go is said by each self-test.
            RegistryEntry(
                key: RegistryKey(entity: .careManager, code: code),
                fields: [
                    "site": site, "role": .string("read-only"), "webhook": .string("http://127.0.0.1:9/self-test"),
                ]),
            RegistryEntry(
                key: RegistryKey(entity: .patient, code: code), fields: ["site": site, "key_worker": .string(code)]),
            RegistryEntry(
                key: RegistryKey(entity: .device, code: code),
                fields: [
                    "site": site, "can_ask": .boolean(false),
                    "pairings": .array([
                        .object(["patient": .string(code), "from": .string("2020-01-01T00:00:00Z")])
                    ]),
                ]),
        ]
    }

    private func begin(_ code: Identifier, _ desk: SelfTestDesk) throws {
        // To connect, and to wait for the alert: only one that was killed is not waited for.
        let lasting = Interval(microseconds: limit.microseconds + SelfTestReading.patience(limit).microseconds)
        let end = linux_monotonic_nanoseconds() + lasting.microseconds * 1000 + 5_000_000_000
        while try !desk.begin(code, sink: sink, lasting: lasting) {
            guard linux_monotonic_nanoseconds() < end else { throw Busy() }
            usleep(200_000)
        }
    }

    private func resolveAll(of code: Identifier, _ desk: AlertDesk) throws {
        let filter = AlertFilter(site: Identifier(Synthetic.siteCode), patient: code)
        let open = try AlertReader(loaded.database).alerts(filter)
        for row in open {
            _ = try desk.act(
                .resolve, on: row.episode.id, by: AlertActor(account: "homeward doctor", careManager: nil),
                note: "the self-test's own", seen: nil, at: wallClock())
        }
    }

    /// Publishes the reading and waits for its alert. In milliseconds.
    private func follow(_ code: Identifier) throws(Failure) -> Int64 {
        var reading = SelfTestReading(code: code, settings: loaded.broker, limit: limit)
        defer { reading.close() }
        _ = arrivals.take()
        let published = try reading.publish(Self.reading)
        var receipt: String?
        var came: [(alert: AlertID, at: Int64)] = []
        let reader = AlertReader(loaded.database)
        while linux_monotonic_nanoseconds() < reading.end {
            if let news = try reading.serve() {
                receipt = news
                guard news == "stored" else { throw Failure(words: "the synthetic reading was not stored: \(news)") }
            }
            for arrival in arrivals.take() {
                if let alert = try alert(of: arrival, code) { came.append((alert, arrival.at)) }
            }
            // The alert of an earlier reading may come too.
            for (alert, at) in came where try isOf(reading.id, alert, reader) {
                return (at - published) / 1_000_000
            }
        }
        let seconds = limit.microseconds / 1_000_000
        throw Failure(
            words: receipt == nil
                ? "no receipt came for the synthetic reading within \(seconds) s: is the daemon running?"
                : "the synthetic reading was stored, but its alert did not arrive within \(seconds) s")
    }

    /// The alert that has come; nil for what is none of ours.
    private func alert(of arrival: SelfTestArrivals.Arrival, _ code: Identifier) throws(Failure) -> AlertID? {
        guard let json = try? JSONReader.value(arrival.body.span), json["patient"]?.string == code.description,
            json["rule"]?.string == Self.rule, json["severity"]?.string == Severity.red.rawValue
        else { return nil }
        if let secret = loaded.configuration.delivery.webhook?.secret {
            let timestamp = arrival.headers["homeward-timestamp"] ?? ""
            let code = hmacSHA256(key: secret, message: Array("\(timestamp).".utf8) + arrival.body)
            guard arrival.headers["homeward-signature"] == "sha256=\(hexadecimal(code))" else {
                throw Failure(words: "the alert's signature is not that of delivery.webhook.secret_file")
            }
        }
        return json["alert"]?.string.flatMap { AlertID($0) }
    }

    /// Whether the alert's history says that this report raised it, or joined it.
    private func isOf(_ report: String, _ alert: AlertID, _ reader: AlertReader) throws(Failure) -> Bool {
        do throws(StoreFailure) {
            return try reader.events(of: alert).contains { $0.report?.report.description == report }
        } catch {
            throw Failure(words: "database: \(error.message)")
        }
    }
}

/// A reader of nobody's on its way to the broker.
private struct SelfTestReading: ~Copyable {
    private var connection: ReaderConnection
    private let topic: String
    let id: String
    /// Nanoseconds.
    private let limit: Int64
    /// Monotonic nanoseconds.
    private(set) var end: Int64

    init(code: Identifier, settings: BrokerSettings, limit: Interval) {
        connection = ReaderConnection(settings: settings, clientID: "\(code)-reader")
        topic = "homeward/v1/\(Synthetic.siteCode)/\(code)/"
        id = "self-test-\(UUID().uuidString)"
        self.limit = limit.microseconds * 1000
        end = linux_monotonic_nanoseconds() + Self.patience(limit).microseconds * 1000
    }

    /// To connect, which is no part of the alert's time.
    static func patience(_ limit: Interval) -> Interval { max(limit, .seconds(30)) }

    mutating func close() { connection.close() }

    /// When it was sent, on the monotonic clock; the limit counts from there.
    mutating func publish(_ reading: String) throws(SelfTestRun.Failure) -> Int64 {
        var isSubscribed = false
        var refusal: ReasonCode?
        var lost: MQTTError?
        do throws(MQTTError) {
            try connection.subscribe(topic + "receipt")
            while !isSubscribed {
                guard linux_monotonic_nanoseconds() < end else { throw lost ?? MQTTError(.notConnected) }
                connection.serve(milliseconds: 100) { event in
                    switch event {
                    case .subscribed(let code):
                        isSubscribed = true
                        refusal = code
                    case .disconnected(let error): lost = error
                    case .connected, .acknowledged, .message: break
                    }
                }
            }
        } catch {
            throw SelfTestRun.Failure(words: "broker: \(error)")
        }
        if let refusal {
            throw SelfTestRun.Failure(
                words: "the broker refuses the receipts of the self-test (\(refusal)): see config/mosquitto.acl")
        }
        let now = wallClock()
        let report = #"{"id":"\#(id)","taken_at":"\#(RFC3339.format(now))","readings":[\#(reading)]}"#
        do throws(MQTTError) {
            _ = try connection.publish(topic: topic + "report", payload: Array(report.utf8))
        } catch {
            throw SelfTestRun.Failure(words: "broker: \(error)")
        }
        let sent = linux_monotonic_nanoseconds()
        end = sent + limit
        return sent
    }

    /// One turn. What the receipt says, once: `stored`, or the outcome with its reason.
    mutating func serve() throws(SelfTestRun.Failure) -> String? {
        var receipt: String?
        var refusal: ReasonCode?
        var lost: MQTTError?
        let id = id
        connection.serve(milliseconds: 50) { event in
            switch event {
            case .message(_, let payload, _):
                guard let json = try? JSONReader.value(payload.span), json["id"]?.string == id else { break }
                let outcome = json["outcome"]?.string ?? "no outcome"
                receipt = json["reason"]?.string.map { "\(outcome), \($0)" } ?? outcome
            case .acknowledged(_, let code): if code.isRefusal { refusal = code }
            case .disconnected(let error): lost = error
            case .connected, .subscribed: break
            }
        }
        if let refusal {
            throw SelfTestRun.Failure(words: "the broker refuses the report (\(refusal)): see config/mosquitto.acl")
        }
        if let lost { throw SelfTestRun.Failure(words: "broker: \(lost)") }
        return receipt
    }
}
