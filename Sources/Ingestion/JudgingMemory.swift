public import Alerting
public import Clinical

/// What a committed batch changed of that which judging looks at, for whoever judges on when the store goes away.
public struct JudgingMemory: Sendable {
    public var episodes: [EpisodeChange]
    /// What rules looked back at: by patient, only where some rule did.
    public var lookedBack: [Identifier: HistoryNeed]
    /// What was found there, with this batch's own readings and answers.
    public var histories: [Identifier: PatientHistory]
    public var reports: [StoredReport]
    public var timers: [Timer]
    public var endedTimers: [TimerName]

    public init(
        episodes: [EpisodeChange] = [], lookedBack: [Identifier: HistoryNeed] = [:],
        histories: [Identifier: PatientHistory] = [:], reports: [StoredReport] = [], timers: [Timer] = [],
        endedTimers: [TimerName] = []
    ) {
        self.timers = timers
        self.endedTimers = endedTimers
        self.episodes = episodes
        self.lookedBack = lookedBack
        self.histories = histories
        self.reports = reports
    }
}
