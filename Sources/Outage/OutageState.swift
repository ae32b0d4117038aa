public import Alerting
public import Clinical

/// What judging goes on from, beside the registry and the packs.
public struct OutageState: Hashable, Sendable {
    /// A patient's readings and answers that some rule looks back at.
    public struct Window: Hashable, Sendable {
        /// Of which kinds every reading is kept, in range or not: one in range breaks a row.
        public var kinds: [Kind: Look]
        /// To which questions every answer is kept.
        public var questions: [Question: Look]
        public var past: PatientHistory

        public init(
            kinds: [Kind: Look] = [:], questions: [Question: Look] = [:], past: PatientHistory = PatientHistory()
        ) {
            self.kinds = kinds
            self.questions = questions
            self.past = past
        }
    }

    /// How rules look back at something.
    public struct Look: Hashable, Sendable {
        /// As far as any of them did.
        public var span: Interval
        /// From the newest report for which one did.
        public var newest: Instant
        /// PostgreSQL was asked for all of that since this process began, and every report since then was noted.
        public var isWhole: Bool

        public init(span: Interval, newest: Instant, isWhole: Bool = false) {
            self.span = span
            self.newest = newest
            self.isWhole = isWhole
        }
    }

    public var episodes: [Episode]
    public var windows: [Identifier: Window]
    /// Reds that wait for their repeat.
    public var timers: [Timer]

    public init(episodes: [Episode] = [], windows: [Identifier: Window] = [:], timers: [Timer] = []) {
        self.timers = timers
        self.episodes = episodes
        self.windows = windows
    }
}
