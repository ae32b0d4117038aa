import Alerting
import Clinical
import Foundation
import Glibc
import Ingestion
import Registry
import TestSupport
import Testing

@testable import PostgresStore

extension PostgresStoreSuite {
    /// Who of two instances judges, and that the other can't.
    @Suite struct LeaseTests {
        private static func lease(_ database: TestDatabase, _ instance: String, sites: String = "*") -> PostgresLease {
            PostgresLease(
                database.configuration, shard: "homeward", instance: instance, name: "host-\(instance)", sites: sites)
        }

        private static func seat(_ instance: String, epoch: Int64) -> LeaseSeat {
            let seat = LeaseSeat(shard: "homeward", instance: instance)
            seat.set(.holder(epoch: epoch))
            return seat
        }

        private static func store(_ database: TestDatabase, _ seat: LeaseSeat) -> PostgresCommitStore {
            PostgresCommitStore(database.configuration, seat: seat) { _, version in Registry(version: version) }
        }

        /// However long the test takes, it has been renewed just now, and whoever waits has just been there.
        private static func hold(_ database: TestDatabase) throws {
            try database.query(
                """
                UPDATE homeward.lease SET expires_at = now() + interval '1 day';
                UPDATE homeward.lease_standby SET seen_at = now() + interval '1 day'
                """)
        }

        /// As if nobody had renewed it for long.
        private static func end(_ database: TestDatabase) throws {
            try database.query("UPDATE homeward.lease SET expires_at = now() - interval '1 s'")
        }

        @Test func oneHoldsItAndTheOtherWaitsUntilItEnds() throws {
            let database = try TestDatabase()
            let (a, b) = (Self.lease(database, "a"), Self.lease(database, "b"))
            let first = try a.renew(nil, isStart: true, mark: nil)
            #expect(first.isMine && first.epoch == 1 && first.standbys == nil)
            #expect(first.left <= PostgresLease.span)
            try database.query("UPDATE homeward.lease SET expires_at = now() + interval '1 day'")
            let waiting = try b.renew(nil, isStart: true, mark: nil)
            #expect(!waiting.isMine && waiting.epoch == 1 && waiting.holder == "host-a")
            #expect(waiting.left > PostgresLease.span && waiting.left <= .days(1))
            try Self.hold(database)
            let renewed = try a.renew(1, isStart: false, mark: first.mark)
            #expect(renewed.isMine && renewed.epoch == 1 && renewed.standbys == "host-b")
            #expect(renewed.mark > first.mark)

            try Self.end(database)
            // Whoever renews first: nobody has taken it.
            #expect(try a.renew(1, isStart: false, mark: nil).isMine)
            try Self.end(database)
            let taken = try b.renew(nil, isStart: false, mark: nil)
            #expect(taken.isMine && taken.epoch == 2)
            try Self.hold(database)
            let late = try a.renew(1, isStart: false, mark: nil)
            #expect(!late.isMine && late.epoch == 2 && late.holder == "host-b")
            #expect(try b.release(2))
            // Whoever waits hears of it.
            var waiter = pollfd(fd: a.descriptor, events: Int16(POLLIN), revents: 0)
            #expect(unsafe poll(&waiter, 1, 60_000) == 1)
            #expect(a.takeNews())
            #expect(try a.renew(1, isStart: false, mark: nil).epoch == 3)
            // And what it holds now it keeps while nobody waits for it.
            try Self.hold(database)
            try database.query("UPDATE homeward.lease_standby SET seen_at = now() - interval '1 minute'")
            #expect(try !a.release(3))
            #expect(try !b.renew(nil, isStart: false, mark: nil).isMine)
        }

        @Test func anInstanceThatStartsAgainTakesItsOwnLeaseBackAtOnce() throws {
            let database = try TestDatabase()
            #expect(try Self.lease(database, "a").renew(nil, isStart: true, mark: nil).epoch == 1)
            let again = try Self.lease(database, "a").renew(nil, isStart: true, mark: nil)
            #expect(again.isMine && again.epoch == 2)
            try Self.hold(database)
            // Its earlier life, should it live, is not the holder any more.
            #expect(try !Self.lease(database, "a").renew(1, isStart: false, mark: nil).isMine)
        }

