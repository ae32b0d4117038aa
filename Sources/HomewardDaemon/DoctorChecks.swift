import Alerting
import CLinux
import Clinical
import Delivery
import Documents
import Foundation
import Ingestion
import MQTTClient
import PostgresStore
import Registry
import WebApp

/// What can be looked at without a reading. Blocks; one thread.
struct DoctorChecks {
    let loaded: LoadedConfiguration
    let report: DoctorReport

    /// The registry in force when broker and database are there, so that a reading can be sent; else nil.
    func run() -> Registry? {
        certificates()
        spool()
        let registry = database()
        let isBrokerThere = broker()
        if let registry { coverage(registry) } else { report.add(.coverage, .skipped, "no database") }
        guard let registry, isBrokerThere else {
            report.add(.selfTest, .skipped, registry == nil ? "no database" : "no broker")
            if let registry { noteBrokerAway(registry) }
            return nil
        }
        return registry
    }

    /// A broker that is away is a self-test that failed: nothing can be received.
    private func noteBrokerAway(_ registry: Registry) {
        SelfTestAlarm(loaded: loaded, registry: registry, report: report).raise("the broker can't be reached")
    }

    // MARK: - Files

    private func certificates() {
        let configuration = loaded.configuration
        let delivery = configuration.delivery
        let files: [(String, String?)] = [
            ("broker.tls.ca_file", configuration.broker.tls?.caFile),
            ("broker.tls.certificate_file", configuration.broker.tls?.certificateFile),
            ("http.tls.certificate_file", configuration.http.tls?.certificateFile),
            ("delivery.webhook.ca_file", delivery.webhook?.caFile), ("delivery.smtp.ca_file", delivery.smtp?.caFile),
            ("delivery.sms.ca_file", delivery.sms?.caFile),
        ]
        let named = files.compactMap { name, path in path.map { (name, $0) } }
        guard !named.isEmpty else { return report.add(.certificates, .ok, "none are configured") }
        for (name, path) in named {
            switch CertificateFile.expiry(path: path) {
            case nil: report.add(.certificates, .failed(.badConfiguration), "\(name): \(path) holds no certificate")
            case let expiry?:
                let days = Int64((expiry.timeIntervalSinceNow / 86_400).rounded(.down))
                let words = "\(name): \(path) ends on \(expiry.formatted(.iso8601.year().month().day()))"
                if expiry <= .now {
                    report.add(.certificates, .failed(.badConfiguration), "\(words): it is over")
                } else {
                    report.add(.certificates, days < Self.daysOfWarning ? .warning : .ok, words)
                }
            }
        }
    }

    private static let daysOfWarning: Int64 = 30

    private func spool() {
        let spool = loaded.configuration.spool
        guard spool.quota > 0 else {
            return report.add(.spool, .warning, "switched off: while the database is away the broker keeps the reports")
        }
        let path = spool.directory
        let files = FileManager.default
        // Whether it may be written to is the daemon's to say, which does at /readyz: here the sandbox may be another.
        guard let sort = (try? files.attributesOfItem(atPath: path))?[.type] as? FileAttributeType else {
            return report.add(.spool, .warning, "\(path) is not there: the daemon makes it when it starts")
        }
        guard sort == .typeDirectory || sort == .typeSymbolicLink else {
            return report.add(.spool, .failed(.badConfiguration), "\(path) is no directory")
        }
        let attributes = try? files.attributesOfFileSystem(forPath: path)
        guard let free = (attributes?[.systemFreeSize] as? NSNumber)?.int64Value else {
            return report.add(.spool, .warning, "\(path): the free space can't be told")
        }
        let words = "\(path): \(free >> 20) MiB free, quota \(spool.quota >> 20) MiB"
        report.add(.spool, free < spool.quota ? .warning : .ok, words)
    }

    // MARK: - Servers

