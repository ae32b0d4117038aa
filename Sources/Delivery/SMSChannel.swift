import Alerting
public import Formats

/// Alerts as text messages, by an HTTP gateway: one POST of the configured body. Any 2xx is delivered; anything else is
/// tried again as a webhook is.
///
/// `Homeward-Delivery` holds the delivery's key, the same on every attempt, for gateways that know repeats by it.
public struct SMSChannel: Sendable {
    private let address: WebAddress
    private let body: GatewayBody
    private let authorization: String?
    private let caFile: String?
    private let templates: MessageTemplates
    private let publicURL: String

    /// Nil when `url` is no http or https address, or `authorization` can't stand in a header.
    public init?(
        url: String, body: GatewayBody, authorization: String?, caFile: String?, templates: MessageTemplates,
        publicURL: String
    ) {
        guard let address = WebAddress(url),
            authorization?.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) ?? true
        else { return nil }
        self.address = address
        self.body = body
        self.authorization = authorization
        self.caFile = caFile
        self.templates = templates
        self.publicURL = publicURL
    }

    func request(for job: DeliveryJob) throws(DeliveryRefusal) -> HTTPRequest {
        guard let text = job.address, !text.isEmpty else { throw .noAddress }
        guard let number = Self.number(text) else { throw .badNumber }
        return try request(to: number, text: self.text(of: job), key: job.entry.key)
    }

    func request(to number: String, text: String, key: String) throws(DeliveryRefusal) -> HTTPRequest {
        guard !key.isEmpty, key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else { throw .badKey }
        var headers: [HTTPRequest.Header] = [
            .init(name: "Content-Type", value: body.form.rawValue), .init(name: "Homeward-Delivery", value: key),
        ]
        if let authorization { headers.append(.init(name: "Authorization", value: authorization)) }
        return HTTPRequest(
            address: address, headers: headers, body: body.bytes(to: number, text: text), caFile: caFile)
    }

    private func text(of job: DeliveryJob) -> String {
        guard let gathering = job.gathering, !gathering.isOfOneAlert else {
            let words = AlertWords(episode: job.episode, link: alertLink(publicURL, job.episode.id))
            return templates.sms.filled(words.value)
        }
        let words = GatheredWords(gathering: gathering, publicURL: publicURL)
        return words.template(of: templates).sms.filled { words.value(of: $0, lines: "") }
    }

    /// `+447700900123` of what people write: digits with a plus in front of them or not, and spaces, dots, brackets and
    /// hyphens between them. Nil for anything else.
    static func number(_ text: String) -> String? {
        var number = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "0"..."9": number.unicodeScalars.append(scalar)
            case "+" where number.isEmpty: number = "+"
            case " ", "-", ".", "(", ")": continue
            default: return nil
            }
        }
        return (5...16).contains(number.utf8.count) ? number : nil
    }
}
