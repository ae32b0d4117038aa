import Alerting
import CLinux
import Instruments
import ServiceLifecycle
import Synchronization

/// This instance's figures for the service page, with the rate of the last minute. Any thread may ask.
final class ServiceBoard: Service {
    private let instruments: PipelineInstruments
    let readiness: @Sendable () -> (isBrokerConnected: Bool, isDatabaseConnected: Bool, problems: [String])
    /// Received so far, by the monotonic clock in nanoseconds; oldest first.
    private let samples = Mutex<[(at: Int64, received: Int)]>([])

    private static let interval = Duration.seconds(10)
    private static let kept = 7

    init(
        instruments: PipelineInstruments,
        readiness:
            @escaping @Sendable () -> (
                isBrokerConnected: Bool, isDatabaseConnected: Bool, problems: [String]
            )
    ) {
        self.instruments = instruments
        self.readiness = readiness
    }

    /// Looks every ten seconds, until shutdown.
    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let sample = (linux_monotonic_nanoseconds(), self.instruments.reportsReceived.value)
                self.samples.withLock { samples in
                    samples.append(sample)
                    if samples.count > Self.kept { samples.removeFirst() }
                }
                do { try await Task.sleep(for: Self.interval) } catch { return }
            }
        }
    }

    var figures: ServiceFigures {
        let counts = instruments.reportCounts
        let state = readiness()
        var figures = ServiceFigures()
        figures.received = counts.received
        figures.stored = counts.stored
        figures.duplicate = counts.duplicate
        figures.quarantined = counts.quarantined.reduce(0, +)
        figures.inFlight = counts.inFlight
        figures.receivedPerMinute = samples.withLock { samples in
            guard let first = samples.first, samples.count > 1 else { return nil }
            let seconds = Double(linux_monotonic_nanoseconds() - first.at) / 1e9
            return seconds > 0 ? Double(counts.received - first.received) * 60 / seconds : nil
        }
        figures.commit = Self.times(instruments.commitSeconds)
        figures.reportToAlert = Self.times(instruments.reportToAlertSeconds)
        figures.oldestUnacknowledged = instruments.stages.oldestUnacknowledgedSeconds.value
        figures.ring = instruments.ringOccupancy.value
        figures.spoolBytes = instruments.spoolBytes.value
        figures.spoolQuota = instruments.stages.spoolQuotaBytes.value
        figures.spoolLeft = instruments.stages.spoolSecondsLeft.value
        figures.isBrokerConnected = state.isBrokerConnected
        figures.isDatabaseConnected = state.isDatabaseConnected
        figures.problems = state.problems
        return figures
    }

    /// By the upper bounds of the buckets; infinite beyond the last. Nil while nothing was observed.
    static func times(_ histogram: Histogram) -> ServiceFigures.Times? {
        let seen = histogram.snapshot
        guard seen.count > 0 else { return nil }
        func bound(_ share: Double) -> Double {
            let wanted = Double(seen.count) * share
            let bucket = seen.cumulative.firstIndex { Double($0) >= wanted }
            return bucket.map { histogram.bounds[$0] } ?? .infinity
        }
        return ServiceFigures.Times(median: bound(0.5), most: bound(0.99))
    }
}