    private func database() -> Registry? {
        do throws(StoreFailure) {
            let before = wallClock()
            let there = try DatabaseUpkeep(loaded.database).probe()
            clock(database: there, before: before, after: wallClock())
            let rights = try SelfTestDesk(loaded.database).rights()
            if let missing = rights.missing {
                report.add(.database, .failed(.badConfiguration), "the role lacks \(missing): run deploy/roles.sql")
                return nil
            }
            let registry = try loaded.registry()
            report.add(.database, .ok, "reachable, schema \(Migrator.newestVersion), registry \(registry.version)")
            if rights.isSuperuser {
                report.add(.database, .warning, "the role is a superuser: deploy/roles.sql makes one that may do less")
            }
            return registry
        } catch {
            let status: ExitStatus = error.kind == .misconfigured ? .badConfiguration : .unavailable
            report.add(.clock, .skipped, "no database to compare with")
            report.add(.database, .failed(status), error.message)
            return nil
        }
    }

    private func clock(database: Instant, before: Instant, after: Instant) {
        let isSynchronised = linux_clock_is_synchronised()
        let apart = max((before - database).microseconds, (database - after).microseconds, 0) / 1000
        var words = "\(apart) ms from the database's"
        if isSynchronised == 0 { words += "; the kernel does not call it synchronised: is a time service running?" }
        report.add(.clock, apart > Self.millisecondsApart || isSynchronised == 0 ? .warning : .ok, words)
    }

    private static let millisecondsApart: Int64 = 2000

    private func broker() -> Bool {
        var connection = ReaderConnection(settings: loaded.broker, clientID: loaded.syntheticCode + "-check")
        let end = linux_monotonic_nanoseconds() + Self.brokerPatience
        var refusal: String?
        var isSubscribed = false
        var dropped: Int64?
        // Where it may not be read, its absence says nothing.
        do throws(MQTTError) { try connection.subscribe(Self.droppedTopic) } catch { refusal = "\(error)" }
        while linux_monotonic_nanoseconds() < end, dropped == nil {
            connection.serve(milliseconds: 100) { event in
                switch event {
                case .subscribed: isSubscribed = true
                case .message(_, let payload, _): dropped = Int64(String(decoding: payload, as: UTF8.self)) ?? 0
                case .disconnected(let error): refusal = "\(error)"
                case .connected, .acknowledged: break
                }
            }
            if isSubscribed { break }
        }
        // What is retained comes right after the subscription is confirmed.
        let grace = linux_monotonic_nanoseconds() + Self.counterPatience
        while isSubscribed, dropped == nil, linux_monotonic_nanoseconds() < grace {
            connection.serve(milliseconds: 100) { event in
                if case .message(_, let payload, _) = event {
                    dropped = Int64(String(decoding: payload, as: UTF8.self)) ?? 0
                }
            }
        }
        let isThere = connection.isConnected
        connection.close()
        guard isThere else {
            report.add(.broker, .failed(.unavailable), "\(loaded.broker): \(refusal ?? "no answer")")
            return false
        }
        report.add(.broker, .ok, "\(loaded.broker)")
        if let dropped, dropped > 0 {
            report.add(
                .broker, .warning, "it has dropped \(dropped) messages since it started: is max_queued_messages 0?")
        }
        return true
    }

    private static let droppedTopic = "$SYS/broker/publish/messages/dropped"
    private static let brokerPatience: Int64 = 10_000_000_000
    private static let counterPatience: Int64 = 1_000_000_000

    // MARK: - Coverage

    private func coverage(_ registry: Registry) {
        let sites = loaded.configuration.sites
        let served = sites.isAll ? nil : Set(sites.codes)
        let now = wallClock()
        let coverage = Coverage(registry: registry)
        let holes = coverage.holes(of: served, from: now)
        for hole in holes {
            report.add(.coverage, .failed(.badData), "\(hole.site): \(words(hole, registry, now))")
        }
        // What befalls a reader or the daemon itself is told of nobody's patient; yet somebody should know.
        for hole in coverage.technicalHoles(of: served, from: now) where hole.severity == .red {
            report.add(.coverage, .warning, "\(hole.site): \(words(hole, registry, now))")
        }
        guard holes.isEmpty else { return }
        let count = registry.patients.values.count {
            !Synthetic.isSynthetic($0.site) && (served?.contains($0.site) ?? true)
        }
        report.add(.coverage, .ok, "\(count) patients: somebody can be told at any time in the coming 7 days")
    }

    private func words(_ hole: CoverageHole, _ registry: Registry, _ now: Instant) -> String {
        hole.words(timeZone: registry.sites[hole.site]?.timeZone, now: now)
    }
}
