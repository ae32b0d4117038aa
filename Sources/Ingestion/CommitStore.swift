public import Alerting
public import Clinical
public import Registry

/// Why a call to the store failed, by what to do about it.
public struct StoreFailure: Error, Sendable, CustomStringConvertible {
    public enum Class: String, Sendable {
        /// Connection lost or refused, deadline passed, SQLSTATE 08, 40001, 40P01, 55P03, 57, 53, 25006: the same batch again.
        case transient
        /// SQLSTATE 22, 23, 54001: some row of the batch can't be stored. Bisect.
        case poison
        /// SQLSTATE 42, 28, 3D, 0A, a schema too old or too new, unsafe server settings: nothing will work until
        /// somebody mends it. Quarantine nothing.
        case misconfigured
        /// HW001: another instance holds the lease by now, and what was read and judged is its to judge.
        case fenced
    }

    public var kind: Class
    /// Five characters; nil where the server said nothing.
    public var sqlState: String?
    /// What was being done, and the server's primary message; no row's content.
    public var message: String

    public init(kind: Class, sqlState: String? = nil, message: String) {
        self.kind = kind
        self.sqlState = sqlState
        self.message = message
    }

    public var description: String { "\(kind.rawValue) \(sqlState ?? "-"): \(message)" }
}

/// A key to look up, and to insert unless the report is to be quarantined for another reason.
public struct KeyClaim: Sendable {
    public var key: ReportKey
    /// 128 bits of the report's content.
    public var digestHigh: UInt64
    public var digestLow: UInt64
    public var insert: Bool

    public init(key: ReportKey, digestHigh: UInt64, digestLow: UInt64, insert: Bool) {
        self.key = key
        self.digestHigh = digestHigh
        self.digestLow = digestLow
        self.insert = insert
    }
}

public enum KeyVerdict: Sendable, Hashable {
    /// Not stored before; inserted now if the claim said so.
    case new
    /// Stored before with the same digest.
    case duplicate
    /// Stored before with another digest.
    case conflict
}

/// A report to be stored.
public struct StoredReport: Sendable {
    public var key: ReportKey
    public var site: Identifier
    public var patient: Identifier
    /// Corrected.
    public var takenAt: Instant
    public var receivedAt: Instant
    public var sequence: Int64?
    public var battery: Double?
    /// The payload as it came.
    public var raw: [UInt8]
    public var readings: [Reading]
    public var answers: [SentAnswer]
    public var clockCorrected: Bool

    public init(
        key: ReportKey, site: Identifier, patient: Identifier, takenAt: Instant, receivedAt: Instant,
        sequence: Int64?, battery: Double?, raw: [UInt8], readings: [Reading], answers: [SentAnswer],
        clockCorrected: Bool
    ) {
        self.key = key
        self.site = site
        self.patient = patient
        self.takenAt = takenAt
        self.receivedAt = receivedAt
        self.sequence = sequence
        self.battery = battery
        self.raw = raw
        self.readings = readings
        self.answers = answers
        self.clockCorrected = clockCorrected
    }
}

/// A row of quarantine: a whole report, or one reading of a stored report. The same bytes refused again for the same
/// reason count up `times_seen` instead of adding a row.
public struct QuarantinedReport: Sendable {
    public var reason: RefusalReason
    /// Plain words or JSON; for a reading its index and kind.
    public var detail: String
    /// Nil where the topic could not be read.
    public var site: Identifier?
    public var device: Identifier?
    public var reportID: Identifier?
    /// The topic as it came, up to its first 1024 bytes; may be any bytes.
    public var topic: [UInt8]
    public var payload: [UInt8]
    public var receivedAt: Instant
    /// Which reading; nil for the whole report.
    public var reading: Int?
    /// The hour (RFC 3339) in which its bytes were not kept: all of that hour, topic and reason are one row. Nil for a
    /// row with its bytes.
    public var countedIn: String?

    public init(
        reason: RefusalReason, detail: String, site: Identifier?, device: Identifier?, reportID: Identifier?,
        topic: [UInt8], payload: [UInt8], receivedAt: Instant, reading: Int?
    ) {
        self.reason = reason
        self.detail = detail
        self.site = site
        self.device = device
        self.reportID = reportID
        self.topic = topic
        self.payload = payload
        self.receivedAt = receivedAt
        self.reading = reading
    }
}

