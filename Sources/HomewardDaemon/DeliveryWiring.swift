import Alerting
import Clinical
import Delivery
import Documents
import Ingestion
import MQTTClient

/// The channels of a configuration, and what becomes of their health.
enum DeliveryWiring {
    static func channels(_ configuration: Configuration, broker: SubscriberControl) -> DeliveryChannels {
        let delivery = configuration.delivery
        let publicURL = configuration.http.publicURL
        return DeliveryChannels(
            webhook: WebhookChannel(
                publicURL: publicURL, secret: delivery.webhook?.secret, caFile: delivery.webhook?.caFile,
                deadline: configuration.deadlines.delivery),
            email: delivery.smtp.flatMap { smtp in
                EmailChannel(
                    server: .init(
                        name: smtp.host, port: smtp.port, security: .init(smtp.security), username: smtp.username,
                        password: smtp.password, caFile: smtp.caFile),
                    sender: smtp.from, templates: delivery.templates, publicURL: publicURL)
            },
            sms: delivery.sms.flatMap { sms in
                SMSChannel(
                    url: sms.url, body: sms.body, authorization: sms.authorization, caFile: sms.caFile,
                    templates: delivery.templates, publicURL: publicURL)
            },
            display: delivery.mqtt.map { _ in
                DisplayChannel(publicURL: publicURL) { publication, deadline, done in
                    broker.publish(
                        key: publication.key, topic: publication.topic, payload: publication.payload,
                        within: .microseconds(deadline.microseconds)
                    ) { outcome in
                        switch outcome {
                        case .accepted: done(.accepted)
                        case .refused(let code): done(.refused("broker refused it: \(code)"))
                        case .unconfirmed: done(.unavailable("broker is away or did not confirm"))
                        }
                    }
                }
            })
    }

    /// A channel that dies is a technical alert, told as every alert is: by what still lives.
    static func health(_ commit: CommitControl) -> ChannelHealth {
        ChannelHealth { news in
            switch news {
            case .died(let what):
                commit.raise(
                    TechnicalFinding(
                        .deadChannel, .beyond(.amber), at: wallClock(),
                        summary: "Alerts can't be delivered: \(what). Whoever is next is told instead."))
            case .allAlive:
                commit.raise(
                    TechnicalFinding(
                        .deadChannel, .inRange, at: wallClock(), summary: "Alerts are delivered again."))
            }
        }
    }
}

extension EmailChannel.Server.Security {
    fileprivate init(_ security: Configuration.SMTP.Security) {
        switch security {
        case .none: self = .none
        case .starttls: self = .starttls
        case .implicit: self = .implicit
        }
    }
}
