import Alerting
import Clinical

/// Everything by which an alert can leave. A channel that is nil is not set up.
public struct DeliveryChannels: Sendable {
    public var webhook: WebhookChannel
    public var email: EmailChannel?
    public var sms: SMSChannel?
    public var display: DisplayChannel?

    public init(
        webhook: WebhookChannel, email: EmailChannel? = nil, sms: SMSChannel? = nil, display: DisplayChannel? = nil
    ) {
        self.webhook = webhook
        self.email = email
        self.sms = sms
        self.display = display
    }

    /// One attempt, on every channel.
    var deadline: Interval { webhook.deadline }

    /// The message of `job` as sent at `now`.
    func message(for job: DeliveryJob, at now: Instant) throws(DeliveryRefusal) -> OutgoingMessage {
        switch job.entry.channel {
        case .webhook: return .http(try webhook.request(for: job, at: now))
        case .email:
            guard let email else { throw .otherChannel }
            return .mail(try email.request(for: job, at: now))
        case .sms:
            guard let sms else { throw .otherChannel }
            return .http(try sms.request(for: job))
        case .mqtt:
            guard let display else { throw .otherChannel }
            return .publication(try display.publication(for: job))
        }
    }

    /// What `result` means for `job`.
    func outcome(
        of result: DeliveryResult, for job: DeliveryJob, at now: Instant,
        using generator: inout some RandomNumberGenerator
    ) -> DeliveryOutcome {
        let error: String
        var asked: Int64?
        switch result {
        case .http(.answered(200...299, _)), .mail(.taken), .publication(.accepted): return .sent(at: now)
        case .http(.answered(let status, let retryAfter)):
            error = "HTTP status \(status)"
            if status == 429 || status == 503 { asked = retryAfter }
        case .http(.unanswered(let reason)), .mail(.unanswered(let reason)): error = reason
        case .mail(.refused(let reply)):
            // Of the recipient or the message itself: another attempt would fare no better.
            if reply.isFinal { return .failed(error: reply.words(without: job)) }
            error = reply.words(without: job)
        case .publication(.refused(let reason)), .publication(.unavailable(let reason)): error = reason
        }
        let delay = webhook.schedule.delay(
            afterAttempt: job.attempt, isRed: job.episode.severity == .red, retryAfter: asked, using: &generator)
        return .retry(after: delay, error: error)
    }
}

/// Why a message can't be sent at all. The raw value is what the queue records.
enum DeliveryRefusal: String, Error {
    case noAddress = "recipient has no address on this channel"
    case badWebhook = "recipient's webhook is not an http or https address"
    case badMail = "recipient's e-mail address can't stand in a message"
    case badNumber = "recipient's mobile number is not one"
    case badKey = "delivery key can't stand in a header"
    case otherChannel = "channel is not set up"
}

/// One message, ready to go.
enum OutgoingMessage: Sendable {
    case http(HTTPRequest)
    case mail(MailRequest)
    case publication(Publication)

    /// What the limit of messages at once, and the health of a channel, count by.
    var host: String {
        switch self {
        case .http(let request): request.address.host
        case .mail(let request): request.server.host
        case .publication: "broker"
        }
    }
}

/// What came of one attempt.
enum DeliveryResult: Sendable {
    case http(HTTPResult)
    case mail(MailResult)
    case publication(PublicationResult)
}