        @Test func aHolderThatWasTakenOverFromCommitsNothing() throws {
            let database = try TestDatabase()
            let (a, b) = (Self.lease(database, "a"), Self.lease(database, "b"))
            _ = try a.renew(nil, isStart: true, mark: nil)
            let old = Self.store(database, Self.seat("a", epoch: 1))
            try old.store([report(key(1, "before"))])
            // A transaction that is open holds up no take-over.
            _ = try old.begin()
            _ = try old.claim([claim(key(1, "during"))])
            try Self.end(database)
            #expect(try b.renew(nil, isStart: false, mark: nil).epoch == 2)
            let failure = #expect(throws: StoreFailure.self) { try old.commit() }
            #expect(failure?.kind == .fenced)
            #expect(failure?.sqlState == "HW001")
            old.rollback()
            let again = #expect(throws: StoreFailure.self) { try old.store([report(key(1, "after"))]) }
            #expect(again?.kind == .fenced)
            old.rollback()
            // It may look.
            _ = try old.begin()
            try old.commit()
            try Self.store(database, Self.seat("b", epoch: 2)).store([report(key(1, "taken"))])
            #expect(
                try database.query("SELECT report_id FROM homeward.v_report ORDER BY 1") == [["before"], ["taken"]])
        }

        /// It had claimed a key and stands still: whoever takes over is sent the same report.
        @Test func theTransactionOfAHolderThatStandsStillIsEnded() throws {
            let database = try TestDatabase(deadline: .seconds(30))
            let (a, b) = (Self.lease(database, "a"), Self.lease(database, "b"))
            _ = try a.renew(nil, isStart: true, mark: nil)
            let still = Self.store(database, Self.seat("a", epoch: 1))
            _ = try still.begin()
            _ = try still.claim([claim(key())])
            let seat = LeaseSeat(shard: "another", instance: "c")
            let other = Self.store(database, seat)
            _ = try other.begin()
            try Self.end(database)
            #expect(try b.renew(nil, isStart: false, mark: nil).isMine)
            #expect(try b.endOtherCommits(uptime: .hours(1)) == 1)
            try Self.store(database, Self.seat("b", epoch: 2)).store([report(key())])
            let failure = #expect(throws: StoreFailure.self) { try still.commit() }
            #expect(failure?.kind == .transient)
            // Another shard's goes on.
            try other.commit()
            #expect(try database.value("SELECT count(*) FROM homeward.v_report") == "1")
        }

        @Test func aTakeOverWaitsForACommitAndARenewalDoesNot() throws {
            let database = try TestDatabase(deadline: .seconds(30))
            let (a, b) = (Self.lease(database, "a"), Self.lease(database, "b"))
            _ = try a.renew(nil, isStart: true, mark: nil)
            // As a commit's transaction does, and is not over yet.
            let blocker = PostgresCommitStore(database.configuration) { _, version in Registry(version: version) }
            _ = try blocker.begin()
            _ = try blocker.connection.query("SELECT homeward.hold_lease('homeward', 1, 'a')", doing: "holding")
            #expect(try a.renew(1, isStart: false, mark: nil).isMine)
            try Self.end(database)
            // Its lock_timeout ends the wait.
            let failure = #expect(throws: StoreFailure.self) { _ = try b.renew(nil, isStart: false, mark: nil) }
            #expect(failure?.sqlState == "55P03")
            blocker.rollback()
            #expect(try b.renew(nil, isStart: false, mark: nil).isMine)
        }

        /// After a failover or a restore: the row is not there, or of an earlier time.
        @Test func aDatabaseThatIsBehindIsCaughtUpWithAndTakesNothingFromTheHolder() throws {
            let database = try TestDatabase()
            let (a, b) = (Self.lease(database, "a"), Self.lease(database, "b"))
            let store = Self.store(database, Self.seat("a", epoch: 5))
            let missing = #expect(throws: StoreFailure.self) { try store.store([report(key())]) }
            #expect(missing?.kind == .transient)
            store.rollback()
            _ = try b.renew(2, isStart: false, mark: nil)
            try Self.hold(database)
            let behind = #expect(throws: StoreFailure.self) { try store.store([report(key())]) }
            #expect(behind?.kind == .transient)
            store.rollback()
            // The row of another, of an earlier epoch, has not ended yet.
            let caughtUp = try a.renew(5, isStart: false, mark: nil)
            #expect(caughtUp.isMine && caughtUp.epoch == 6)
            // Nobody has told the committing thread of the new epoch yet: it is no other instance's.
            let untold = #expect(throws: StoreFailure.self) { try store.store([report(key())]) }
            #expect(untold?.kind == .transient)
            store.rollback()
            try Self.store(database, Self.seat("a", epoch: 6)).store([report(key())])
            try Self.hold(database)
            #expect(try !b.renew(3, isStart: false, mark: nil).isMine)
        }

