import Alerting
public import Clinical
import Cryptography

/// Makes a message into an HTTP request, as the outside contract says in section 4.
///
/// - Any 2xx is delivered, as soon as its headers are complete. Anything else, or no answer within the deadline, is
///   tried again: also a redirect, which is never followed.
/// - The deadline covers the whole request: name resolution, connecting, TLS, an answer that drips.
/// - `Homeward-Timestamp` is the time of the attempt in Unix seconds; `Homeward-Signature` is there with a secret only.
/// - Only `http` and `https`; certificates are always verified, against `caFile` or the system's authorities.
/// - No proxy, whatever the environment says: an alert goes to its receiver and nobody else.
/// - Link-local addresses are refused: there clouds keep a machine's credentials.
public struct WebhookChannel: Sendable {
    /// Under which the receiver can verify that a message is ours; nil for unsigned messages.
    public var secret: [UInt8]?
    /// PEM file of the authorities to trust instead of the system's.
    public var caFile: String?
    /// Where the care managers' page is; the path of the alert is appended.
    public var publicURL: String
    public var deadline: Interval
    var schedule = RetrySchedule()

    public init(
        publicURL: String, secret: [UInt8]? = nil, caFile: String? = nil, deadline: Interval = .seconds(10)
    ) {
        self.publicURL = publicURL
        self.secret = secret
        self.caFile = caFile
        self.deadline = deadline
    }

    /// The request for `job` as sent at `now`.
    func request(for job: DeliveryJob, at now: Instant) throws(DeliveryRefusal) -> HTTPRequest {
        guard let text = job.address, !text.isEmpty else { throw .noAddress }
        guard let address = WebAddress(text) else { throw .badWebhook }
        let key = job.entry.key
        let message = AlertMessage(key: key, episode: job.episode, link: alertLink(publicURL, job.episode.id))
        return try signed(message.json, key: key, to: address, at: now)
    }

    /// `body` with the headers that a message has.
    func signed(
        _ body: [UInt8], key: String, to address: WebAddress, at now: Instant
    ) throws(DeliveryRefusal) -> HTTPRequest {
        guard !key.isEmpty, key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { throw .badKey }
        let timestamp = String(now.microseconds / 1_000_000)
        var headers: [HTTPRequest.Header] = [
            .init(name: "Content-Type", value: "application/json"),
            .init(name: "Homeward-Delivery", value: key),
            .init(name: "Homeward-Timestamp", value: timestamp),
        ]
        if let secret {
            let code = hmacSHA256(key: secret, message: Array("\(timestamp).".utf8) + body)
            headers.append(.init(name: "Homeward-Signature", value: "sha256=\(hexadecimal(code))"))
        }
        return HTTPRequest(address: address, headers: headers, body: body, caFile: caFile)
    }
}
