public import Alerting

/// What was told of while PostgreSQL was away, as the commit that records it sees it. Called on the commit thread.
///
/// An alert stays known, also when it was recorded, until the caller says that the outage is over (every spooled
/// report drained): a report that is drained later may say the same again.
public protocol OutageLedger: AnyObject {
    func contains(_ alert: AlertID) -> Bool
    /// The red alert of that subject and rule that was told of. A red never ends by itself, so there is at most one in
    /// an outage.
    func redAlert(of subject: Subject, rule: String) -> AlertID?
    /// Every message of the alert. What is pending is held, and sent by nobody, until `handOver` or `release`.
    func deliveries(of alert: AlertID) -> [MadeDelivery]
    /// Alerts that no commit has recorded yet, as they stood when they were last told of, in the order in which they
    /// were raised.
    var unrecorded: [OutageNotice] { get }
    /// Outcomes that were not recorded yet of attempts that were under way at `handOver`, oldest first.
    var lateOutcomes: [LateOutcome] { get }
    /// The transaction that recorded these has committed, each as part of that alert (nearly always itself): what is
    /// pending is PostgreSQL's from now on.
    func handOver(_ alerts: [AlertAlias], recorded outcomes: [LateOutcome])
    /// The transaction failed: what was held is sent from here again.
    func release()
}
