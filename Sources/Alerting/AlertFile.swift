public import Clinical

/// An alert with everything that is known of it.
public struct AlertFile: Sendable {
    public var episode: Episode
    public var acknowledgedBy: String?
    public var resolvedAt: Instant?
    public var resolvedBy: String?
    /// Oldest first: the newest that are more than another reading, the first, and the last of each that matters.
    public var events: [EpisodeEvent]
    /// There are others.
    public var hasOlderEvents: Bool
    /// How many readings joined it without a word to anybody; of very many, so many at least.
    public var joined: Int
    /// Who was told: recipient, channel, state, in words.
    public var told: [String]
    /// Why somebody was not told, or not alone; the newest first.
    public var ledger: [LedgerRow]

    public init(
        episode: Episode, acknowledgedBy: String?, resolvedAt: Instant?, resolvedBy: String?, events: [EpisodeEvent],
        hasOlderEvents: Bool = false, joined: Int = 0, told: [String], ledger: [LedgerRow] = []
    ) {
        self.episode = episode
        self.acknowledgedBy = acknowledgedBy
        self.resolvedAt = resolvedAt
        self.resolvedBy = resolvedBy
        self.events = events
        self.hasOlderEvents = hasOlderEvents
        self.joined = joined
        self.told = told
        self.ledger = ledger
    }
}

/// Part of an alert's history.
public struct AlertHistory: Sendable {
    /// The most events of a part.
    public static let size = 200

    public var viewer: Viewer
    public var episode: Episode
    /// Newest first.
    public var events: [EpisodeEvent]
    public var hasOlder: Bool

    public init(viewer: Viewer, episode: Episode, events: [EpisodeEvent], hasOlder: Bool) {
        self.viewer = viewer
        self.episode = episode
        self.events = events
        self.hasOlder = hasOlder
    }
}
