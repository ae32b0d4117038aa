import Ingestion
import Logging
import RingBuffer
import ServiceLifecycle

/// Feeds systemd's watchdog only while the stages move or have nothing to do. A stuck stage is not fed over.
struct Watchdog: Service {
    let notification: ServiceNotification
    let gauge: RingGauge
    let commit: CommitControl
    let logger: Logger

    func run() async throws {
        guard let interval = notification.watchdogInterval else {
            try? await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            var decoded = -1
            var beats = -1
            while !Task.isCancelled {
                let decodes = gauge.decoded != decoded || gauge.decoded == gauge.received
                // The commit thread beats at least once a second, also while it waits for the database.
                let commits = commit.beatCount != beats
                decoded = gauge.decoded
                beats = commit.beatCount
                if decodes && commits {
                    notification.alive()
                } else {
                    logger.critical(
                        "a stage is stuck, the watchdog is not fed",
                        metadata: ["decode": "\(decodes)", "commit": "\(commits)"])
                }
                do { try await Task.sleep(for: max(interval / 3, .milliseconds(1100))) } catch { return }
            }
        }
    }
}
