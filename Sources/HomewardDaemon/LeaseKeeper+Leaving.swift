import CLinux
import Ingestion
import Logging
import MQTTClient
import PostgresStore
import Synchronization

/// The lease is given away while it is ours. The keeper's thread.
extension LeaseKeeper {
    /// For the file, which is not written for each look.
    var pairedAt: Int64? {
        link.withLock { link in
            guard link.isPaired, let seenAt = link.seenAt else { return nil }
            let seen = Self.wallSeconds() - (linux_monotonic_nanoseconds() - seenAt) / 1_000_000_000
            return seen - seen % 600
        }
    }

    /// An orderly stop: whoever waits takes over at once.
    func release(_ lease: PostgresLease, mark: Int64?) {
        guard let epoch = seat.epoch else { return }
        // Where PostgreSQL is away and nobody is known to wait, the stop waits for no answer.
        let view = current
        guard !view.isAway || view.answer?.standbys != nil else { return }
        do throws(StoreFailure) {
            // With nobody there to take it, we begin again as its holder, PostgreSQL or not. Whoever came since the last
            // renewal is there.
            guard try release(lease, epoch, mark) else { return }
            logger.notice("lease released", metadata: ["epoch": "\(epoch)"])
        } catch {
            logger.warning("the lease can't be released: it ends by itself", metadata: ["failure": "\(error)"])
        }
    }

    /// The broker can't be reached from here, and another instance waits. True: it may take the lease now.
    func leave(_ lease: PostgresLease, _ answer: PostgresLease.Answer, _ mark: Int64?) -> Bool {
        let now = linux_monotonic_nanoseconds()
        guard link.withLock({ $0.absence.leaves(at: now) }) else { return false }
        logger.error(
            "the broker can't be reached from here: leaving the lease to another instance",
            metadata: ["epoch": "\(answer.epoch)", "instances": "\(answer.standbys ?? "none")"])
        // What is held still is handed over, and nothing more is told.
        subscriber.hold()
        seat.set(.standby)
        do throws(StoreFailure) {
            return try release(lease, answer.epoch, mark)
        } catch {
            // It ends by itself, or is ours again at the next look.
            return false
        }
    }

    private func release(_ lease: PostgresLease, _ epoch: Int64, _ mark: Int64?) throws(StoreFailure) -> Bool {
        guard try lease.release(epoch) else { return false }
        file.withLock {
            $0.write(
                LeaseMemory(word: .released, shard: seat.shard, epoch: epoch, pairedAt: pairedAt, mark: mark))
        }
        return true
    }
}
