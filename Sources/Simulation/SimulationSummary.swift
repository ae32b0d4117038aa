public import Clinical
import Foundation

/// What came of a run.
public struct SimulationSummary: Sendable {
    /// Reports that were sent at least once.
    public internal(set) var published = 0
    /// Sendings beyond a report's first.
    public internal(set) var resent = 0
    /// Of them those because a receipt was lost on purpose, as a real one may be.
    public internal(set) var receiptsLostOnPurpose = 0
    /// Reports that a reader had kept for more than an hour.
    public internal(set) var late = 0
    /// Last receipt of each report: `stored`, `duplicate`, `quarantined`.
    public internal(set) var outcomes: [String: Int] = [:]
    /// Reasons of the quarantined.
    public internal(set) var reasons: [String: Int] = [:]
    /// Readings that were refused of stored reports, by reason.
    public internal(set) var refusedReadings: [String: Int] = [:]
    /// Receipts that ask for another measurement.
    public internal(set) var repeatsAsked = 0
    /// Reports that the readers still keep.
    public internal(set) var withoutReceipt = 0
    /// Publications that the broker refused, as its ACL says.
    public internal(set) var refusedByBroker = 0
    /// The broker refused a subscription to receipts.
    public internal(set) var receiptsForbidden = false
    /// The broker could not be reached within the bound: exit status 69.
    public internal(set) var brokerUnavailable = false
    /// Ended by Ctrl-C.
    public internal(set) var interrupted = false
    /// From the first connection to the last sending or receipt.
    public internal(set) var elapsed = Interval(microseconds: 0)
    /// From the first connection to the last new report.
    var publishing = Interval(microseconds: 0)
    var latency = LatencyHistogram()

    public init() {}

    /// 0, or 69 where the broker was not there.
    public var exitStatus: Int32 { brokerUnavailable ? 69 : 0 }

    /// New reports a second while there were any; the wait for the last receipts is not in it.
    public var reportsPerSecond: Double { publishing.seconds > 0 ? Double(published) / publishing.seconds : 0 }

    /// Milliseconds from the first sending to the receipt; nil without receipts.
    public func receiptLatency(quantile: Double) -> Double? { latency.milliseconds(quantile: quantile) }

    mutating func merge(_ other: SimulationSummary) {
        published += other.published
        resent += other.resent
        receiptsLostOnPurpose += other.receiptsLostOnPurpose
        late += other.late
        outcomes.merge(other.outcomes, uniquingKeysWith: +)
        reasons.merge(other.reasons, uniquingKeysWith: +)
        refusedReadings.merge(other.refusedReadings, uniquingKeysWith: +)
        repeatsAsked += other.repeatsAsked
        withoutReceipt += other.withoutReceipt
        refusedByBroker += other.refusedByBroker
        receiptsForbidden = receiptsForbidden || other.receiptsForbidden
        brokerUnavailable = brokerUnavailable || other.brokerUnavailable
        interrupted = interrupted || other.interrupted
        elapsed = max(elapsed, other.elapsed)
        publishing = max(publishing, other.publishing)
        latency.merge(other.latency)
    }

    /// For a person, some lines.
    public var text: String {
        var lines = [
            "published        \(published) reports in \(Self.decimal(elapsed.seconds, 1)) s, "
                + "\(Self.decimal(reportsPerSecond, 1)) a second" + (late > 0 ? ", \(late) of them late" : ""),
            "receipts         \(Self.list(outcomes))",
        ]
        if !reasons.isEmpty { lines.append("  quarantined    \(Self.list(reasons))") }
        if !refusedReadings.isEmpty { lines.append("  readings refused \(Self.list(refusedReadings))") }
        if repeatsAsked > 0 { lines.append("  repeats asked  \(repeatsAsked)") }
        lines.append("sent again       \(resent) (\(receiptsLostOnPurpose) receipts were lost on purpose)")
        lines.append("without receipt  \(withoutReceipt)")
        if let median = receiptLatency(quantile: 0.5), let slow = receiptLatency(quantile: 0.99) {
            lines.append("receipt after    p50 \(Self.decimal(median, 1)) ms, p99 \(Self.decimal(slow, 1)) ms")
        }
        if refusedByBroker > 0 { lines.append("the broker refused \(refusedByBroker) publications (its ACL?)") }
        if receiptsForbidden { lines.append("the broker refused the subscription to receipts (its ACL?)") }
        if interrupted { lines.append("interrupted") }
        if brokerUnavailable { lines.append("the broker could not be reached") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// One JSON object, keys in order.
    public var json: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        let record = Record(
            published: published, resent: resent, receipts_lost_on_purpose: receiptsLostOnPurpose, late: late,
            receipts: outcomes, quarantined: reasons, refused_readings: refusedReadings,
            repeats_asked: repeatsAsked, without_receipt: withoutReceipt, refused_by_broker: refusedByBroker,
            receipts_forbidden: receiptsForbidden, broker_unavailable: brokerUnavailable, interrupted: interrupted,
            seconds: elapsed.seconds, reports_per_second: reportsPerSecond,
            receipt_p50_ms: receiptLatency(quantile: 0.5), receipt_p99_ms: receiptLatency(quantile: 0.99))
        guard let data = try? encoder.encode(record) else { return "{}" }
        return String(decoding: data, as: UTF8.self)
    }

    /// The names of the JSON output.
    private struct Record: Encodable {
        let published: Int
        let resent: Int
        let receipts_lost_on_purpose: Int
        let late: Int
        let receipts: [String: Int]
        let quarantined: [String: Int]
        let refused_readings: [String: Int]
        let repeats_asked: Int
        let without_receipt: Int
        let refused_by_broker: Int
        let receipts_forbidden: Bool
        let broker_unavailable: Bool
        let interrupted: Bool
        let seconds: Double
        let reports_per_second: Double
        let receipt_p50_ms: Double?
        let receipt_p99_ms: Double?
    }

    private static func list(_ counts: [String: Int]) -> String {
        counts.isEmpty
            ? "none"
            : counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }

    private static func decimal(_ value: Double, _ digits: Int) -> String {
        value.formatted(.number.precision(.fractionLength(digits)).grouping(.never).locale(Locale(identifier: "en")))
    }
}