/// The newest status of a device, from its status topic.
public struct DeviceStatusRow: Sendable {
    public var device: Identifier
    public var online: Bool
    public var battery: Double?
    public var firmware: String?
    public var receivedAt: Instant

    public init(device: Identifier, online: Bool, battery: Double?, firmware: String?, receivedAt: Instant) {
        self.device = device
        self.online = online
        self.battery = battery
        self.firmware = firmware
        self.receivedAt = receivedAt
    }
}

/// The newest `seq` seen of a device and the ones still missing below it (at most 1,000 kept).
public struct DeviceSequence: Sendable, Hashable {
    public var device: Identifier
    public var highest: Int64
    /// Closed ranges that were skipped and have not come yet, ascending.
    public var missing: [ClosedRange<Int64>]

    public init(device: Identifier, highest: Int64, missing: [ClosedRange<Int64>] = []) {
        self.device = device
        self.highest = highest
        self.missing = missing
    }
}

/// Everything that one transaction writes after its keys.
public struct CommitBatch: Sendable {
    public var reports: [StoredReport] = []
    public var quarantined: [QuarantinedReport] = []
    public var statuses: [DeviceStatusRow] = []
    public var sequences: [DeviceSequence] = []
    public var episodes: [EpisodeChange] = []
    public var outbox: [OutboxEntry] = []
    /// Why somebody is not told of these alerts, or not alone.
    public var suppressions: [Suppression] = []
    /// Alerts that were told of during an outage and are part of an older one.
    public var aliases: [AlertAlias] = []
    /// Messages of an outage: rows of the outbox as far as they have come. A row that is there and pending takes over
    /// a settled state; a settled one stays.
    public var madeDeliveries: [MadeDelivery] = []
    /// What came of attempts whose rows were written while they were under way.
    public var lateOutcomes: [LateOutcome] = []
    /// Set, or moved where there is one of that kind and subject.
    public var timers: [Timer] = []
    /// Taken away, before `timers` are set.
    public var endedTimers: [TimerName] = []
    /// What came of releases from quarantine.
    public var releases: [ReleaseResult] = []
    /// What rules looked back at, by patient: no row, but what a memory of past readings must keep.
    public var lookedBack: [Identifier: HistoryNeed] = [:]

    public init() {}
}

