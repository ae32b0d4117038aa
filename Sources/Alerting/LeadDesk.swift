public import Clinical

/// What those who lead a team, and whoever changes a plan, ask of the page beside `CareDesk`; the same promises hold.
/// What a viewer may not do is refused by the database under the page's role, as what they may not see is not there.
public protocol LeadDesk: PlanDesk, SharingDesk {
    // MARK: Service
    /// For who leads; of the viewer's site alone, but for the figures, which are the instance's.
    func service(
        _ search: QuarantineSearch, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ServiceFile>
    /// Recorded in the read audit.
    func quarantined(
        _ id: Int64, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<QuarantineFile>
    /// Asks for it; the daemon's commit takes it in within seconds, once. Nil: it was asked for.
    func release(
        _ id: Int64, note: String, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<ReleaseRefusal?>
    /// Makes the reader of a report that is held because it was nobody's a patient's; then a release takes it. Once, however
    /// often the form is sent.
    func pair(
        _ request: PairingRequest, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> DeskAnswer<PatientActionOutcome>
}

// MARK: Service

/// How this instance does, since it started unless it says otherwise.
public struct ServiceFigures: Hashable, Sendable {
    /// Half are no longer than `median`, 99 of 100 no longer than `most`; seconds, upper bounds of buckets.
    public struct Times: Hashable, Sendable {
        public var median: Double
        public var most: Double

        public init(median: Double, most: Double) {
            self.median = median
            self.most = most
        }
    }

    public var received = 0
    public var stored = 0
    public var duplicate = 0
    public var quarantined = 0
    public var inFlight = 0
    /// Over the last minute; nil in the first seconds.
    public var receivedPerMinute: Double?
    /// Nil while there was none.
    public var commit: Times?
    public var reportToAlert: Times?
    public var oldestUnacknowledged = 0.0
    /// 0 to 1.
    public var ring = 0.0
    public var spoolBytes = 0.0
    public var spoolQuota = 0.0
    /// Seconds; infinite while nothing comes.
    public var spoolLeft = Double.infinity
    public var isBrokerConnected = false
    public var isDatabaseConnected = false
    /// What `/readyz` would name.
    public var problems: [String] = []

    public init() {}
}

/// Which of the quarantine's rows.
public struct QuarantineSearch: Hashable, Sendable {
    public var reason: RefusalReason?
    /// Older than that one: the next page.
    public var before: Int64?

    public init(reason: RefusalReason? = nil, before: Int64? = nil) {
        self.reason = reason
        self.before = before
    }
}

/// A row of the quarantine: a whole report, or one reading of a stored one.
public struct QuarantineRow: Hashable, Sendable {
    public var id: Int64
    public var reason: RefusalReason
    /// As the topic names them; nil where it could not be read.
    public var site: String?
    public var device: String?
    public var report: String?
    /// Which reading; nil for the whole report.
    public var reading: Int?
    public var receivedAt: Instant
    public var lastReceivedAt: Instant
    public var timesSeen: Int
    /// The newest request to release it.
    public var release: ReleaseState?

    public init(
        id: Int64, reason: RefusalReason, site: String?, device: String?, report: String?, reading: Int?,
        receivedAt: Instant, lastReceivedAt: Instant, timesSeen: Int, release: ReleaseState?
    ) {
        self.id = id
        self.reason = reason
        self.site = site
        self.device = device
        self.report = report
        self.reading = reading
        self.receivedAt = receivedAt
        self.lastReceivedAt = lastReceivedAt
        self.timesSeen = timesSeen
        self.release = release
    }
}

public struct ReleaseState: Hashable, Sendable {
    public var requestedBy: String
    public var requestedAt: Instant
    public var note: String
    /// `stored`, `duplicate` or `quarantined`; nil while it waits.
    public var outcome: String?
    /// Why it was refused again.
    public var reason: String?

    public init(requestedBy: String, requestedAt: Instant, note: String, outcome: String?, reason: String?) {
        self.requestedBy = requestedBy
        self.requestedAt = requestedAt
        self.note = note
        self.outcome = outcome
        self.reason = reason
    }

    /// It is stored, or about to be judged: nobody need ask again.
    public var isSettled: Bool { outcome == nil || outcome == "stored" || outcome == "duplicate" }
}

/// One row with its bytes.
public struct QuarantineFile: Sendable {
    public var viewer: Viewer
    public var at: Instant
    public var row: QuarantineRow
    public var detail: String
    public var topic: String
    public var payload: [UInt8]
    /// Of releases before the newest, newest first.
    public var earlier: [ReleaseState]
    /// Whose the device is and was, as the registry has it, newest first: patient, from, until.
    public var pairings: [PairingSpan]
    /// As the report says; nil where it can't be read.
    public var takenAt: Instant?

    public init(
        viewer: Viewer, at: Instant, row: QuarantineRow, detail: String, topic: String, payload: [UInt8],
        earlier: [ReleaseState], pairings: [PairingSpan], takenAt: Instant? = nil
    ) {
        self.takenAt = takenAt
        self.viewer = viewer
        self.at = at
        self.row = row
        self.detail = detail
        self.topic = topic
        self.payload = payload
        self.earlier = earlier
        self.pairings = pairings
    }

    /// What it is about, where that can be read, and when it came: the pairing must have begun by then.
    public var wanted: Instant { min(takenAt ?? row.receivedAt, row.receivedAt) }

    /// Whether a pairing is what it lacks.
    public var isPairable: Bool {
        isReleasable && row.device != nil && (row.reason == .unpaired || row.reason == .unknownDevice)
    }

    /// Whether a release can do anything about it.
    public var isReleasable: Bool {
        row.reading == nil && row.reason.release != .nothing && !payload.isEmpty && !topic.hasSuffix("/status")
            && !(row.release?.isSettled ?? false)
    }
}

/// Whose the reader of a quarantined report was.
public struct PairingRequest: Sendable {
    public var form: FormID
    /// The row of the quarantine, whose reader it is.
    public var quarantined: Int64
    public var patient: Identifier
    /// A wall clock's time at the site, `2026-11-24T09:00`.
    public var from: String
    public var reason: String

    public init(form: FormID, quarantined: Int64, patient: Identifier, from: String, reason: String) {
        self.form = form
        self.quarantined = quarantined
        self.patient = patient
        self.from = from
        self.reason = reason
    }
}

public struct PairingSpan: Hashable, Sendable {
    public var device: String
    public var patient: String
    public var from: Instant
    public var until: Instant?
    /// The patient has a reader beyond that end.
    public var goesOn: Bool

    public init(device: String, patient: String, from: Instant, until: Instant?, goesOn: Bool = false) {
        self.device = device
        self.patient = patient
        self.from = from
        self.until = until
        self.goesOn = goesOn
    }
}

public enum ReleaseRefusal: String, Hashable, Sendable {
    case requestedAlready = "it was released already"
    case notReleasable = "there is nothing to release in it"
}

/// Messages of one channel in one state.
public struct DeliveryCount: Hashable, Sendable {
    public var channel: String
    public var state: String
    public var count: Int
    public var oldest: Instant

    public init(channel: String, state: String, count: Int, oldest: Instant) {
        self.channel = channel
        self.state = state
        self.count = count
        self.oldest = oldest
    }
}

/// A message that nobody got, or not yet at the first attempt.
public struct DeliveryTrouble: Hashable, Sendable {
    public var alert: AlertID
    public var channel: String
    public var recipient: String
    public var state: String
    /// The channel was dead: whoever it was meant for counts as not told.
    public var isDead: Bool
    public var attempts: Int
    public var lastError: String?
    public var createdAt: Instant

    public init(
        alert: AlertID, channel: String, recipient: String, state: String, isDead: Bool, attempts: Int,
        lastError: String?, createdAt: Instant
    ) {
        self.alert = alert
        self.channel = channel
        self.recipient = recipient
        self.state = state
        self.isDead = isDead
        self.attempts = attempts
        self.lastError = lastError
        self.createdAt = createdAt
    }
}

public struct ReasonCount: Hashable, Sendable {
    public var reason: RefusalReason
    /// Rows, and how often in all.
    public var rows: Int
    public var times: Int

    public init(reason: RefusalReason, rows: Int, times: Int) {
        self.reason = reason
        self.rows = rows
        self.times = times
    }
}

/// What the service page shows.
public struct ServiceFile: Sendable {
    public var viewer: Viewer
    public var at: Instant
    public var figures: ServiceFigures
    /// Of the last 7 days, and what is pending however old.
    public var deliveries: [DeliveryCount]
    public var troubles: [DeliveryTrouble]
    /// Of the last 30 days.
    public var reasons: [ReasonCount]
    public var search: QuarantineSearch
    /// A page of them, newest first.
    public var rows: [QuarantineRow]
    /// There are older ones.
    public var hasMore: Bool
    /// Pairings that end within 7 days.
    public var endings: [PairingSpan]

    public init(
        viewer: Viewer, at: Instant, figures: ServiceFigures = ServiceFigures(), deliveries: [DeliveryCount],
        troubles: [DeliveryTrouble], reasons: [ReasonCount], search: QuarantineSearch, rows: [QuarantineRow],
        hasMore: Bool, endings: [PairingSpan]
    ) {
        self.viewer = viewer
        self.at = at
        self.figures = figures
        self.deliveries = deliveries
        self.troubles = troubles
        self.reasons = reasons
        self.search = search
        self.rows = rows
        self.hasMore = hasMore
        self.endings = endings
    }
}
