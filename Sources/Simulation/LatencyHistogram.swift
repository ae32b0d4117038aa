import Clinical
import Foundation

/// Times from the first sending to the receipt, counted in steps of 2 %: quantiles are within 1 % and the memory
/// stays the same for any number of reports.
struct LatencyHistogram: Sendable {
    private var counts = [Int](repeating: 0, count: 1300)
    private var total = 0
    private static let step = log(1.02)

    mutating func record(_ latency: Interval) {
        let microseconds = Double(max(1, latency.microseconds))
        let index = Int(exactly: (log(microseconds) / Self.step).rounded(.down)) ?? 0
        counts[min(index, counts.count - 1)] += 1
        total += 1
    }

    mutating func merge(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        total += other.total
    }

    /// In milliseconds; nil when nothing was recorded.
    func milliseconds(quantile: Double) -> Double? {
        guard total > 0 else { return nil }
        var left = (quantile * Double(total)).rounded(.up)
        for (index, count) in counts.enumerated() {
            left -= Double(count)
            if left <= 0 { return exp((Double(index) + 0.5) * Self.step) / 1000 }
        }
        return nil
    }
}
