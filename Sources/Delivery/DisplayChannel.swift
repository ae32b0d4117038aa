import Alerting
public import Clinical

/// Clinical alerts for a ward's display, under `homeward/v1/{site}/alerts`, QoS 1.
///
/// Not retained: alerts are acknowledged and resolved where the broker does not see it, so a retained message would
/// outlive its alert, and would keep a patient's code in the broker's file. A display that must miss nothing keeps a
/// session of its own with the broker. The payload is a webhook's without its sentence: no value, no time of a
/// measurement.
public struct DisplayChannel: Sendable {
    /// Hands one publication to the broker's client: payload, key and deadline. `done` is called once, from any thread,
    /// when the broker has confirmed or refused it or the time is over. A second call under the same key while the
    /// first waits replaces it: it is published once.
    public typealias Publish =
        @Sendable (
            _ publication: Publication, _ deadline: Interval, _ done: @escaping @Sendable (PublicationResult) -> Void
        ) -> Void

    let publish: Publish
    private let publicURL: String

    public init(publicURL: String, publish: @escaping Publish) {
        self.publicURL = publicURL
        self.publish = publish
    }

    func publication(for job: DeliveryJob) throws(DeliveryRefusal) -> Publication {
        guard let site = job.episode.site else { throw .noAddress }
        let message = AlertMessage(
            key: job.entry.key, episode: job.episode, link: alertLink(publicURL, job.episode.id))
        return Publication(
            key: job.entry.key, topic: "homeward/v1/\(site)/alerts", payload: message.json(hasSummary: false))
    }
}

/// One message for a topic.
public struct Publication: Hashable, Sendable {
    public var key: String
    public var topic: String
    public var payload: [UInt8]

    public init(key: String, topic: String, payload: [UInt8]) {
        self.key = key
        self.topic = topic
        self.payload = payload
    }
}

/// What the broker says of a publication. The texts have no patient data.
public enum PublicationResult: Hashable, Sendable {
    case accepted
    case refused(String)
    /// It is away, or did not confirm in time.
    case unavailable(String)
}
