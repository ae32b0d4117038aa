/// The metrics of the outside contract, section 4. Any thread may write to any of them; nothing here takes a lock but
/// the rare `Gauge.observe`.
///
/// In every scrape `received = stored + duplicate + quarantined + in flight` holds: the terminal counters are read
/// first and `received` last, each once, and those numbers are the ones shown. Whoever ends a report must therefore
/// have seen it counted as received.
public final class PipelineInstruments: MetricsSource {
    /// Everything that labels may say, declared ahead.
    public struct LabelValues: Sendable {
        /// Why a report or a reading is in quarantine.
        public var reasons: [String]
        public var alertClasses: [String]
        public var severities: [String]
        public var channels: [String]

        public init(reasons: [String], alertClasses: [String], severities: [String], channels: [String]) {
            self.reasons = reasons
            self.alertClasses = alertClasses
            self.severities = severities
            self.channels = channels
        }
    }

    /// What may come of one attempt to deliver: `homeward_deliveries_total{outcome}`.
    public enum DeliveryResult: String, CaseIterable, Sendable {
        case sent
        /// It will be tried again.
        case retried
        case failed
    }

    /// Also raised at start by what waits in the spool: those reports are in flight.
    public let reportsReceived = Counter()
    public let reportsStored = Counter()
    public let reportsDuplicate = Counter()
    /// To the instance that holds the lease: received here, and ended there.
    public let reportsHandedOver = Counter()
    /// By reason; whole reports only.
    public let reportsQuarantined: LabelledCounter
    public let readingsStored = Counter()
    /// By reason: single readings of reports that were stored without them.
    public let readingsRefused: LabelledCounter
    /// By reason: statuses of devices, which are not reports.
    public let statusesRefused: LabelledCounter
    /// By class and severity.
    public let alertsRaised: LabelledCounter
    /// By channel and outcome.
    public let deliveries: LabelledCounter
    /// 0 empty, 1 full.
    public let ringOccupancy = Gauge()
    public let spoolBytes = Gauge()
    /// From the first statement of a batch to its COMMIT.
    public let commitSeconds = Histogram(bounds: [
        0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5,
    ])
    /// From the receipt of a report to the hand-over of its alert to delivery.
    public let reportToAlertSeconds = Histogram(bounds: [
        0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30,
    ])
    public let brokerConnected = Gauge()
    public let databaseConnected = Gauge()
    /// How the stages keep up; a page of its own.
    public let stages = StageInstruments()

    public init(_ values: LabelValues) {
        reportsQuarantined = LabelledCounter(.init("reason", values: values.reasons))
        readingsRefused = LabelledCounter(.init("reason", values: values.reasons))
        statusesRefused = LabelledCounter(.init("reason", values: values.reasons))
        alertsRaised = LabelledCounter(
            .init("class", values: values.alertClasses), .init("severity", values: values.severities))
        deliveries = LabelledCounter(
            .init("channel", values: values.channels), .init("outcome", values: DeliveryResult.allCases.map(\.rawValue))
        )
    }

    /// What became of the reports so far; the identity holds among these numbers.
    public struct ReportCounts: Sendable, Hashable {
        public var received: Int
        public var stored: Int
        public var duplicate: Int
        /// One number for each reason, in the order of the reasons.
        public var quarantined: [Int]
        public var handedOver: Int

        /// Received and not yet ended: in the ring or in the spool.
        public var inFlight: Int { received - stored - duplicate - quarantined.reduce(0, +) - handedOver }
    }

    public var reportCounts: ReportCounts {
        let stored = reportsStored.value
        let duplicate = reportsDuplicate.value
        let quarantined = reportsQuarantined.series.map(\.counter.value)
        let handedOver = reportsHandedOver.value
        return ReportCounts(
            received: reportsReceived.value, stored: stored, duplicate: duplicate, quarantined: quarantined,
            handedOver: handedOver)
    }

    public func families() -> [MetricFamily] {
        let counts = reportCounts
        let quarantined = zip(reportsQuarantined.series, counts.quarantined).map { ($0.values, $1) }
        return reportFamilies(counts, quarantined) + [
            .counter("homeward_readings_stored_total", help: "Readings stored.", readingsStored.value),
            .counter(
                "homeward_readings_refused_total", help: "Readings refused alone, their report being stored.",
                readingsRefused),
            .counter(
                "homeward_statuses_refused_total", help: "Device statuses quarantined; they are not reports.",
                statusesRefused),
            .counter("homeward_alerts_raised_total", help: "Alerts opened or worsened.", alertsRaised),
            .counter("homeward_deliveries_total", help: "Attempts to tell somebody of an alert.", deliveries),
            .gauge(
                "homeward_ring_occupancy_ratio", help: "Share of the ring's slots in use, 0 to 1.", ringOccupancy.value),
            .gauge("homeward_spool_bytes", help: "Bytes of the local spool in use.", spoolBytes.value),
            .histogram(
                "homeward_commit_seconds", help: "Time to commit a batch in PostgreSQL.", commitSeconds),
            .histogram(
                "homeward_report_to_alert_seconds",
                help: "Time from the receipt of a report to the hand-over of its alert to delivery.",
                reportToAlertSeconds),
            .gauge(
                "homeward_broker_connected", help: "1 while connected to the MQTT broker, else 0.",
                brokerConnected.value),
            .gauge(
                "homeward_database_connected", help: "1 while connected to PostgreSQL, else 0.",
                databaseConnected.value),
        ]
    }

    private func reportFamilies(
        _ counts: ReportCounts, _ quarantined: [(values: [String], count: Int)]
    ) -> [MetricFamily] {
        [
            .counter("homeward_reports_received_total", help: "Reports received.", counts.received),
            .counter("homeward_reports_stored_total", help: "Reports stored.", counts.stored),
            .counter(
                "homeward_reports_duplicate_total", help: "Reports that were stored already and say the same.",
                counts.duplicate),
            .counter(
                "homeward_reports_quarantined_total", help: "Reports quarantined whole.", labels: ["reason"],
                quarantined),
            .counter(
                "homeward_reports_handed_over_total",
                help: "Reports left to the instance that holds the lease, which counts them as received.",
                counts.handedOver),
            .gauge(
                "homeward_reports_in_flight",
                help:
                    "Reports received and neither stored, duplicate nor quarantined yet, those in the spool included.",
                Double(counts.inFlight)),
        ]
    }
}
