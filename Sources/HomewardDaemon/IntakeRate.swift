import CLinux
import Instruments
import ServiceLifecycle

/// How many bytes came in the last 24 hours, looked at every ten minutes, and how long the spool lasts at that rate.
struct IntakeRate: Service {
    let instruments: PipelineInstruments
    /// Bytes of the spool that are free.
    let room: @Sendable () -> Int

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var window = IntakeWindow()
            while !Task.isCancelled {
                let seconds = window.secondsLeft(
                    room: room(), received: instruments.stages.receivedBytes.value,
                    reports: instruments.reportsReceived.value, at: linux_monotonic_nanoseconds() / 1_000_000_000)
                instruments.stages.spoolSecondsLeft.set(seconds)
                do { try await Task.sleep(for: .seconds(IntakeWindow.interval)) } catch { return }
            }
        }
    }
}

/// The counters of the last 24 hours. Pure.
struct IntakeWindow {
    /// Between two looks; seconds.
    static let interval: Int64 = 600
    private static let looks = 144
    /// What the spool writes beside topic and payload: about so many bytes a report.
    static let overhead = 64

    private var seen: [(at: Int64, bytes: Double)] = []

    /// Infinite while nothing came. `at`: seconds of a clock that never goes back.
    mutating func secondsLeft(room: Int, received: Int, reports: Int, at now: Int64) -> Double {
        let bytes = Double(received) + Double(reports) * Double(Self.overhead)
        if seen.count > Self.looks { seen.removeFirst() }
        seen.append((now, bytes))
        guard let first = seen.first, now > first.at, bytes > first.bytes else { return .infinity }
        return Double(max(0, room)) / (bytes - first.bytes) * Double(now - first.at)
    }
}
