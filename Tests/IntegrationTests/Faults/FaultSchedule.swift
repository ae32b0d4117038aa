/// What goes wrong and when, from a seed alone: the same seed and length give the same schedule.
struct FaultSchedule: CustomStringConvertible {
    struct Entry: Hashable {
        /// Milliseconds from the start of publishing.
        var at: Int
        var duration: Int
        var fault: Fault

        var end: Int { at + duration }
    }

    let seed: UInt64
    let seconds: Int
    /// By time.
    private(set) var entries: [Entry] = []

    /// - Parameter seconds: for how long reports are published; every fault ends within it.
    init(seed: UInt64, seconds: Int) {
        self.seed = seed
        self.seconds = seconds
        var generator = SeededGenerator(seed: seed)
        let length = seconds * 1000
        // In every schedule: the database is away for longer than the two seconds that a report may wait, and the
        // daemon dies in the meantime.
        let outage = [Fault.databaseKilled, .databaseFrozen, .linkStalled(.database), .databaseReadOnly][
            Int.random(in: 0..<4, using: &generator)]
        let began = Int.random(in: 1000...max(1000, length - 7000), using: &generator)
        add(Entry(at: began, duration: Int.random(in: 4000...5500, using: &generator), fault: outage), before: length)
        add(
            Entry(
                at: began + Int.random(in: 500...3500, using: &generator),
                duration: Int.random(in: 50...1000, using: &generator), fault: .daemonKilled), before: length)
        var at = 700
        while at < length - 1000 {
            let fault = Self.fault(using: &generator)
            let longest = fault == .daemonFrozen || fault.lane == .daemon ? 2000 : 3500
            let duration = Int.random(in: 100...longest, using: &generator)
            add(Entry(at: at, duration: duration, fault: fault), before: length)
            at += Int.random(in: 200...1800, using: &generator)
        }
        entries.sort { ($0.at, $0.end) < ($1.at, $1.end) }
    }

    /// An entry that would overlap another of its lane, or end too late, is left out.
    private mutating func add(_ entry: Entry, before length: Int) {
        guard entry.end <= length else { return }
        let isFree = entries.allSatisfy {
            $0.fault.lane != entry.fault.lane || $0.end + 300 < entry.at || entry.end + 300 < $0.at
        }
        if isFree { entries.append(entry) }
    }

    private static func fault(using generator: inout SeededGenerator) -> Fault {
        let link = Fault.Link.allCases[Int.random(in: 0..<2, using: &generator)]
        let milliseconds = Int.random(in: 5...150, using: &generator)
        // Small enough that no report becomes too old, and none is in the future by the five minutes of grace.
        let step = [100, -100, 2400][Int.random(in: 0..<3, using: &generator)]
        let faults: [Fault] = [
            .daemonKilled, .daemonKilled, .daemonFrozen, .brokerKilled, .brokerFrozen, .brokerRestarted,
            .databaseKilled, .databaseFrozen, .backendKilled, .backendsFrozen, .databaseReadOnly, .databaseDiskFull,
            .linkReset(link), .linkReset(link), .linkStalled(link), .linkHalfOpen(link),
            .linkSlow(link, milliseconds: milliseconds), .spoolDiskFull, .clockStepped(seconds: step),
            .webhookRefuses, .webhookAnswersLost,
        ]
        return faults[Int.random(in: 0..<faults.count, using: &generator)]
    }

    func contains(_ isWanted: (Fault) -> Bool) -> Bool { entries.contains { isWanted($0.fault) } }

    /// A broker killed with -9 may lose what it acknowledged; then, and only then, devices have to send again.
    var mayLoseAcknowledged: Bool { contains { $0 == .brokerKilled } }

    var description: String {
        let lines = entries.map { entry in
            let from = Self.padded(entry.at), duration = Self.padded(entry.duration)
            return "  at \(from) ms for \(duration) ms  \(entry.fault)"
        }
        return (["seed \(seed), \(seconds) s (HOMEWARD_FAULT_SEED=\(seed) HOMEWARD_FAULT_SECONDS=\(seconds))"] + lines)
            .joined(separator: "\n")
    }

    private static func padded(_ number: Int) -> String {
        let text = String(number)
        return String(repeating: " ", count: max(0, 6 - text.count)) + text
    }
}
