import Clinical
import Formats

/// Tells a device that floods from one that has a lot to say: a token bucket for each, of the devices that reported
/// last. A flood is judged and made durable like everything else, but it waits behind the others.
struct FloodGuard {
    /// Reports a second that a device may send for ever. A reader sends a few a day.
    let rate: Double
    /// What it may send at once: a month of buffered reports, and room.
    let burst: Double
    /// Devices remembered. One that is forgotten has a full bucket again: to be forgotten it must have been silent for
    /// longer than so many others, so that a flood can't be.
    static let capacity = 20_000
    /// Over its bucket it is held back only where it takes this share of what waits: alone, it keeps nobody waiting.
    static let share = 4

    private struct Bucket {
        var tokens: Double
        var filledAt: Int64
    }

    private var buckets: [Identifier: Bucket] = [:]
    var count: Int { buckets.count }

    init(rate: Double = 50, burst: Double = 2000) {
        self.rate = rate
        self.burst = burst
    }

    /// Whether the device is within its rate. `now`: monotonic nanoseconds.
    mutating func takes(_ device: Identifier, now: Int64) -> Bool {
        if buckets.count >= Self.capacity, buckets[device] == nil { forgetOldest() }
        var bucket = buckets[device] ?? Bucket(tokens: burst, filledAt: now)
        let seconds = Double(max(0, now - bucket.filledAt)) / 1e9
        bucket.tokens = min(burst, bucket.tokens + seconds * rate)
        bucket.filledAt = now
        let isWithin = bucket.tokens >= 1
        if isWithin { bucket.tokens -= 1 }
        buckets[device] = bucket
        return isWithin
    }

    /// The devices of the batch that flood: their reports go to the spool's overflow.
    mutating func floods(in batch: [Candidate], now: Int64) -> Set<Identifier> {
        var counts: [Identifier: Int] = [:]
        var over: Set<Identifier> = []
        for candidate in batch {
            guard let device = candidate.decoded.topic?.device else { continue }
            counts[device, default: 0] += 1
            if !takes(device, now: now) { over.insert(device) }
        }
        return over.filter { device in
            let count = counts[device] ?? 0
            // Alone in the batch there is nobody to make room for.
            return count * Self.share > batch.count && count < batch.count
        }
    }

    /// Half of them at once, so that it costs nothing per device.
    private mutating func forgetOldest() {
        let ages = buckets.values.map(\.filledAt).sorted()
        let middle = ages[ages.count / 2]
        buckets = buckets.filter { $0.value.filledAt > middle }
    }
}