/// PostgreSQL as the commit thread sees it: one connection, one transaction at a time, each call within the database
/// deadline (2 s unless set). Only the commit thread calls it. After any failure the transaction is gone; `begin()`
/// connects again where that is needed.
public protocol CommitStore: AnyObject {
    /// No call goes on past this time of the monotonic clock, in nanoseconds; nil: each has its own deadline alone.
    func limit(until deadline: Int64?)
    /// Opens a transaction (`synchronous_commit = on`) and returns the registry's version as it stands in it.
    func begin() throws(StoreFailure) -> Int64
    /// The registry at that version or a newer one, called only when the version or the packs moved. It is read beside the
    /// transaction, since a large one takes longer than a report may wait: until it is there, this throws `transient`.
    func registry() throws(StoreFailure) -> Registry
    /// What was read or built of the registry before this call is not what `registry()` gives: the packs have changed.
    func forgetRegistry()
    /// One verdict per claim, in order. No key stands twice in `claims`.
    func claim(_ claims: [KeyClaim]) throws(StoreFailure) -> [KeyVerdict]
    /// The open (not resolved) alerts of these subjects, locked for this transaction.
    func openEpisodes(of subjects: [Subject]) throws(StoreFailure) -> [Episode]
    /// Every open alert, not locked: what judging goes on from when the store goes away.
    func everyOpenEpisode() throws(StoreFailure) -> [Episode]
    /// Which of these alerts are stored, under their own id or as an alias: each with the alert that stands for it.
    func recorded(_ alerts: [AlertID]) throws(StoreFailure) -> [AlertID: AlertID]
    /// Subjects that have an open alert, read once at start and after a reconnect.
    func subjectsWithOpenEpisodes() throws(StoreFailure) -> Set<Subject>
    /// The stored readings of each patient's kinds, and answers to the questions, since then, oldest first.
    func history(of needs: [Identifier: HistoryNeed]) throws(StoreFailure) -> [Identifier: PatientHistory]
    /// The readings taken since then that were marked entered in error, by their places. `history` leaves them out.
    func enteredInError(since: Instant) throws(StoreFailure) -> [ReportKey: Set<Int>]
    func sequences(of devices: [Identifier]) throws(StoreFailure) -> [DeviceSequence]
    /// Timers of these kinds that have been due for `waited` or longer, the longest due first; not locked. The store's own
    /// clock decides; `instant` is for a store that has none.
    func dueTimers(
        _ kinds: [String], waited: Interval, by instant: Instant, limit: Int
    ) throws(StoreFailure) -> [Timer]
    /// Due-reading timers that have been due for `waited` or longer (by when they were due at first, where an outage has put
    /// them off), the longest due first; not locked. A store may return more than was searched for.
    func dueReadings(_ search: DueReadingSearch, by instant: Instant) throws(StoreFailure) -> [Timer]
    /// Those of them that there are, locked for this transaction; `skippingLocked` leaves out what another transaction has
    /// locked, instead of waiting for it. Alerts are always locked before timers.
    func timers(_ names: [TimerName], skippingLocked: Bool) throws(StoreFailure) -> [Timer]
    /// Every timer of a kind, not locked.
    func everyTimer(_ kind: String) throws(StoreFailure) -> [Timer]
    /// Releases that wait, the oldest first, of reports for these sites or for none of ours; nil: all. Outside of any
    /// transaction, and not locked.
    func waitingReleases(limit: Int, at sites: Set<Identifier>?) throws(StoreFailure) -> [Release]
    /// Those of them that still wait and that no other transaction has locked; locked for this one.
    func lockReleases(_ releases: [Int64]) throws(StoreFailure) -> Set<Int64>
    /// Reports that were typed in at these sites (nil: at any) and have not been taken in, the oldest first.
    func waitingReports(sites: Set<Identifier>?, limit: Int) throws(StoreFailure) -> [WaitingReport]
    /// What became of them: they wait no longer.
    func note(_ outcomes: [TypedOutcome]) throws(StoreFailure)
    func write(_ batch: CommitBatch) throws(StoreFailure)
    /// When this returns the batch is durable. A failure here leaves the outcome unknown: the same batch again finds its keys.
    func commit() throws(StoreFailure)
    func rollback()
}

/// Which due-reading timers are wanted.
public struct DueReadingSearch: Sendable {
    /// The kind of timer that is meant.
    public static let kind = DueReadingTimer.kind
    /// What its payload calls the time when it was due at first.
    public static let deferredFrom = "deferred_from_us"

    /// Of patients of these sites; nil: of all.
    public var sites: Set<Identifier>?
    public var highRiskOnly: Bool
    public var waited: Interval
    public var limit: Int

    public init(sites: Set<Identifier>?, highRiskOnly: Bool, waited: Interval, limit: Int) {
        self.sites = sites
        self.highRiskOnly = highRiskOnly
        self.waited = waited
        self.limit = limit
    }
}

extension CommitStore {
    /// A store that nobody else reaches has no releases.
    public func waitingReleases(limit: Int, at sites: Set<Identifier>?) throws(StoreFailure) -> [Release] { [] }
    public func lockReleases(_ releases: [Int64]) throws(StoreFailure) -> Set<Int64> { [] }

    /// For a store that knows no patients: all that are due.
    public func dueReadings(_ search: DueReadingSearch, by instant: Instant) throws(StoreFailure) -> [Timer] {
        try dueTimers([DueReadingSearch.kind], waited: .seconds(0), by: instant, limit: .max).filter { timer in
            (DueReadingTimer(timer)?.deferredFrom ?? timer.due) + search.waited <= instant
        }
    }
}

extension CommitStore {
    /// A store that keeps no reading of it under way has nothing to forget.
    public func forgetRegistry() {}
}
