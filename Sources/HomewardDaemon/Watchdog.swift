import CLinux
import Ingestion
import Logging
import MQTTClient
import RingBuffer
import ServiceLifecycle

/// Feeds systemd's watchdog only while each stage moves, has nothing to do, or is in a wait that it renews itself. A
/// stuck stage is not fed over. What is waited for stands in `systemctl status`.
struct Watchdog: Service {
    let notification: ServiceNotification
    let gauge: RingGauge
    let commit: CommitControl
    let subscriber: SubscriberControl
    let probe: DatabaseProbe
    let lease: LeaseKeeper
    let logger: Logger

    func run() async throws {
        guard let interval = notification.watchdogInterval else {
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            var watch = StageWatch()
            var said: String?
            while !Task.isCancelled {
                let stuck = watch.stuckStages(look())
                if stuck.isEmpty {
                    notification.alive()
                } else {
                    logger.critical(
                        "a stage is stuck, the watchdog is not fed",
                        metadata: ["stages": "\(stuck.map(\.rawValue).joined(separator: ", "))"])
                }
                let words = standingBy ?? Self.status(waits())
                if words != said { notification.status(words) }
                said = words
                do { try await Task.sleep(for: max(interval / 3, .milliseconds(1100))) } catch { return }
            }
        }
    }

    private func look() -> StageWatch.Look {
        // `decoded` first: it is never ahead of a later `received`.
        let decoded = gauge.decoded
        return StageWatch.Look(
            at: linux_monotonic_nanoseconds(), decoded: decoded, received: gauge.received,
            mqtt: .init(count: subscriber.beatCount, mayBeResolving: subscriber.mayBeResolving),
            commit: .init(count: commit.beatCount, mayBeResolving: !probe.isConnected),
            lease: lease.seat.isPaired ? .init(count: lease.beatCount, mayBeResolving: !probe.isConnected) : nil)
    }

    /// What the pipeline may wait for, by name.
    enum Wait: String {
        case broker = "the broker"
        case database = "the database"
        case spool = "room in the spool"
    }

    /// In `systemctl status`; nil where this instance is the one that reads.
    private var standingBy: String? {
        guard lease.seat.standing == .standby else { return nil }
        return "standing by: \(lease.holder ?? "another instance") takes reports"
    }

    private func waits() -> [Wait] {
        var waits: [Wait] = []
        if !subscriber.isConnected { waits.append(.broker) }
        if !probe.isConnected { waits.append(.database) }
        if commit.spoolProblem != nil { waits.append(.spool) }
        return waits
    }

    static func status(_ waits: [Wait]) -> String {
        waits.isEmpty ? "taking reports" : "waiting for \(waits.map(\.rawValue).joined(separator: ", "))"
    }
}

/// Which stages have not moved between two looks though they had something to do. Pure.
struct StageWatch {
    enum Stage: String {
        case mqtt, decode, commit, lease
    }

    struct Look {
        /// Monotonic nanoseconds.
        var at: Int64
        var decoded: Int
        var received: Int
        /// The mqtt thread beats once a second at least, also while it waits for the broker, for a durable batch or for
        /// room in the ring; the commit thread likewise while it waits for the database or for the spool.
        var mqtt: Beats
        var commit: Beats
        /// The keeper of the lease beats with each look, every two seconds or so. Nil where no other instance is there to
        /// take over: nothing waits for its keeper then.
        var lease: Beats?
    }

    struct Beats {
        var count: Int
        /// But not while the system's resolver looks for a server's address, which can't be hurried.
        var mayBeResolving: Bool
    }

    /// glibc gives up after 2 tries of 5 s at each of 3 name servers, once for each search domain.
    static let resolverPatience: Int64 = 120 * 1_000_000_000

    /// Longer than the pause between two looks at the lease and all calls of one, each of 2 s at most.
    static let keeperPatience: Int64 = 10 * 1_000_000_000

    private var last: Look?
    private var mqttStoodSince: Int64?
    private var commitStoodSince: Int64?
    private var leaseStoodSince: Int64?

    mutating func stuckStages(_ look: Look) -> [Stage] {
        defer { last = look }
        guard let last else { return [] }
        var stuck: [Stage] = []
        if Self.isStuck(look.mqtt, last.mqtt, from: last.at, to: look.at, &mqttStoodSince) { stuck.append(.mqtt) }
        // What came in between the two looks may be on its way.
        if look.decoded == last.decoded, last.received > last.decoded { stuck.append(.decode) }
        if Self.isStuck(look.commit, last.commit, from: last.at, to: look.at, &commitStoodSince) {
            stuck.append(.commit)
        }
        guard let lease = look.lease, let before = last.lease else {
            leaseStoodSince = nil
            return stuck
        }
        if Self.isStuck(lease, before, from: last.at, to: look.at, after: Self.keeperPatience, &leaseStoodSince) {
            stuck.append(.lease)
        }
        return stuck
    }

    private static func isStuck(
        _ now: Beats, _ before: Beats, from last: Int64, to at: Int64, after patience: Int64 = 0,
        _ stoodSince: inout Int64?
    ) -> Bool {
        guard now.count == before.count else {
            stoodSince = nil
            return false
        }
        let since = stoodSince ?? last
        stoodSince = since
        return at - since >= (now.mayBeResolving ? resolverPatience : patience)
    }
}
