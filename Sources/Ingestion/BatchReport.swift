public import Alerting
public import Clinical

extension BatchProcessor {
    /// What the daemon and `replay` do differently.
    public struct Options: Sendable {
        /// In a replay nobody acknowledges, so there a red too ends by its clear rule.
        public var redsEndInRange = false
        /// But not the reds of these rules: somebody has them in hand.
        public var standingRules: Set<String> = []
        /// Scores NEWS2 for every report with a parameter of it, alert or none, as `replay` prints it.
        public var keepsScores = false
        /// While PostgreSQL is away the registry may be an old one: a reader that it does not know is then judged by
        /// the default adult pack, and an immediate red raises `unverified-red` about the reader.
        public var judgesUnknownReaders = false
        /// Raises technical alerts about readers and our own clock. A replay has neither.
        public var watchesReaders = true
        /// A red whose limit asks for a repeat waits for it as amber, where the store keeps timers.
        public var holdsReds = true
        /// Open alerts have timers that tell the next of their chain. Not in a replay, nor where nothing keeps timers.
        public var escalates = true
        /// The sites that this instance serves; nil: all.
        public var sites: Set<Identifier>?
        public init() {}
    }

    /// What a committed batch did, for counters, logs and `replay`.
    public struct Report: Sendable {
        public var stored = 0
        public var readingsStored = 0
        public var duplicate = 0
        public var quarantined: [RefusalReason: Int] = [:]
        /// Of all these, reports that a person released from quarantine.
        public var released = 0
        public var readingsRefused: [RefusalReason: Int] = [:]
        public var statusesRefused: [RefusalReason: Int] = [:]
        /// Opened, worsened or reopened.
        public var notifying: [EpisodeChange] = []
        /// Told to the next of their chain.
        public var escalated: [EpisodeChange] = []
        public var wroteOutbox = false
        /// Empty unless `keepsScores`.
        public var scores: [ReportKey: NEWS2Score] = [:]
        /// Messages of reds that are rows of the outbox now, and have yet to be sent.
        public var redNotices: [OutageNotice] = []
        /// Alerts of an outage that this batch recorded and handed over, each with the alert that it is part of, which is
        /// nearly always itself.
        public var recordedAlerts: [AlertAlias] = []
        public var memory = JudgingMemory()
        public init() {}
    }
}
