import Alerting
import Clinical
import Delivery
import Ingestion
import Outage
import PostgresStore

/// PostgreSQL's outbox, with an eye on the reds in it: what the dispatcher has not got when PostgreSQL goes away is told
/// of as in an outage, and what was told so is not sent again from here. The dispatcher's thread owns it.
final class WatchedDeliveryQueue: DeliveryQueue, Sendable {
    private let queue: PostgresDeliveryQueue
    private let unsent: UnsentReds
    private let told: OutageDeliveries

    init(_ queue: PostgresDeliveryQueue, unsent: UnsentReds, told: OutageDeliveries) {
        self.queue = queue
        self.unsent = unsent
        self.told = told
    }

    func claim(limit: Int, lease: Interval) throws -> [DeliveryJob] {
        let jobs: [DeliveryJob]
        do {
            jobs = try queue.claim(limit: limit, lease: lease)
        } catch {
            unsent.stall()
            throw error
        }
        unsent.claimed(jobs.lazy.map(\.entry.key))
        return jobs.filter { job in
            // What can't be recorded comes again when its lease ends; those beside it do not wait for that.
            switch told.standing(of: job.entry.key) {
            case nil: return true
            case .sent(let at): try? queue.record(.sent(at: at), of: job)
            // It is on its way from there, and recorded when the outage ends.
            case .waiting:
                try? queue.record(.retry(after: .seconds(10), error: "told from the outage"), of: job)
            }
            return false
        }
    }

    func record(_ outcome: DeliveryOutcome, of job: DeliveryJob) throws {
        try record(outcome, of: job) { try queue.record(outcome, of: job) }
    }

    func recordDead(_ outcome: DeliveryOutcome, of job: DeliveryJob) throws {
        try record(outcome, of: job) { try queue.recordDead(outcome, of: job) }
    }

    private func record(_ outcome: DeliveryOutcome, of job: DeliveryJob, in queue: () throws -> Void) throws {
        do {
            try queue()
        } catch {
            // The next attempt would be a row of a database that is away.
            if case .retry = outcome {
                unsent.add([OutageNotice(job: job, at: job.episode.raisedAt)])
                unsent.stall()
            }
            throw error
        }
        if case .retry = outcome { unsent.add([OutageNotice(job: job, at: job.episode.raisedAt)]) }
    }

    func waitForWork(milliseconds: Int32) { queue.waitForWork(milliseconds: milliseconds) }

    func wake() { queue.wake() }
}
