public import Alerting
public import Clinical

/// What a committed batch changed of that which judging looks at, for whoever judges on when the store goes away.
public struct JudgingMemory: Sendable {
    public var episodes: [EpisodeChange]
    /// What rules looked back at, with this batch's own readings: by patient, only where some rule needed it.
    public var histories: [Identifier: PatientHistory]
    public var reports: [StoredReport]

    public init(
        episodes: [EpisodeChange] = [], histories: [Identifier: PatientHistory] = [:], reports: [StoredReport] = []
    ) {
        self.episodes = episodes
        self.histories = histories
        self.reports = reports
    }
}
