public import Clinical
public import Foundation

/// How fast reports come.
public enum SimulationPace: Sendable, Hashable {
    /// Everything that there is, as fast as receipts let it; then the end.
    case onePass
    /// As far apart as they were, divided by this; 1 is real time. Above 0.
    case speed(Double)
    /// So many reports a second, all readers together, taken at the moment of sending. Above 0.
    case rate(Double)
}

/// An invented ward to simulate.
public struct WardOptions: Sendable, Hashable {
    public var patients: Int
    public var scenario: Scenario
    public var seed: UInt64
    /// How many days up to now the readers have to tell of; courses begin well on the first.
    public var days: Int
    public var timeZone: TimeZone

    public init(
        patients: Int, scenario: Scenario = .mixed, seed: UInt64 = 1, days: Int = 7, timeZone: TimeZone = .gmt
    ) {
        self.patients = patients
        self.scenario = scenario
        self.seed = seed
        self.days = days
        self.timeZone = timeZone
    }

    /// What `enrol` has to know of the ward: `--write-registry`.
    public func registryYAML(site: String, webhook: String? = nil) -> String {
        SimulatedWard(
            patients: patients, scenario: scenario, seed: seed, start: Instant(microseconds: 0), site: site
        ).registryYAML(
            site: site, timeZone: timeZone.identifier == "GMT" ? "UTC" : timeZone.identifier, webhook: webhook)
    }
}

/// What to publish, how fast, and when to stop.
public struct SimulationOptions: Sendable {
    public enum Source: Sendable {
        case ward(WardOptions)
        case recording(Recording)
    }

    public var source: Source
    /// The code of the readers' site.
    public var site: String
    public var pace: SimulationPace
    /// Reports to send at most.
    public var count: Int?
    /// How long to send new reports at most.
    public var duration: Interval?
    /// Connections to the broker; readers are divided among them. A connection has one last will, that of its first
    /// reader, so with as many connections as readers each has its own. Nil is one for each reader, up to 8.
    public var connections: Int?
    /// Prefix of the report ids, 1 to 40 of `[A-Za-z0-9._:-]`. Nil makes one of the time, so that a second run is not
    /// taken for conflicting repeats of the first.
    public var run: String?
    public var resend = ResendPolicy()
    /// Reports without a receipt, per connection, at which the readers stop taking new ones.
    public var window = 1000
    /// How long to wait, after the last report or receipt, for receipts that are still missing.
    public var receiptWait = Interval.seconds(60)
    /// How long the broker may be out of reach before the run ends with status 69.
    public var giveUpAfter = Interval.seconds(30)
    /// A line on standard error while it runs; only where that is a terminal.
    public var showsProgress = true

    public init(source: Source, site: String, pace: SimulationPace = .onePass) {
        self.source = source
        self.site = site
        self.pace = pace
    }
}
