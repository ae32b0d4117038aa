import Alerting
import Clinical
import Delivery
import Documents
import Foundation
import Ingestion
import MQTTClient
import PostgresStore
import Registry

/// What a failed self-test does: it is noted, so that the daemon is not ready and raises its alert; and since nothing of
/// the daemon can be trusted now, the technical route is told from here, by every channel. Blocks; one thread.
struct SelfTestAlarm {
    let loaded: LoadedConfiguration
    let registry: Registry
    let report: DoctorReport

    /// Everybody is told when it begins to fail, and again when it fails anew after a success: not at every run.
    func raise(_ words: String) {
        guard let code = Identifier(loaded.syntheticCode) else { return }
        do throws(StoreFailure) {
            guard let standing = try SelfTestDesk(loaded.database).end(code, failure: words, at: wallClock()),
                standing.isNew
            else { return }
            tell(standing.failure)
        } catch {
            report.add(.database, .failed(.unavailable), "the failure can't be noted: \(error.message)")
            tell(SelfTestFailure(since: wallClock(), words: words))
        }
    }

    /// The alert that the daemon raises too when it finds the note, to every step at once.
    private func tell(_ failure: SelfTestFailure) {
        var ledger = EpisodeLedger(open: [])
        ledger.apply(SelfTestAlert.finding(failure))
        let route = Route(registry: registry)
        var notices = route.outageNotices(for: ledger.changes)
        // Better the wrong people than none.
        if notices.isEmpty { notices = route.noticesToEverybody(for: ledger.changes) }
        // No display, whose broker may be what is away: the instance's alerts are none of theirs.
        let channels = DeliveryWiring.channels(loaded.configuration, broker: SubscriberControl())
        var isAnybodyTold = false
        for job in notices.map(\.job) where job.entry.channel != .mqtt {
            var error = channels.send(job, at: wallClock())
            if error != nil { error = channels.send(job, at: wallClock()) }
            let who = "\(job.entry.channel.rawValue) to \(job.entry.recipient)"
            if let error {
                report.add(.selfTest, .warning, "\(who) was not told: \(error)")
            } else {
                isAnybodyTold = true
                report.add(.selfTest, .warning, "\(who) was told that the self-test failed")
            }
        }
        if !isAnybodyTold { report.add(.selfTest, .failed(.unavailable), "nobody could be told that it failed") }
    }
}

/// The technical alert of a self-test that fails.
enum SelfTestAlert {
    static func summary(_ failure: SelfTestFailure) -> String {
        "The self-test failed: \(failure.words). Alerts may not get out."
    }

    static func finding(_ failure: SelfTestFailure) -> Finding {
        Finding(
            subject: .instance, site: nil, device: nil, rule: TechnicalFinding.Rule.selfTest.rawValue,
            alertClass: .technical, verdict: .beyond(.red), takenAt: failure.since, receivedAt: failure.since,
            report: nil, summary: summary(failure))
    }
}
