public import Alerting
public import Clinical

/// What judging goes on from, beside the registry and the packs.
public struct OutageState: Hashable, Sendable {
    /// A patient's readings that some rule looks back at.
    public struct Window: Hashable, Sendable {
        /// Of which kinds every reading is kept: one in range breaks a row.
        public var kinds: Set<Kind>
        /// When a rule last looked back.
        public var needed: Instant
        /// By `takenAt`, oldest first.
        public var readings: [PastReading]

        public init(kinds: Set<Kind>, needed: Instant, readings: [PastReading]) {
            self.kinds = kinds
            self.needed = needed
            self.readings = readings
        }
    }

    public var episodes: [Episode]
    public var windows: [Identifier: Window]

    public init(episodes: [Episode] = [], windows: [Identifier: Window] = [:]) {
        self.episodes = episodes
        self.windows = windows
    }
}
