import Alerting
public import Clinical
import Registry

/// What the instance knows, beside the broker's connection, of whom it can't see or could not: where missed readings are
/// an outage's, not the patients'.
public struct Sight: Sendable, Equatable {
    /// From the end of an earlier life of this instance to the start of this one, where that is long enough to tell of.
    public var absence: ClosedRange<Instant>?
    /// Sites most of whose readers are offline.
    public var crowds: [Identifier: SilentReaders.Crowd]
    /// As an earlier life left it: missed readings wait for it, but nobody is told.
    public var mayBePast: Bool

    public init(
        absence: ClosedRange<Instant>? = nil, crowds: [Identifier: SilentReaders.Crowd] = [:], mayBePast: Bool = false
    ) {
        self.absence = absence
        self.crowds = crowds
        self.mayBePast = mayBePast
    }

    /// From so long on an absence of Homeward itself is told of: as with the broker's.
    public static let patience = Interval.minutes(5)

    /// Nil where it was short; a mark that is not past proves nothing.
    public static func absence(lastAlive: Instant?, started: Instant) -> ClosedRange<Instant>? {
        lastAlive.flatMap { started - $0 >= patience ? $0...started : nil }
    }
}

/// Who is cut off by an outage of the way between them and us; the commit thread's.
struct CutOff: Sendable {
    /// How often it is looked again whether a deferred reading has come: for so long, too, readers may take to send what
    /// they kept.
    static let pause = Interval.minutes(30)

    /// By device: its site's outage goes on, or ended so short a time ago that its readers are still coming back. The time
    /// is monotonic, in nanoseconds.
    private var until: [Identifier: Int64] = [:]
    /// What the care teams were told last; nil: not known what an earlier life told.
    private(set) var told: [Identifier: SilentReaders.Crowd]?

    /// Missed readings of whom it hides wait.
    mutating func note(_ crowds: [Identifier: SilentReaders.Crowd], now: Int64) {
        until = until.filter { $0.value > now }
        for crowd in crowds.values {
            for device in crowd.devices { until[device] = now + Self.pause.microseconds * 1000 }
        }
    }

    /// The same, and what is to be told: sites that are newly hidden, and those that no longer are. `isFirst`: what an
    /// earlier life told of any other site is over.
    mutating func take(
        _ crowds: [Identifier: SilentReaders.Crowd], now: Int64
    ) -> (hidden: [Identifier: SilentReaders.Crowd], isFirst: Bool, back: Set<Identifier>) {
        note(crowds, now: now)
        let before = told
        told = crowds
        let hidden = crowds.filter { before?[$0.key] == nil }
        return (hidden, before == nil, Set(before?.keys.filter { crowds[$0] == nil } ?? []))
    }

    /// The devices that are hidden now.
    func devices(now: Int64) -> Set<Identifier> { Set(until.filter { $0.value > now }.keys) }
}

extension Registry {
    /// The patients all of whose readers are among these; who has none can't be hidden with them.
    func patients(cutOffBy devices: Set<Identifier>, at instant: Instant) -> Set<Identifier> {
        guard !devices.isEmpty else { return [] }
        var hidden: Set<Identifier> = []
        var seen: Set<Identifier> = []
        for device in self.devices.values {
            guard let patient = device.patient(at: instant) else { continue }
            if devices.contains(device.code) { hidden.insert(patient) } else { seen.insert(patient) }
        }
        return hidden.subtracting(seen)
    }
}
