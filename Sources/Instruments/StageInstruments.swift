/// How the stages keep up: what operators look at when reports come late. Any thread may write; nothing takes a lock but
/// the rare `Gauge.observe`.
public final class StageInstruments: MetricsSource {
    /// SQLSTATE classes (PostgreSQL's appendix A) that a store can meet; every other is `other`, no answer `none`.
    public static let stateClasses = [
        "08", "0A", "22", "23", "25", "28", "3D", "40", "42", "53", "54", "55", "57", "58", "XX", "other", "none",
    ]

    /// Reports that were received and wait for the decode thread.
    public let decodeQueue = Gauge()
    /// Reports that are decoded and wait for the commit thread.
    public let commitQueue = Gauge()
    /// How long the oldest report of the batch in work has been here, so not acknowledged; 0 with nothing in work.
    public let oldestUnacknowledgedSeconds = Gauge()
    /// Reports of one transaction.
    public let batchReports = Histogram(bounds: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000])
    /// Connections of the subscriber that the broker accepted.
    public let brokerConnects = Counter()
    /// Attempts to commit that failed.
    public let databaseErrors = LabelledCounter(.init("sqlstate_class", values: stateClasses))
    /// Bytes of topics and payloads received.
    public let receivedBytes = Counter()
    public let spoolQuotaBytes = Gauge()
    /// How long the spool's free room lasts at the rate of the last 24 hours; infinite while nothing comes.
    public let spoolSecondsLeft = Gauge(.infinity)

    public init() {}

    /// One failed attempt. `state`: five characters, nil where the server said nothing.
    public func countDatabaseError(_ state: String?) {
        guard let state else { return databaseErrors["none"].add() }
        let known = String(state.prefix(2))
        databaseErrors[Self.stateClasses.contains(known) ? known : "other"].add()
    }

    public func families() -> [MetricFamily] {
        [
            .gauge(
                "homeward_stage_queue_reports", help: "Messages that wait for a stage.", labels: ["stage"],
                [(["decode"], decodeQueue.value), (["commit"], commitQueue.value)]),
            .gauge(
                "homeward_oldest_unacknowledged_seconds",
                help: "Age of the oldest report of the batch in work, which is not acknowledged; 0 with none.",
                oldestUnacknowledgedSeconds.value),
            .histogram("homeward_commit_batch_reports", help: "Messages of one transaction.", batchReports),
            .counter(
                "homeward_broker_connects_total", help: "Connections that the broker accepted.", brokerConnects.value),
            .counter(
                "homeward_database_errors_total", help: "Attempts to commit that failed, by the class of the SQLSTATE.",
                databaseErrors),
            .counter(
                "homeward_received_bytes_total", help: "Bytes of topics and payloads received.", receivedBytes.value),
            .gauge("homeward_spool_quota_bytes", help: "What the local spool may take.", spoolQuotaBytes.value),
            .gauge(
                "homeward_spool_left_seconds",
                help: "How long the spool's free room lasts at the rate of the last 24 hours.", spoolSecondsLeft.value),
        ]
    }
}