        /// The seat went on to the next epoch while a transaction was open; another may have held one in between.
        @Test func whatWasJudgedUnderAnEarlierEpochIsNotCommittedUnderThisOne() throws {
            let database = try TestDatabase()
            _ = try Self.lease(database, "a").renew(7, isStart: false, mark: nil)
            let seat = Self.seat("a", epoch: 5)
            seat.judges(under: 5)
            let store = Self.store(database, seat)
            _ = try store.begin()
            _ = try store.claim([claim(key())])
            seat.set(.standby)
            seat.set(.holder(epoch: 8))
            let failure = #expect(throws: StoreFailure.self) { try store.commit() }
            #expect(failure?.kind == .transient)
            store.rollback()
            seat.judges(under: 8)
            try store.store([report(key())])
            #expect(try database.value("SELECT count(*) FROM homeward.v_report") == "1")
        }

        @Test func deliveriesAreClaimedUnderTheLeaseAlone() throws {
            let database = try TestDatabase()
            _ = try Self.lease(database, "a").renew(nil, isStart: true, mark: nil)
            var batch = CommitBatch()
            let alert = episode(1, severity: .red)
            batch.episodes = [EpisodeChange(episode: alert, isNew: true, events: [event(alert)])]
            batch.outbox = [
                OutboxEntry(alert: alert.id, revision: 1, step: 0, channel: .webhook, recipient: code("cm-01"))
            ]
            _ = try database.store().store([], batch)
            for (epoch, isHolder) in [(7, true), (1, false)] as [(Int64, Bool)] {
                let seat = Self.seat("a", epoch: epoch)
                if !isHolder { seat.set(.standby) }
                let queue = try PostgresDeliveryQueue(database.configuration, seat: seat)
                #expect(try queue.claim(limit: 10, lease: .seconds(30)).isEmpty)
            }
            let queue = try PostgresDeliveryQueue(database.configuration, seat: Self.seat("a", epoch: 1))
            #expect(try queue.claim(limit: 10, lease: .seconds(30)).count == 1)
        }

        @Test func whatIsHandedOverComesBackAsItWas() throws {
            let database = try TestDatabase()
            let seat = LeaseSeat(shard: "homeward", instance: "a")
            seat.set(.standby)
            let store = Self.store(database, seat)
            let messages = (0..<3).map { number in
                Message(
                    topic: Array("homeward/v1/north/dev-000\(number)/report".utf8), payload: [0, 255, UInt8(number)],
                    fullLength: 70_000 + number, digest: number == 1 ? [1, 2, 3] : nil, retained: number == 2,
                    receivedAt: morning + .seconds(Int64(number)))
            }
            try store.handOver(messages, told: [])
            try store.handOver([], told: [7, 8])
            #expect(try Self.lease(database, "b").renew(nil, isStart: true, mark: nil).hasHandover)
            let holder = Self.store(database, Self.seat("b", epoch: 1))
            let rows = try holder.handedOver(limit: 10)
            #expect(rows.count == 4)
            guard case .told(let told) = try #require(rows.first).content else {
                Issue.record("what was told comes first")
                return
            }
            #expect(told == [7, 8])
            for (row, message) in zip(rows.dropFirst(), messages) {
                guard case .message(let found) = row.content else {
                    Issue.record("no message")
                    continue
                }
                #expect(found.topic == message.topic && found.payload == message.payload)
                #expect(found.fullLength == message.fullLength && found.digest == message.digest)
                #expect(found.retained == message.retained && found.receivedAt == message.receivedAt)
            }
            // Another shard's is not ours.
            let other = LeaseSeat(shard: "south", instance: "c")
            #expect(try Self.store(database, other).handedOver(limit: 10).isEmpty)
            try holder.forget(rows)
            #expect(try holder.handedOver(limit: 10).isEmpty)
        }
    }
}
